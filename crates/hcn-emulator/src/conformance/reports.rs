//! Conformance cases from reports of real nodes: the codes of rejected documents.

use hcn::call::{Call, Reply};
use hcn::{Guid, Hresult, Kind};
use serde_json::json;

use super::cni::try_local;
use super::{Case, Scratch, balancer, expect, fails, text};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a load balancer without a backend is rejected",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            fails(scratch.balance(&balancer("198.51.100.1", &[])), &[Hresult::HCN_E_INVALID_JSON_REFERENCE])
        },
    },
    Case {
        name: "a member that the schema lacks is rejected",
        applies: |f| f.v2,
        run: |hcn| {
            let settings = json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Type": "Host", "ConformanceOnly": true});
            let id = Guid::new_v4();
            let call = Call::Create { kind: Kind::Namespace, network: None, id, settings: settings.to_string() };
            let made = hcn.call(&call);
            if let Ok(Reply::Handle(handle)) = made {
                let _ = hcn.call(&Call::Close { kind: Kind::Namespace, handle });
                let _ = hcn.call(&Call::Delete { kind: Kind::Namespace, id });
            }
            fails(made, &[Hresult::HCN_E_INVALID_JSON])
        },
    },
    Case {
        name: "a local address has one endpoint, in the subnet",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::new(hcn)?;
            let with = |address: &str| try_local(&scratch, &json!({"IpConfigurations": [{"IpAddress": address}]}));
            with("192.168.214.77")?.map_err(text)?;
            fails(with("192.168.214.77")?, &[Hresult::HCN_E_ADDR_INVALID_OR_RESERVED])?;
            fails(with("192.168.13.77")?, &[Hresult::HCN_E_INVALID_IP])
        },
    },
    Case {
        name: "a remote endpoint outside of the subnets has no prefix length",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let endpoint = scratch.client.endpoint(scratch.remote("10.244.2.7")?).map_err(text)?;
            expect(endpoint.ip_configurations.iter().all(|ip| ip.prefix_length == 0), "no prefix length")
        },
    },
];
