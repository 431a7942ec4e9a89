//! Checks of load balancers as a Service proxy creates them.

use std::sync::Arc;

use hcn::call::Call;
use hcn::schema::LoadBalancer;
use hcn::{ApiVersion, Class, Client, Guid, Hcn, Kind};
use hcn_survey::{Answer, Check, answer};
use serde_json::json;

use super::cni::local;
use super::scratch::{Scratch, balancer, deletion};
use super::{Case, Question, close, expect, text};

const VIP: &str = "198.51.100.1";
/// The member that no schema has.
const UNKNOWN_MEMBER: &str = "ConformanceOnly";
/// The port of the load balancer without an address. Nothing on a node for tests has it.
const NODE_PORT: u16 = 40129;

pub(super) const CASES: &[Case] = &[
    Case {
        check: Check::LoadBalancerId,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let id = Guid::new_v4();
            let made = scratch.balance_as(id, &balancer(VIP, &[scratch.remote("10.244.2.7")?])).map_err(text)?;
            Ok(kept(made == id))
        }),
    },
    Case {
        check: Check::LoadBalancerDocument,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backends = [scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?];
            let sent = balancer(VIP, &backends);
            let id = scratch.balance(&sent).map_err(text)?;
            let back = scratch.client.load_balancer(id).map_err(text)?;
            expect(back.id == Some(id) && back.frontend_vips == sent.frontend_vips, "id and address")?;
            expect(back.port_mappings == sent.port_mappings && back.flags == sent.flags, "ports and flags")?;
            expect(back.endpoint_ids().eq(backends), "backends")
        }),
    },
    Case {
        check: Check::V2List,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let id = scratch.balance(&balancer(VIP, &[scratch.remote("10.244.2.7")?])).map_err(text)?;
            let ids = scratch.client.load_balancers(|listed| Some(listed.id)).map_err(text)?;
            Ok(if ids.contains(&id) { answer::PRESENT } else { answer::MISSING }.into())
        }),
    },
    Case {
        check: Check::V1List,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = scratch.remote("10.244.2.7")?;
            let id = scratch.balance(&balancer(VIP, &[backend])).map_err(text)?;
            let in_v1 = scratch.client.load_balancers_from_v1_list(Some).map_err(text)?;
            let listed = in_v1.into_iter().find(|listed| listed.id == id).and_then(|listed| listed.document);
            Ok(match listed {
                Some(Ok(document)) if document.endpoint_ids().eq([backend]) => answer::SAME.into(),
                Some(_) => answer::OTHER_BACKENDS.into(),
                None => answer::MISSING.into(),
            })
        }),
    },
    Case {
        check: Check::SameFrontend,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, document) = with_backend(hcn)?;
            scratch.balance(&document).map_err(text)?;
            Ok(Answer::from(scratch.balance(&document)))
        }),
    },
    Case {
        check: Check::FreedFrontend,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, document) = with_backend(hcn)?;
            created_and_deleted(&scratch, &document)?;
            Ok(Answer::from(scratch.balance(&document)))
        }),
    },
    Case {
        check: Check::FreedPort,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, mut document) = with_backend(hcn)?;
            document.frontend_vips.clear();
            document.port_mappings.iter_mut().for_each(|mapping| mapping.external_port = NODE_PORT);
            created_and_deleted(&scratch, &document)?;
            Ok(Answer::from(scratch.balance(&document)))
        }),
    },
    Case {
        check: Check::SameId,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let (backend, id) = (scratch.remote("10.244.2.7")?, Guid::new_v4());
            let first = scratch.balance_as(id, &balancer(VIP, &[backend])).map_err(text)?;
            Ok(match scratch.balance_as(first, &balancer("198.51.100.2", &[backend])) {
                Ok(second) if second != first => answer::CHOSEN_BY_HNS.into(),
                other => Answer::from(other),
            })
        }),
    },
    Case {
        check: Check::ReusedId,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, document) = with_backend(hcn)?;
            let first = created_and_deleted(&scratch, &document)?;
            let second = scratch.balance_as(first, &document);
            Ok(second.map_or_else(|error| Answer::from(&error), |second| kept(second == first)))
        }),
    },
    Case {
        check: Check::NoBackend,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| Ok(Answer::from(Scratch::overlay(hcn)?.balance(&balancer(VIP, &[]))))),
    },
    Case {
        check: Check::UnattachedBackend,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = local(&scratch, &json!({}))?;
            Ok(Answer::from(scratch.balance(&balancer(VIP, &[backend]))))
        }),
    },
    Case {
        check: Check::NoInternalPort,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, mut document) = with_backend(hcn)?;
            document.port_mappings.iter_mut().for_each(|mapping| mapping.internal_port = 0);
            Ok(Answer::from(scratch.balance(&document)))
        }),
    },
    Case {
        check: Check::UnknownMember,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let (scratch, mut document) = with_backend(hcn)?;
            document.other.insert(UNKNOWN_MEMBER.to_owned(), true.into());
            let made = match scratch.balance(&document) {
                Ok(id) => scratch.client.load_balancer(id).map_err(text)?,
                Err(error) => return Ok(Answer::from(&error)),
            };
            let is_kept = made.other.contains_key(UNKNOWN_MEMBER);
            Ok(if is_kept { answer::SUCCEEDS } else { answer::MEMBER_DROPPED }.into())
        }),
    },
    Case {
        check: Check::InvalidJson,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let kind = Kind::LoadBalancer;
            let made = hcn.call(&Call::Create { kind, network: None, id: Guid::new_v4(), settings: "{".into() });
            close(hcn, kind, &made);
            Ok(Answer::from(made))
        }),
    },
    Case {
        check: Check::Modify,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let (kept, removed) = (scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?);
            let id = scratch.balance(&balancer(VIP, &[kept, removed])).map_err(text)?;
            let back = scratch.client.modify_load_balancer(id, &balancer(VIP, &[kept]), true);
            Ok(match back {
                Ok(Some(back)) if back.endpoint_ids().eq([kept]) => answer::SUCCEEDS.into(),
                Ok(_) => answer::NO_EFFECT.into(),
                Err(error) => Answer::from(&error),
            })
        }),
    },
    Case {
        check: Check::Delete,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let id = scratch.balance(&balancer(VIP, &[scratch.remote("10.244.2.7")?])).map_err(text)?;
            let client: &Client = &scratch.client;
            Ok(deletion(|| client.delete_load_balancer(id), || client.load_balancer(id)))
        }),
    },
    Case {
        check: Check::V1Deletion,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let id = scratch.balance(&balancer(VIP, &[scratch.remote("10.244.2.7")?])).map_err(text)?;
            Client::new(hcn.clone(), ApiVersion::V1).delete_load_balancer(id).map_err(text)?;
            expect(
                scratch.client.load_balancer(id).is_err_and(|error| error.class() == Class::Absent),
                "no load balancer after deletion",
            )
        }),
    },
    Case {
        check: Check::ReferencedEndpoint,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let (deleted, other) = (scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?);
            let id = scratch.balance(&balancer(VIP, &[deleted, other])).map_err(text)?;
            scratch.client.delete_endpoint(deleted).map_err(text)?;
            scratch.client.load_balancer(id).map_err(text)?;
            scratch.delete(id).map_err(text)
        }),
    },
    Case {
        check: Check::DeleteNetwork,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = scratch.remote("10.244.2.7")?;
            let id = scratch.balance(&balancer(VIP, &[backend])).map_err(text)?;
            hcn.call(&Call::Delete { kind: Kind::Network, id: scratch.network }).map_err(text)?;
            let is_gone = |error: hcn::Error| error.class() == Class::Absent;
            expect(scratch.client.endpoint(backend).is_err_and(is_gone), "no endpoint after deletion of its network")?;
            expect(
                scratch.client.load_balancer(id).is_err_and(is_gone),
                "no load balancer after deletion of all its endpoints",
            )
        }),
    },
];

/// A network with a backend, and the document of a load balancer for it.
fn with_backend(hcn: &Arc<dyn Hcn>) -> Result<(Scratch, LoadBalancer), String> {
    let scratch = Scratch::overlay(hcn)?;
    let document = balancer(VIP, &[scratch.remote("10.244.2.7")?]);
    Ok((scratch, document))
}

/// Creates a load balancer and deletes it. Returns its id in HNS.
fn created_and_deleted(scratch: &Scratch, document: &LoadBalancer) -> Result<Guid, String> {
    let id = scratch.balance(document).map_err(text)?;
    scratch.delete(id).map_err(text)?;
    Ok(id)
}

fn kept(is_kept: bool) -> Answer {
    if is_kept { answer::KEPT } else { answer::CHOSEN_BY_HNS }.into()
}
