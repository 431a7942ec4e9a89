//! HNS v1 lists that show other contents than HNS has: the number of objects that are read because of it has a limit.

use std::sync::Arc;

use hcn::{ApiVersion, Call, Client, Error, Guid, Hcn, Kind, Reply};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::Unready;
use serde_json::{Value, json};

use crate::faults::{back, ids, writes};
use crate::lists::{AUDITS, audits, distrusted, sample, served, served_many};
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
    assert_eq!(rig.calls(), (2 * AUDITS as u64 + 2 * sample(&rig, Kind::LoadBalancer), 0));
}

#[test]
fn a_start_after_many_changes_reads_one_load_balancer_and_trusts_the_v1_list() {
    let mut rig = served("15.5", ApiVersion::V2);
    for number in 1..=20 {
        back(&mut rig, &format!("ns/s{number}"), &["10.244.2.30"]);
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
    assert_eq!(
        (rig.calls(), rig.objects()),
        ((2 * AUDITS as u64 + 2 * 4 + sample(&rig, Kind::LoadBalancer), 0), before)
    );
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
        let read = opened(&rig);
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

/// The number of objects that were read.
fn opened(rig: &Rig) -> usize {
    rig.emulator.journal().iter().filter(|entry| entry.function.starts_with("HcnOpen")).count()
}

/// Makes the v1 list of load balancers show this moment from now on, and leaves each load balancer one backend.
fn lose_backends_behind_a_stale_list(rig: &Rig) {
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Stale));
    for id in ids(rig, Kind::LoadBalancer) {
        let mut document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
        document["HostComputeEndpoints"].as_array_mut().unwrap().truncate(1);
        rig.emulator.replace(Kind::LoadBalancer, id, document);
    }
}

#[test]
fn load_balancers_of_a_v1_list_that_is_found_wrong_later_are_read() {
    let mut rig = served("15.5", ApiVersion::V2);
    let load_balancers = ids(&rig, Kind::LoadBalancer).len();
    let (one, two) = (["10.244.2.1", "10.244.2.2"], ["10.244.2.1", "10.244.2.3"]);
    back(&mut rig, "ns/s1", &two);
    rig.settle();
    let before = rig.objects();
    back(&mut rig, "ns/s1", &one);
    rig.settle();
    lose_backends_behind_a_stale_list(&rig);
    rig.restart();
    rig.calls();
    rig.sync();
    audits(&mut rig);
    // Nothing shows that the list is wrong, so its backends cost no call.
    assert_eq!((rig.calls(), distrusted(&rig)), ((7 + 2 * AUDITS as u64, 0), vec![]));
    // The list has other backends than hnsproxy has written.
    back(&mut rig, "ns/s1", &two);
    rig.run();
    rig.calls();
    for _ in 0..AUDITS {
        rig.proxy.audit(&rig.client).unwrap();
    }
    // Each, and a sample in the second cycle.
    let sampled = usize::try_from(sample(&rig, Kind::LoadBalancer) / 2).unwrap();
    assert_eq!((opened(&rig), rig.proxy.take_drift()), (load_balancers + sampled, vec![]));
    rig.settle();
    assert_eq!((rig.objects(), rig.proxy.unready()), (before, vec![]));
    rig.calls();
    audits(&mut rig);
    assert_eq!(rig.calls(), (2 * AUDITS as u64 + 2 * sample(&rig, Kind::LoadBalancer), 0));
}

#[test]
fn what_was_taken_from_a_v1_list_that_is_found_wrong_is_read_in_parts() {
    let mut rig = served_many("15.5", ApiVersion::V2, 150);
    back(&mut rig, "ns/s1", &["10.244.2.1", "10.244.2.2"]);
    rig.settle();
    let before = rig.objects();
    back(&mut rig, "ns/s1", &["10.244.2.1"]);
    rig.settle();
    lose_backends_behind_a_stale_list(&rig);
    rig.restart();
    rig.settle();
    back(&mut rig, "ns/s1", &["10.244.2.1", "10.244.2.2"]);
    rig.run();
    let mut steps = Vec::new();
    for _ in 0..2 * AUDITS {
        rig.calls();
        let report = rig.proxy.audit_step(&rig.client).unwrap();
        let reasons: Vec<_> =
            rig.proxy.unready().into_iter().filter(|one| matches!(one, Unready::ObjectsUnverified(_))).collect();
        if opened(&rig) > 0 {
            steps.push((opened(&rig), report.paused, reasons));
        }
        rig.run();
    }
    // One shows that the list is wrong, and 149 were taken from it. In the second cycle, 16 are read.
    let read = [(128, true, vec![Unready::ObjectsUnverified(22)]), (22, false, vec![]), (16, false, vec![])];
    assert_eq!(steps, read);
    assert_eq!(rig.objects(), before);
}

