//! HNS v1 lists that show other contents than HNS has: the number of objects that are read because of it has a limit.

use std::sync::Arc;

use hcn::{ApiVersion, Call, Client, Error, Hcn, Kind, Reply};
use hcn_emulator::Emulator;
use serde_json::{Value, json};

use crate::faults::{ids, writes};
use crate::lists::{AUDITS, audits, distrusted, served};
use crate::rig::Rig;

/// An HNS whose v1 list at a path shows each object changed.
struct Shows {
    emulator: Arc<Emulator>,
    path: &'static str,
    change: fn(&mut Value),
}

impl Hcn for Shows {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        match (call, self.emulator.call(call)?) {
            (Call::Hns { path, .. }, Reply::Document(text)) if path == self.path => {
                let mut envelope: Value = serde_json::from_str(&text).unwrap();
                envelope["Output"].as_array_mut().unwrap().iter_mut().for_each(self.change);
                Ok(Reply::Document(envelope.to_string()))
            }
            (_, reply) => Ok(reply),
        }
    }
}

fn show(rig: &mut Rig, path: &'static str, change: fn(&mut Value)) {
    let shows = Shows { emulator: rig.emulator.clone(), path, change };
    rig.client = Client::new(Arc::new(shows), ApiVersion::V2);
}

#[test]
fn a_start_with_a_v1_list_that_shows_other_backends_writes_nothing() {
    let mut rig = served("15.5", ApiVersion::V2);
    let load_balancers = ids(&rig, Kind::LoadBalancer).len() as u64;
    rig.restart();
    show(&mut rig, "/policylists/", |list| list["References"] = json!([]));
    rig.calls();
    rig.sync();
    // A restart makes 7 calls. One load balancer that differs is read, then each.
    assert_eq!(rig.calls(), (7 + 2 + 2 * load_balancers, 0));
    assert_eq!(distrusted(&rig), [Kind::LoadBalancer]);
    audits(&mut rig);
    assert_eq!(rig.calls(), (2 * AUDITS as u64, 0));
}

#[test]
fn a_start_after_many_changes_reads_one_load_balancer_and_trusts_the_v1_list() {
    let mut rig = served("15.5", ApiVersion::V2);
    for number in 1..=20 {
        crate::faults::back(&mut rig, &format!("ns/s{number}"), &["10.244.2.30"]);
    }
    rig.restart();
    rig.calls();
    rig.proxy.audit(&rig.client).unwrap();
    assert_eq!((rig.calls(), distrusted(&rig)), ((7 + 2, 0), vec![]));
}

#[test]
fn a_v1_list_with_many_incomplete_load_balancers_is_not_used_again() {
    let mut rig = served("15.5", ApiVersion::V2);
    let before = rig.objects();
    show(&mut rig, "/policylists/", |list| list["References"] = json!(["x"]));
    rig.calls();
    audits(&mut rig);
    assert_eq!((rig.calls(), rig.objects()), ((2 * AUDITS as u64 + 2 * 4, 0), before));
    assert_eq!(distrusted(&rig), [Kind::LoadBalancer]);
}

#[test]
fn a_few_of_many_objects_that_cannot_be_read_are_verified_at_an_audit() {
    for (kind, path) in [(Kind::LoadBalancer, "/policylists/"), (Kind::Endpoint, "/endpoints/")] {
        let mut rig = served("15.5", ApiVersion::V2);
        for id in ids(&rig, kind).into_iter().filter(|id| proxy::identity::is_ours(*id)) {
            let mut document = rig.emulator.document(kind, id).unwrap();
            let member = if kind == Kind::LoadBalancer { "SourceVIP" } else { "MacAddress" };
            document[member] = json!(["odd"]);
            rig.emulator.replace(kind, id, document);
        }
        show(&mut rig, path, |object| {
            object["References"] = json!(["x"]);
            object["MacAddress"] = json!("02-11-00-00-00-01");
        });
        rig.calls();
        // Two cycles, in each of which 16 of 20 are read.
        audits(&mut rig);
        assert_eq!((writes(&rig), distrusted(&rig)), (vec![], vec![]), "{kind:?}");
        let read = rig.emulator.journal().iter().filter(|entry| entry.function.starts_with("HcnOpen")).count();
        assert_eq!((rig.calls().0, read), (2 * AUDITS as u64 + 2 * 2 * 16, 2 * 16), "{kind:?}");
    }
}

#[test]
fn new_endpoints_that_a_v1_list_shows_with_other_contents_are_trusted_by_their_ids() {
    let mut rig = served("15.5", ApiVersion::V2);
    // The next audit that lists contents is a cycle later.
    let lists_contents = |rig: &Rig| rig.emulator.journal().iter().any(|entry| entry.subject.contains("/endpoints/"));
    while !lists_contents(&rig) {
        rig.sync();
    }
    (0..10).for_each(|_| drop(rig.sync()));
    let ours: Vec<_> = ids(&rig, Kind::Endpoint).into_iter().filter(|id| proxy::identity::is_ours(*id)).collect();
    let documents: Vec<_> = ours.iter().map(|id| rig.emulator.document(Kind::Endpoint, *id).unwrap()).collect();
    ours.iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, *id));
    rig.proxy.audit(&rig.client).unwrap();
    for document in documents {
        rig.emulator.add(Kind::Endpoint, document);
    }
    show(&mut rig, "/endpoints/", |endpoint| endpoint["MacAddress"] = json!("02-11-00-00-00-01"));
    rig.calls();
    rig.proxy.audit(&rig.client).unwrap();
    // Three lists, and five of the 20 endpoints.
    assert_eq!((rig.calls().0, distrusted(&rig)), (3 + 5 * 2, vec![Kind::Endpoint]));
    assert_eq!(rig.proxy.observed().endpoint_count(), 40);
}
