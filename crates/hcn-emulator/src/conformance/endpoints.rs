//! Checks of endpoints as a Service proxy creates them, and of addresses.

use hcn::call::{Call, Reply};
use hcn::{Client, Guid, Kind};
use hcn_survey::{Answer, Check, answer};
use serde_json::json;

use super::cni::try_local;
use super::scratch::{MAC, Scratch, deletion};
use super::{Case, Question, close, expect, text};

/// An address in the subnet of the networks of the suite.
const INSIDE: &str = "192.168.214.77";

pub(super) const CASES: &[Case] = &[
    Case {
        check: Check::EndpointId,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let id = Guid::new_v4();
            let is_kept = scratch.remote_as(id, "10.244.2.7")? == id;
            Ok(if is_kept { answer::KEPT } else { answer::CHOSEN_BY_HNS }.into())
        }),
    },
    Case {
        check: Check::MacAddress,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let mac = scratch.client.endpoint(scratch.remote("10.244.2.7")?).map_err(text)?.mac_address;
            Ok(if mac == MAC { answer::KEPT.into() } else { Answer::with(answer::CHANGED, Some(mac)) })
        }),
    },
    Case {
        check: Check::RemoteEndpoint,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let id = scratch.remote("10.244.2.7")?;
            let endpoint = scratch.client.endpoint(id).map_err(text)?;
            expect(endpoint.is_remote(), "the flag")?;
            expect(endpoint.addresses().map(|a| a.to_string()).eq(["10.244.2.7"]), "the address")?;
            let listed = scratch.client.endpoints(scratch.network, Some).map_err(text)?;
            expect(listed.iter().map(|l| l.id).eq([id]), "only this endpoint with the filter VirtualNetwork")?;
            let in_v1 = scratch.client.endpoints_from_v1_list(Some).map_err(text)?;
            expect(in_v1.iter().any(|l| l.id == id), "the endpoint in the v1 list")
        }),
    },
    Case {
        check: Check::RemotePrefixLength,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let endpoint = scratch.client.endpoint(scratch.remote("10.244.2.7")?).map_err(text)?;
            let length = endpoint.ip_configurations.first().map_or(0, |ip| ip.prefix_length);
            Ok(if length == 0 { answer::NONE.into() } else { length.to_string().into() })
        }),
    },
    Case {
        check: Check::DeleteEndpoint,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let (id, client): (_, &Client) = (scratch.remote("10.244.2.7")?, &scratch.client);
            Ok(deletion(|| client.delete_endpoint(id), || client.endpoint(id)))
        }),
    },
    Case {
        check: Check::LocalAddress,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            local_at(&scratch, INSIDE)?.map_err(text)?;
            Ok(Answer::from(local_at(&scratch, INSIDE)?))
        }),
    },
    Case {
        check: Check::LocalAddressOfRemote,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            scratch.remote(INSIDE)?;
            Ok(Answer::from(local_at(&scratch, INSIDE)?))
        }),
    },
    Case {
        check: Check::OutsideSubnets,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(Answer::from(local_at(&Scratch::new(hcn)?, "192.168.13.77")?))),
    },
    Case {
        check: Check::UnknownMemberOfNamespace,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let settings = json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Type": "Host", "ConformanceOnly": true});
            let (kind, id) = (Kind::Namespace, Guid::new_v4());
            let made = hcn.call(&Call::Create { kind, network: None, id, settings: settings.to_string() });
            close(hcn, kind, &made);
            if let Ok(Reply::Handle(_)) = made {
                let _ = hcn.call(&Call::Delete { kind, id });
            }
            Ok(Answer::from(made))
        }),
    },
];

/// Creates a local endpoint with an address. The inner error is that of HNS.
fn local_at(scratch: &Scratch, address: &str) -> Result<Result<Guid, hcn::Error>, String> {
    try_local(scratch, &json!({"IpConfigurations": [{"IpAddress": address}]}))
}
