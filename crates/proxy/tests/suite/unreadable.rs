//! Documents with members that cannot be read: what such a member could say is not assumed.

use std::time::Duration;

use hcn::{ApiVersion, Kind};
use serde_json::json;

use crate::faults::{serve, writes};
use crate::rig::{NETWORK, Rig};

#[test]
fn an_endpoint_that_may_be_remote_does_not_count_as_local() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = Rig::new("L2Bridge", "15.5", api_version);
        rig.cluster(vec![], vec![]);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let foreign = rig.emulator.add(
            Kind::Endpoint,
            json!({"Name": "x", "HostComputeNetwork": NETWORK, "IpConfigurations": [{"IpAddress": "10.244.2.1"}],
                   "MacAddress": "02-11-0a-f4-02-01", "Flags": "RemoteEndpoint, Odd",
                   "SchemaVersion": {"Major": 2, "Minor": 0}}),
        );
        rig.calls();
        for _ in 0..3 {
            rig.now += Duration::from_secs(30);
            rig.sync();
        }
        let skipped: Vec<_> = rig.proxy.observed().skipped().map(|(id, _)| id).collect();
        assert_eq!((skipped, writes(&rig)), (vec![foreign], vec![]), "{api_version:?}");
        assert_eq!(rig.proxy.unready(), []);
    }
}
