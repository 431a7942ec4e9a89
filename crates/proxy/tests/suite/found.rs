//! Defects that random worlds found, each as a scenario.

use hcn::{ApiVersion, Kind};
use proxy::{Reconciler, Settings};
use serde_json::json;

use crate::faults::{serve, writes};
use crate::rig::{Rig, own_host};

#[test]
fn take_over_deletes_nothing_before_dns_is_programmed_on_an_overlay_network() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let pod = rig.local("pod", &["10.244.1.5"]);
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["10.96.0.9"],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
               "SchemaVersion": {"Major": 2, "Minor": 0}}),
    );
    rig.proxy = Reconciler::new(Settings { take_over: true, ..rig.settings.clone() }, own_host());
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "kube-system/kube-dns", "10.96.0.10", &["10.244.2.53"]);
    rig.calls();
    rig.sync();
    let balancers: Vec<_> = writes(&rig).into_iter().filter(|write| write.ends_with("LoadBalancer")).collect();
    assert_eq!(balancers, ["HcnCreateLoadBalancer", "HcnDeleteLoadBalancer"]);
}
