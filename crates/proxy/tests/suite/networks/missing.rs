//! One of several networks is missing, deleted and created again, or invalid.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hcn::{ApiVersion, Call, Client, Error, Guid, Hcn, Hresult, Kind, Reply};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::explain::BackendState;
use proxy::model::ServiceName;
use proxy::testing::{backend, service, slice};
use proxy::{AuditError, Condition, HostCondition, Unready};
use serde_json::{Value, json};

use super::{CYCLE, conditions, two};
use crate::faults::{back, serve, writes};
use crate::rig::{NETWORK, Rig, SECOND};

fn missing(network: &str) -> HostCondition {
    let known = ["cbr0", "cbr1"].into_iter().filter(|name| *name != network).map(str::to_owned).collect();
    HostCondition::NetworkMissing { reason: AuditError::NetworkAbsent { name: network.into(), known }.to_string() }
}

/// Removes a network, with all its objects.
fn take_away(rig: &Rig, network: Guid) -> Value {
    let document = rig.emulator.document(Kind::Network, network).unwrap();
    rig.emulator.remove(Kind::Network, network);
    document
}

#[test]
fn a_missing_network_is_programmed_when_it_appears_and_the_other_at_once() {
    let mut rig = two();
    let document = take_away(&rig, SECOND);
    serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
    let local = slice("ns/second-1", "ns/second").port(8080).backend(backend("10.245.1.11").on("here"));
    rig.proxy.apply_service(service("ns/second").cluster_ip("10.96.0.2").port(80).build());
    rig.proxy.apply_slice(local.build());
    rig.sync();
    let first = ["lb 10.96.0.1:80/6 -> 10.244.1.7:8080 flags 1/0", "remote 10.244.1.7"];
    assert_eq!(rig.objects(), first);
    assert_eq!((rig.proxy.host_conditions(), rig.proxy.audit_error()), (vec![missing("cbr1")], None));

    rig.emulator.add(Kind::Network, document);
    rig.local_in(SECOND, "pod", &["10.245.1.11"]);
    assert!(rig.proxy.audit(&rig.client).unwrap().network_changed);
    rig.calls();
    rig.settle();
    assert_eq!(writes(&rig), ["HcnCreateLoadBalancer"]);
    assert_eq!((rig.proxy.host_conditions(), conditions(&rig)), (vec![], vec![]));
}

