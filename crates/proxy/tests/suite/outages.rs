//! HNS becomes unavailable in the middle of a plan. No job begins after an unanswered call until an audit succeeds. A job that has deleted a
//! load balancer leaves its frontend without one only if a call of this job was unanswered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcn::call::{Call, Hcn, Reply};
use hcn::{ApiVersion, Client, Error, Hresult, Kind};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::apply::{Driver, NO_CLOCK, Queue};
use proxy::testing::{backend, service, slice};
use proxy::{AuditError, Host};
use serde_json::json;

use crate::faults::{back, empty, serve, writes};
use crate::rig::{Rig, own_host};

const GONE: Hresult = Hresult::RPC_S_CALL_FAILED;

#[test]
fn no_step_of_a_job_follows_an_unanswered_one() {
    // Without modify, a load balancer is replaced; another program has added a second one on its frontend.
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let mut second = rig.emulator.documents(Kind::LoadBalancer).remove(0);
    second["ID"] = json!("7b60c1d9-0000-5110-8c89-a9475b890000");
    second["PortMappings"][0]["InternalPort"] = json!(1);
    rig.emulator.add(Kind::LoadBalancer, second);
    rig.proxy.audit(&rig.client).unwrap();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.calls();
    rig.break_once("HcnDeleteLoadBalancer", false, GONE);
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateEndpoint", "HcnDeleteLoadBalancer"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

/// A load balancer that is about to be replaced by one with another backend.
fn replaced() -> Rig {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.calls();
    rig
}

#[test]
fn nothing_is_restored_while_hns_is_unavailable() {
    let mut rig = replaced();
    rig.break_once("HcnCreateLoadBalancer", false, GONE);
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn an_unanswered_restore_ends_the_plan() {
    let mut rig = replaced();
    serve(&mut rig, "ns/z", "10.96.0.9", &["10.244.2.9"]);
    rig.break_once("HcnCreateLoadBalancer", false, Hresult::HCN_E_PORT_NOT_FOUND);
    let fault = |from| Fault {
        which: Which::Function("HcnCreateLoadBalancer".into()),
        from,
        every: 0,
        effect: Effect::Fail(GONE),
    };
    rig.emulator.inject(fault(2));
    rig.run();
    let last = writes(&rig).into_iter().skip_while(|function| *function != "HcnDeleteLoadBalancer");
    assert_eq!(
        last.collect::<Vec<_>>(),
        ["HcnDeleteLoadBalancer", "HcnCreateLoadBalancer", "HcnCreateLoadBalancer"],
        "the restore is the last call"
    );
    assert!(matches!(rig.proxy.audit_error(), Some(AuditError::Hns(_))));
}

#[test]
fn an_unanswered_read_before_a_plan_ends_the_plan() {
    let mut rig = empty("15.5");
    rig.sync();
    // A pod without an endpoint yet: the endpoints are listed again.
    let pods = slice("ns/web-1", "ns/web")
        .port(8080)
        .backend(backend("10.244.1.11").on("here"))
        .backend(backend("10.244.2.1").on("there"));
    rig.proxy.apply_service(service("ns/web").cluster_ip("10.96.0.1").port(80).build());
    rig.proxy.apply_slice(pods.build());
    rig.calls();
    rig.break_once("HcnEnumerateEndpoints", false, GONE);
    let report = rig.run();
    assert_eq!((rig.calls(), report.outcomes), ((1, 0), vec![]));
    assert!(matches!(rig.proxy.audit_error(), Some(AuditError::Hns(_))));
    rig.run();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

#[test]
fn an_unanswered_list_after_a_refusal_ends_the_run() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.proxy.audit(&rig.client).unwrap();
    rig.break_once("HcnCreateLoadBalancer", false, Hresult::HCN_E_PORT_ALREADY_EXISTS);
    rig.break_once("HcnEnumerateEndpoints", false, GONE);
    rig.run();
    assert!(matches!(rig.proxy.audit_error(), Some(AuditError::Hns(_))));
    rig.now += Duration::from_secs(2);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

/// Two threads that take a job each. The second job begins when the first has its answer.
struct TwoAtOnce;

impl Driver for TwoAtOnce {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        let [Some(first), Some(second)] = [queue.take(), queue.take()] else { panic!("two jobs") };
        let answers = first.perform(client, NO_CLOCK);
        queue.record(first, answers);
        let answers = second.perform(client, NO_CLOCK);
        queue.record(second, answers);
        assert!(queue.take().is_none());
    }
}

#[test]
fn a_job_that_was_taken_begins_no_call_after_another_was_unanswered() {
    let mut rig = two_replaced();
    rig.break_once("HcnDeleteLoadBalancer", false, GONE);
    let report = rig.proxy.run_with(&rig.client, rig.now, &TwoAtOnce);
    assert_eq!((rig.calls(), report.outcomes.len()), ((1, 1), 1));
    rig.settle();
    assert_eq!(rig.objects()[..2], REPLACED);
}

/// Two threads that take a job each. When a call of the first job has been made, the whole second job is carried out.
struct TwoInterleaved {
    emulator: Arc<Emulator>,
    after: &'static str,
}

struct Interleaved<F> {
    emulator: Arc<Emulator>,
    after: &'static str,
    other: Mutex<Option<F>>,
}

impl<F: FnOnce() + Send> Hcn for Interleaved<F> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let answer = self.emulator.call(call);
        let other = (call.function() == self.after).then(|| self.other.lock().unwrap().take()).flatten();
        other.into_iter().for_each(|other| other());
        answer
    }
}