#[test]
fn load_balancers_of_a_wrong_v1_list_that_cannot_be_read_keep_endpoints_and_the_node_unready() {
    // It is read, or written.
    for last in ["10.244.2.3", "10.244.2.4"] {
        let mut rig = served("15.5", ApiVersion::V2);
        let change = |rig: &mut Rig, name: &str, address: &str| {
            back(rig, name, &[address]);
            rig.settle();
        };
        change(&mut rig, "ns/s1", "10.244.2.3");
        change(&mut rig, "ns/s2", "10.244.2.3");
        change(&mut rig, "ns/s3", last);
        let after = rig.objects();
        change(&mut rig, "ns/s1", "10.244.2.1");
        change(&mut rig, "ns/s2", "10.244.2.2");
        change(&mut rig, "ns/s3", "10.244.2.3");
        lose_backends_behind_a_stale_list(&rig);
        rig.restart();
        rig.settle();
        let third = |id: &Guid| {
            rig.emulator.document(Kind::LoadBalancer, *id).unwrap()["FrontendVIPs"][0] == json!("10.96.0.3")
        };
        let id = ids(&rig, Kind::LoadBalancer).into_iter().find(third).unwrap();
        let document = rig.emulator.document(Kind::LoadBalancer, id).unwrap();
        let mut odd = document.clone();
        odd["HostComputeEndpoints"] = json!("odd");
        rig.emulator.replace(Kind::LoadBalancer, id, odd);
        let endpoints = ids(&rig, Kind::Endpoint);
        back(&mut rig, "ns/s1", &["10.244.2.3"]);
        rig.run();
        audits(&mut rig);
        back(&mut rig, "ns/s2", &["10.244.2.3"]);
        rig.run();
        rig.calls();
        audits(&mut rig);
        // It is read once in a cycle, with two calls, beside the sample.
        let sample = sample(&rig, Kind::LoadBalancer);
        assert_eq!(
            (rig.calls(), rig.proxy.unready()),
            ((2 * AUDITS as u64 + 4 + 2 * sample, 0), vec![Unready::ObjectsUnverified(1)])
        );
        let kept: Vec<_> = ids(&rig, Kind::Endpoint).into_iter().filter(|id| endpoints.contains(id)).collect();
        assert_eq!(
            kept.len() + 1,
            endpoints.len(),
            "before the contradiction, nothing shows that the endpoint may be used"
        );
        if last == "10.244.2.3" {
            rig.emulator.replace(Kind::LoadBalancer, id, document);
            audits(&mut rig);
        } else {
            back(&mut rig, "ns/s3", &[last]);
            rig.run();
        }
        assert_eq!((rig.objects(), rig.proxy.unready()), (after, vec![]));
    }
}

#[test]
fn endpoints_of_a_v1_list_that_is_found_wrong_later_are_read() {
    let mut rig = served("15.5", ApiVersion::V2);
    let before = rig.objects();
    rig.restart();
    // The pods of two Services, as if each had the address of the other.
    show(&mut rig, "/endpoints/", |endpoint| {
        let swapped = match endpoint["IPAddress"].as_str() {
            Some("10.244.1.1") => "10.244.1.2",
            Some("10.244.1.2") => "10.244.1.1",
            _ => return,
        };
        endpoint["IPAddress"] = json!(swapped);
    });
    rig.settle();
    assert_ne!(rig.objects(), before);
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::Endpoint), Effect::Partial(50)));
    rig.calls();
    audits(&mut rig);
    assert_eq!((rig.objects(), distrusted(&rig), rig.proxy.unready()), (before, vec![Kind::Endpoint], vec![]));
}
