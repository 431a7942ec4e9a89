//! Checks of lists and of objects that do not exist.

use std::sync::Arc;

use hcn::call::{Call, Method, Reply};
use hcn::schema::Query;
use hcn::{ApiVersion, Client, Guid, Hcn, Kind};
use hcn_survey::{Answer, Check, answer};
use serde_json::Value;

use super::scratch::{Scratch, remote};
use super::{Case, Question, close, expect, text};

pub(super) const CASES: &[Case] = &[
    Case {
        check: Check::V1Lists,
        applies: |_| true,
        question: Question::Behavior(|hcn| {
            for path in ["/networks/", "/endpoints/", "/policylists/", "/policylists"] {
                let call = Call::Hns { method: Method::Get, path: path.into(), body: String::new() };
                let Reply::Document(reply) = hcn.call(&call).map_err(text)? else {
                    return Err("expected a document".into());
                };
                let reply: Value = serde_json::from_str(&reply).map_err(|e| e.to_string())?;
                expect(reply.get("Success") == Some(&true.into()), "success in the envelope")?;
                expect(reply.get("Output").is_some_and(Value::is_array), "a list as output")?;
            }
            Ok(())
        }),
    },
    Case {
        check: Check::EmptyFilter,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let client = Client::new(hcn.clone(), ApiVersion::V2);
            expect(client.network_id("conformance-nobody").map_err(text)?.is_none(), "no network for an unknown name")?;
            for filter in [r#"{"ID":""}"#.to_owned(), format!(r#"{{"ID":"{}"}}"#, Guid::new_v4())] {
                let query = Query { filter, ..Query::all() }.to_json();
                let reply = hcn.call(&Call::Enumerate { kind: Kind::LoadBalancer, query }).map_err(text)?;
                expect(reply == Reply::Document("[]".into()), "an empty list")?;
            }
            Ok(())
        }),
    },
    Case {
        check: Check::UnknownNetworkId,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(open_unknown(hcn, Kind::Network))),
    },
    Case {
        check: Check::UnknownEndpoint,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(open_unknown(hcn, Kind::Endpoint))),
    },
    Case {
        check: Check::UnknownLoadBalancer,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(open_unknown(hcn, Kind::LoadBalancer))),
    },
    Case {
        check: Check::UnknownNamespace,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(open_unknown(hcn, Kind::Namespace))),
    },
    Case {
        check: Check::UnknownNetwork,
        applies: |_| true,
        question: Question::Answer(|hcn| {
            let client = Client::new(hcn.clone(), ApiVersion::V1);
            let made = client.create_endpoint(Guid::new_v4(), Guid::new_v4(), &remote("10.244.2.7"));
            if let Ok(id) = made {
                client.delete_endpoint(id).map_err(text)?;
            }
            Ok(Answer::from(made))
        }),
    },
    Case {
        check: Check::DeleteUnknownEndpoint,
        applies: |_| true,
        question: Question::Answer(|hcn| {
            let path = format!("/endpoints/{}", Guid::new_v4());
            let is_failure = |text: &str| {
                let envelope: Value = serde_json::from_str(text).unwrap_or_default();
                envelope.get("Success") == Some(&false.into())
            };
            Ok(match hcn.call(&Call::Hns { method: Method::Delete, path, body: String::new() }) {
                Ok(Reply::Document(text)) if is_failure(&text) => answer::IN_ENVELOPE.into(),
                other => Answer::from(other),
            })
        }),
    },
    Case {
        check: Check::NetworkName,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let name = format!("CONFORMANCE-{}", scratch.network);
            let found = scratch.client.network(&name).map_err(text)?;
            expect(found.and_then(|network| network.id) == Some(scratch.network), "the new network")
        }),
    },
];

fn open_unknown(hcn: &Arc<dyn Hcn>, kind: Kind) -> Answer {
    let opened = hcn.call(&Call::Open { kind, id: Guid::new_v4() });
    close(hcn, kind, &opened);
    Answer::from(opened)
}