impl Driver for TwoInterleaved {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        while let Some(first) = queue.take() {
            let Some(second) = queue.take() else {
                let answers = first.perform(client, NO_CLOCK);
                queue.record(first, answers);
                continue;
            };
            let (performed, answered) = std::sync::mpsc::channel();
            let (other, plain) = (second.clone(), Client::new(self.emulator.clone(), client.api_version()));
            let other = move || performed.send(other.perform(&plain, NO_CLOCK)).unwrap();
            let hcn =
                Interleaved { emulator: self.emulator.clone(), after: self.after, other: Mutex::new(Some(other)) };
            let answers = first.perform(&Client::new(Arc::new(hcn), client.api_version()), NO_CLOCK);
            queue.record(first, answers);
            queue.record(second, answered.try_recv().unwrap());
        }
    }
}

/// Two load balancers that are about to be replaced, each by one with two backends.
fn two_replaced() -> Rig {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/a", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/b", "10.96.0.2", &["10.244.2.2"]);
    rig.sync();
    back(&mut rig, "ns/a", &["10.244.2.1", "10.244.2.2"]);
    back(&mut rig, "ns/b", &["10.244.2.1", "10.244.2.2"]);
    rig.calls();
    rig
}

const REPLACED: [&str; 2] = [
    "lb 10.96.0.1:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0",
    "lb 10.96.0.2:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0",
];

/// Replaces two load balancers, interleaved. The nth calls of functions fail.
fn interleaved(faults: &[(&str, u64, Hresult)]) -> Rig {
    let mut rig = two_replaced();
    for (function, from, code) in faults {
        let (which, effect) = (Which::Function((*function).into()), Effect::Fail(*code));
        rig.emulator.inject(Fault { which, from: *from, every: 0, effect });
    }
    let driver = TwoInterleaved { emulator: rig.emulator.clone(), after: "HcnDeleteLoadBalancer" };
    rig.proxy.run_with(&rig.client, rig.now, &driver);
    assert!(matches!(rig.proxy.audit_error(), Some(AuditError::Hns(_))));
    rig
}