#[test]
fn addresses_in_no_subnet_wait_for_the_first_network() {
    let mut rig = two();
    let document = take_away(&rig, NETWORK);
    serve(&mut rig, "ns/first", "10.96.0.1", &["10.99.0.1"]);
    serve(&mut rig, "ns/second", "10.96.0.2", &["10.245.1.7"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.2:80/6 -> 10.245.1.7:8080 flags 1/0", "remote 10.245.1.7 in cbr1"]);
    assert_eq!(conditions(&rig), [Condition::NetworkMissing { network: "cbr0".into() }]);
    let in_sync: Vec<_> = rig.proxy.frontends().iter().map(|status| status.in_sync).collect();
    assert_eq!(in_sync, [false, true]);
    let explained = rig.proxy.explain(&ServiceName::new("ns", "first"), rig.now).unwrap();
    let frontend = &explained.frontends[0];
    assert!(frontend.waiting && !frontend.in_sync && frontend.desired.is_none());
    assert_eq!(frontend.backends[0].state, BackendState::NetworkMissing);

    rig.emulator.add(Kind::Network, document);
    rig.settle();
    assert_eq!(rig.objects().len(), 4);
    assert_eq!(conditions(&rig), []);
}

#[test]
fn an_audit_without_any_network_fails_and_names_the_first() {
    let mut rig = two();
    for network in [NETWORK, SECOND] {
        take_away(&rig, network);
    }
    serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
    let error = rig.proxy.audit(&rig.client).unwrap_err();
    assert_eq!(error, AuditError::NetworkAbsent { name: "cbr0".into(), known: vec![] });
    assert_eq!(rig.proxy.audit_error(), Some(&error));
    assert!(rig.run().outcomes.is_empty());
}

/// A Service in each network, and one with most backends in the second.
fn three_services(rig: &mut Rig) -> Vec<String> {
    serve(rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
    serve(rig, "ns/second", "10.96.0.2", &["10.245.1.7"]);
    serve(rig, "ns/both", "10.96.0.3", &["10.244.1.7", "10.245.1.7", "10.245.1.8"]);
    rig.settle();
    let objects = rig.objects();
    assert_eq!(objects.len(), 6);
    objects
}

#[test]
fn a_recreated_network_is_programmed_and_no_other() {
    let mut rig = two();
    let before = three_services(&mut rig);
    let mut document = take_away(&rig, SECOND);
    document["ID"] = json!("7b60c1d9-602e-5110-8c89-a9475b890000");
    rig.emulator.add(Kind::Network, document);
    let found = rig.proxy.audit(&rig.client).unwrap();
    assert!(
        found.network_changed && rig.proxy.take_drift().is_empty(),
        "objects deleted with the network are not drift"
    );
    rig.calls();
    rig.settle();
    assert_eq!(writes(&rig), [["HcnCreateEndpoint"; 2], ["HcnCreateLoadBalancer"; 2]].concat());
    assert_eq!(rig.objects(), before);
}

#[test]
fn services_of_a_missing_network_wait_or_use_backends_in_the_other_network() {
    let mut rig = two();
    let before = three_services(&mut rig);
    let document = take_away(&rig, SECOND);
    rig.calls();
    let found = rig.proxy.audit(&rig.client).unwrap();
    assert!(
        found.network_changed && rig.proxy.take_drift().is_empty(),
        "objects deleted with the network are not drift"
    );
    rig.settle();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.1.7:8080 flags 1/0",
            "lb 10.96.0.3:80/6 -> 10.244.1.7:8080 flags 1/0",
            "remote 10.244.1.7"
        ]
    );
    assert_eq!(writes(&rig), ["HcnCreateLoadBalancer"]);
    let gone = Condition::NetworkMissing { network: "cbr1".into() };
    assert_eq!(conditions(&rig), [gone.clone(), gone]);
    assert_eq!(rig.proxy.host_conditions(), [missing("cbr1")]);
    assert_eq!(rig.proxy.unready(), [Unready::NetworkMissing { frontends: 1 }]);

    rig.emulator.add(Kind::Network, document);
    rig.settle();
    assert_eq!(rig.objects(), before);
    assert_eq!(rig.proxy.host_conditions(), []);
}

#[test]
fn a_failed_list_of_networks_changes_nothing() {
    let mut rig = two();
    let before = three_services(&mut rig);
    let effect = Effect::Fail(Hresult::RPC_S_CALL_FAILED);
    rig.emulator.inject(Fault { which: Which::Function("HNSCall".into()), from: 1, every: 1, effect });
    rig.calls();
    let mut audit_fails = |_| matches!(rig.proxy.audit(&rig.client), Err(AuditError::Hns(_)));
    assert!((0..CYCLE).any(&mut audit_fails), "networks are listed in a cycle");
    rig.run();
    rig.emulator.clear_faults();
    rig.settle();
    assert_eq!((rig.calls().1, rig.objects()), (0, before));
}

#[test]
fn a_renamed_network_among_several_is_still_used_and_reported() {
    let mut rig = two();
    three_services(&mut rig);
    let mut document = rig.emulator.document(Kind::Network, SECOND).unwrap();
    document["Name"] = json!("other");
    rig.emulator.replace(Kind::Network, SECOND, document);
    back(&mut rig, "ns/second", &["10.245.1.9"]);
    (0..CYCLE).for_each(|_| drop(rig.sync()));
    assert!(rig.objects().contains(&"lb 10.96.0.2:80/6 -> 10.245.1.9:8080 flags 1/0".to_owned()));
    assert_eq!(
        rig.proxy.host_conditions(),
        [HostCondition::NetworkRenamed { from: "cbr1".into(), to: "other".into() }]
    );
}

/// An HNS whose list of networks has a name that is not a string.
struct Odd(Arc<Emulator>);

impl Hcn for Odd {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let reply = self.0.call(call)?;
        match (call, reply) {
            (Call::Hns { path, .. }, Reply::Document(text)) if path == "/networks/" => {
                Ok(Reply::Document(text.replace("\"Name\":\"cbr1\"", "\"Name\":{}")))
            }
            (_, reply) => Ok(reply),
        }
    }
}

