//! HNS calls that fail, have no effect, or get no answer.

use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::testing::{backend, service, slice};

use super::{ONE, two_backends, web};
use crate::rig::Rig;

#[test]
fn a_modify_without_effect_is_detected_and_the_load_balancer_replaced() {
    let mut rig = Rig::l2bridge();
    rig.emulator.change_quirks(|q| q.silent_modify = true);
    web(&mut rig);
    rig.sync();
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.proxy.apply_slice(two.build());
    rig.run();
    assert!(!rig.proxy.capabilities().unwrap().modify);
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0".into()));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn a_failing_service_delays_no_other_and_is_retried() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.proxy.apply_service(service("ns/api").cluster_ip("10.96.0.2").port(80).build());
    rig.proxy.apply_slice(slice("ns/api-1", "ns/api").port(80).backend(backend("10.244.2.9")).build());
    rig.emulator.fail_nth("HcnCreateLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
    let report = rig.sync();
    assert_eq!(report.failures().count(), 1);
    assert!(rig.objects().iter().any(|line| line.starts_with("lb 10.96.0.1:80")));
    let proxy::Next::At(due) = report.next else { panic!("a retry is due") };
    assert!(rig.run().outcomes.is_empty(), "not before it is due");
    rig.now = due;
    rig.run();
    assert!(rig.objects().iter().any(|line| line.starts_with("lb 10.96.0.2:80")));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn the_other_backends_serve_without_an_endpoint_that_failed() {
    let mut rig = Rig::l2bridge();
    let two = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![two.build()]);
    rig.emulator.fail_nth("HcnCreateEndpoint", 1, hcn::Hresult::E_OUTOFMEMORY);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    rig.settle();
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1,10.244.2.2:8080 flags 1/0".into()));
}

#[test]
fn an_unavailable_hns_does_not_change_the_observed_state() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    let before = rig.objects();
    for function in ["HcnEnumerateNetworks", "HcnEnumerateEndpoints", "HcnEnumerateLoadBalancers"] {
        rig.emulator.fail_nth(function, 1, hcn::Hresult::RPC_S_SERVER_UNAVAILABLE);
        assert!((0..12).any(|_| rig.proxy.audit(&rig.client).is_err()), "each kind of list is called in a cycle");
        assert!(rig.run().outcomes.is_empty());
    }
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.objects(), before);
}

#[test]
fn an_endpoint_stays_while_its_load_balancer_cannot_be_modified() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.fail_nth("HcnModifyLoadBalancer", 1, hcn::Hresult::HCN_E_PORT_NOT_FOUND);
    let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
    rig.proxy.apply_slice(other);
    rig.run();
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1", "remote 10.244.2.2"]
    );
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn an_object_created_by_a_call_that_failed_is_adopted() {
    for function in ["HcnCreateEndpoint", "HcnCreateLoadBalancer"] {
        let mut rig = Rig::l2bridge();
        web(&mut rig);
        rig.emulator.inject(Fault {
            which: Which::Function(function.into()),
            from: 1,
            every: 0,
            effect: Effect::FailAfter(hcn::Hresult::RPC_S_CALL_FAILED),
        });
        let report = rig.sync();
        assert_eq!(report.failures().count(), 1);
        let proxy::Next::At(due) = report.next else { panic!("a retry is due") };
        rig.now = due;
        rig.calls();
        assert!(rig.run().failures().next().is_none());
        assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
        assert!(rig.proxy.is_in_sync());
        let deletes = rig.emulator.journal().iter().filter(|entry| entry.function.starts_with("HcnDelete")).count();
        assert_eq!(deletes, 0);
    }
}

#[test]
fn a_modify_that_took_effect_although_it_failed_is_compared_again() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.inject(Fault {
        which: Which::Function("HcnModifyLoadBalancer".into()),
        from: 1,
        every: 0,
        effect: Effect::FailAfter(hcn::Hresult::RPC_S_CALL_FAILED),
    });
    two_backends(&mut rig);
    web(&mut rig);
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}

#[test]
fn a_failed_endpoint_removes_no_working_load_balancer() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.fail_nth("HcnCreateEndpoint", 1, hcn::Hresult::E_OUTOFMEMORY);
    let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
    rig.proxy.apply_slice(other);
    rig.run();
    assert_eq!(rig.objects(), ONE);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn handles_are_opened_again_after_a_restart_of_hns() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.emulator.stop(&[]);
    rig.emulator.start();
    two_backends(&mut rig);
    assert!(rig.proxy.is_in_sync());
    assert!(rig.objects().contains(&"remote 10.244.2.2".into()));
}

#[test]
fn nothing_is_written_during_an_outage_and_everything_after_it() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.proxy.audit(&rig.client).unwrap();
    rig.emulator.stop(&[]);
    rig.calls();
    assert_eq!(rig.run().failures().count(), 1, "the first refusal is enough");
    let proxy::Next::At(due) = rig.run().next else { panic!("a retry is due") };
    assert_eq!(rig.calls().1, 0, "not even the network can be opened");
    rig.emulator.start();
    rig.now = due;
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), ONE);
}