#[test]
fn a_job_that_has_deleted_creates_although_another_was_unanswered() {
    let mut rig = interleaved(&[("HcnDeleteLoadBalancer", 2, GONE)]);
    assert_eq!(writes(&rig), ["HcnDeleteLoadBalancer", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"]);
    let old = "lb 10.96.0.2:80/6 -> 10.244.2.2:8080 flags 1/0";
    assert_eq!(rig.objects()[..2], [REPLACED[0], old]);
    rig.settle();
    assert_eq!(rig.objects()[..2], REPLACED);
}

#[test]
fn a_job_that_has_deleted_restores_although_another_was_unanswered() {
    let invalid = Hresult::HCN_E_INVALID_POLICY;
    let mut rig = interleaved(&[("HcnDeleteLoadBalancer", 2, GONE), ("HcnCreateLoadBalancer", 1, invalid)]);
    let (delete, create) = ("HcnDeleteLoadBalancer", "HcnCreateLoadBalancer");
    assert_eq!(writes(&rig), [delete, delete, create, create]);
    let old = "10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0";
    assert_eq!(rig.objects()[0], format!("lb {old}"));
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects()[..2], REPLACED);
}

#[test]
fn a_job_that_has_deleted_makes_no_call_after_its_own_unanswered_one() {
    let mut rig = interleaved(&[("HcnDeleteLoadBalancer", 2, GONE), ("HcnCreateLoadBalancer", 1, GONE)]);
    let (delete, create) = ("HcnDeleteLoadBalancer", "HcnCreateLoadBalancer");
    assert_eq!(writes(&rig), [delete, delete, create]);
    rig.settle();
    assert_eq!(rig.objects()[..2], REPLACED);
}

#[test]
fn an_object_that_cannot_be_read_because_hns_is_unavailable_is_not_absent() {
    let mut rig = empty("15.5");
    rig.sync();
    rig.local("pod", &["10.244.1.11"]);
    rig.break_once("HcnOpenEndpoint", false, GONE);
    assert!(matches!(rig.proxy.audit(&rig.client), Err(AuditError::Hns(_))));
    rig.proxy.audit(&rig.client).unwrap();
    assert!(rig.proxy.observed().local_at("10.244.1.11".parse().unwrap()).is_some());
}

#[test]
fn a_start_without_the_v1_list_reads_load_balancers_that_may_have_been_modified() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.1", "10.244.2.2"]);
    rig.run();
    // While no process runs, the second backend goes: the id is that of the desired content, the content is not.
    rig.restart();
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    rig.emulator.inject(Fault::of_each(Which::V1List(Kind::LoadBalancer), Effect::Fail(Hresult::E_ACCESSDENIED)));
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

#[test]
fn a_cluster_change_between_the_parts_of_an_audit_lists_the_endpoints_of_new_pods() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    while !rig.proxy.audit_step(&rig.client).unwrap().paused {}
    let pod = slice("ns/api-1", "ns/api").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.proxy.apply_service(service("ns/api").cluster_ip("10.96.0.2").port(80).build());
    rig.proxy.apply_slice(pod.build());
    rig.local("pod", &["10.244.1.11"]);
    // The second part lists load balancers only.
    assert!(!rig.proxy.audit_step(&rig.client).unwrap().paused);
    rig.run();
    assert!(rig.objects().contains(&"lb 10.96.0.2:80/6 -> 10.244.1.11:8080 flags 1/0".into()));
}

#[test]
fn an_overlay_network_without_the_address_of_the_node_is_reported_until_it_has_one() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    let before = rig.objects();
    rig.proxy.set_host(Host { node_ips: Vec::new(), ..own_host() });
    rig.calls();
    for _ in 0..24 {
        let error = rig.proxy.audit(&rig.client).unwrap_err();
        assert!(matches!(error, AuditError::OverlayNeeds { needs: "the node IP", .. }), "{error}");
        assert!(rig.run().outcomes.is_empty());
    }
    assert_eq!(rig.calls().1, 0);
    rig.proxy.set_host(own_host());
    rig.settle();
    assert_eq!((rig.objects(), rig.calls().1), (before, 0));
}

#[test]
fn a_start_lists_the_endpoints_once_while_local_ones_are_awaited() {
    let mut rig = empty("15.5");
    for number in 0..700_u32 {
        let address = std::net::Ipv4Addr::from(0x0a60_0001 + number).to_string();
        let name = format!("ns/s{number}");
        rig.proxy.apply_service(service(&name).cluster_ip(&address).port(80).build());
        let pod = std::net::Ipv4Addr::from(0x0af4_0101 + number).to_string();
        rig.proxy.apply_slice(slice(&format!("{name}-1"), &name).port(80).backend(backend(&pod).on("here")).build());
    }
    rig.proxy.audit(&rig.client).unwrap();
    rig.calls();
    // Each batch takes so long that the retries of the batch before are due.
    for frontends in [256, 256] {
        assert_eq!((rig.run().work.frontends, rig.calls()), (frontends, (0, 0)));
        rig.now += Duration::from_secs(2);
    }
    // The last batch is planned with the retries of the others.
    let last = [(); 3].map(|()| (rig.run().work.frontends, rig.calls()));
    assert_eq!(last, [(256, (1, 0)), (256, (0, 0)), (188, (0, 0))]);
    rig.local("pod", &["10.244.1.1"]);
    rig.now += Duration::from_secs(2);
    let _ = [(); 3].map(|()| rig.run());
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.1.1:80 flags 1/0".into()));
}