#[test]
fn a_network_with_an_invalid_document_keeps_its_known_state() {
    let mut rig = two();
    let before = three_services(&mut rig);
    rig.client = Client::new(Arc::new(Odd(rig.emulator.clone())), ApiVersion::V2);
    rig.calls();
    (0..CYCLE).for_each(|_| drop(rig.sync()));
    assert_eq!((rig.calls().1, rig.objects()), (0, before));
    rig.restart();
    rig.client = Client::new(Arc::new(Odd(rig.emulator.clone())), ApiVersion::V2);
    rig.settle();
    assert_eq!(rig.proxy.host_conditions(), [missing("cbr1")], "it was never known");
}

#[test]
fn a_network_that_is_absent_without_a_code_counts_as_absent_if_two_lists_lack_it() {
    for types in [&["L2Bridge"][..], &["L2Bridge", "L2Bridge"]] {
        let mut rig = Rig::with(types, "9.1", ApiVersion::V1);
        rig.emulator.change_options(|options| options.fails_in_envelope = true);
        rig.cluster(vec![], vec![]);
        serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
        rig.settle();
        let before = rig.objects();
        let document = take_away(&rig, NETWORK);
        let result = rig.proxy.audit(&rig.client);
        if types.len() == 1 {
            assert_eq!(result, Err(AuditError::NetworkAbsent { name: "cbr0".into(), known: vec![] }));
        } else {
            assert_eq!((result.is_ok(), rig.proxy.host_conditions()), (true, vec![missing("cbr0")]));
        }
        rig.emulator.add(Kind::Network, document);
        rig.settle();
        assert_eq!((rig.objects(), rig.proxy.host_conditions()), (before, vec![]));
    }
}

/// An HNS v1 API whose reads of a network fail without a code, and whose first list of networks is empty.
struct Forgetful(Arc<Emulator>, AtomicBool);

impl Hcn for Forgetful {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let failed = r#"{"Success":false,"Error":"An internal error occurred. "}"#;
        match call {
            Call::Hns { path, .. } if path == "/networks/" && self.1.swap(false, Ordering::Relaxed) => {
                Ok(Reply::Document(r#"{"Success":true,"Output":[]}"#.to_owned()))
            }
            Call::Hns { path, .. } if path != "/networks/" && path.starts_with("/networks/") => {
                Ok(Reply::Document(failed.to_owned()))
            }
            call => self.0.call(call),
        }
    }
}

#[test]
fn a_network_that_the_second_list_has_is_not_absent() {
    for types in [&["L2Bridge"][..], &["L2Bridge", "L2Bridge"]] {
        let mut rig = Rig::with(types, "9.1", ApiVersion::V1);
        rig.cluster(vec![], vec![]);
        serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7"]);
        rig.settle();
        let before = rig.objects();
        rig.calls();
        rig.client = Client::new(Arc::new(Forgetful(rig.emulator.clone(), AtomicBool::new(true))), ApiVersion::V1);
        let failed: Vec<_> = (0..CYCLE).filter_map(|_| rig.proxy.audit(&rig.client).err()).collect();
        assert!(matches!(failed[..], [AuditError::Hns(Error::Envelope { .. })]), "{failed:?}");
        rig.run();
        assert_eq!((rig.calls().1, rig.objects(), rig.proxy.host_conditions()), (0, before, vec![]));
    }
}
