//! Defects that random worlds found, each as a scenario.

use std::time::Duration;

use hcn::{ApiVersion, Guid, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::apply::{Interruption, OneByOne};
use proxy::testing::service;
use proxy::{Liveness, Reconciler, Settings, Unready};
use serde_json::json;

use crate::faults::{add_foreign, back, empty, ids, serve, writes};
use crate::lists::{audits, served};
use crate::rig::{Rig, own_host};

/// Makes the nth creation of a load balancer from now on have an effect.
fn at_creation(rig: &Rig, nth: u64, effect: Effect) {
    let which = Which::Function("HcnCreateLoadBalancer".into());
    rig.emulator.inject(Fault { which, from: nth, every: 0, effect });
}

#[test]
fn take_over_deletes_nothing_before_dns_is_programmed_on_an_overlay_network() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let pod = rig.local("pod", &["10.244.1.5"]);
    add_foreign(&rig, "10.96.0.9", pod);
    rig.proxy = Reconciler::new(Settings { take_over: true, ..rig.settings.clone() }, own_host());
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "kube-system/kube-dns", "10.96.0.10", &["10.244.2.53"]);
    rig.calls();
    rig.sync();
    let balancers: Vec<_> = writes(&rig).into_iter().filter(|write| write.ends_with("LoadBalancer")).collect();
    assert_eq!(balancers, ["HcnCreateLoadBalancer", "HcnDeleteLoadBalancer"]);
}

#[test]
fn the_endpoint_of_a_load_balancer_that_may_have_been_restored_stays() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    at_creation(&rig, 1, Effect::Fail(Hresult::HCN_E_INVALID_POLICY));
    at_creation(&rig, 2, Effect::FailAfter(Hresult::E_OUTOFMEMORY));
    rig.run();
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1", "remote 10.244.2.2"]
    );
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn the_endpoint_of_a_load_balancer_that_may_have_been_created_stays() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    at_creation(&rig, 1, Effect::FailAfter(Hresult::E_OUTOFMEMORY));
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.run();
    let all = writes(&rig);
    let last = |function| all.iter().rposition(|write| *write == function);
    assert!(last("HcnDeleteEndpoint") > last("HcnDeleteLoadBalancer"), "{all:?}");
    let before = |function| all.iter().position(|write| *write == function);
    assert!(before("HcnDeleteEndpoint").is_none_or(|at| Some(at) > before("HcnDeleteLoadBalancer")), "{all:?}");
    rig.now += Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn the_endpoint_of_a_load_balancer_that_exists_and_cannot_be_read_stays() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    at_creation(&rig, 1, Effect::FailAfter(Hresult::ERROR_ALREADY_EXISTS));
    rig.break_once("HcnOpenLoadBalancer", false, Hresult::E_OUTOFMEMORY);
    rig.sync();
    back(&mut rig, "ns/web", &[]);
    rig.calls();
    rig.run();
    assert_eq!(
        (rig.objects(), writes(&rig)),
        (vec!["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0".to_owned(), "remote 10.244.2.1".to_owned()], vec![])
    );
    rig.settle();
    assert_eq!(rig.objects(), Vec::<String>::new());
}

#[test]
fn an_outage_while_a_load_balancer_is_restored_ends_the_run() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/a", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/b", "10.96.0.2", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/a", &["10.244.2.2"]);
    back(&mut rig, "ns/b", &["10.244.2.2"]);
    at_creation(&rig, 1, Effect::Fail(Hresult::HCN_E_INVALID_POLICY));
    at_creation(&rig, 2, Effect::Fail(Hresult::RPC_S_SERVER_UNAVAILABLE));
    rig.calls();
    rig.run();
    let create = "HcnCreateLoadBalancer";
    assert_eq!(writes(&rig), ["HcnCreateEndpoint", "HcnDeleteLoadBalancer", create, create]);
    assert_eq!(rig.proxy.liveness(), Liveness::Unavailable);
    rig.settle();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0",
            "lb 10.96.0.2:80/6 -> 10.244.2.2:8080 flags 1/0",
            "remote 10.244.2.2"
        ]
    );
}

#[test]
fn an_endpoint_that_an_interruption_has_left_is_created_by_the_next_run() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    ids(&rig, Kind::Endpoint).into_iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, id));
    rig.proxy.audit(&rig.client).unwrap();
    let interrupt = || Some(Interruption::Shutdown);
    rig.proxy.run_until(&rig.client, rig.now, &OneByOne, &interrupt);
    assert!(!rig.proxy.is_in_sync());
    rig.run();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
}

#[test]
fn a_load_balancer_that_may_have_been_deleted_is_created_again() {
    for version in ["14.0", "15.5"] {
        let mut rig = empty(version);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let objects = rig.objects();
        rig.break_once("HcnDeleteLoadBalancer", true, Hresult::E_OUTOFMEMORY);
        back(&mut rig, "ns/web", &[]);
        rig.run();
        back(&mut rig, "ns/web", &["10.244.2.1"]);
        rig.run();
        // A second later, the frontend may be replaced again.
        rig.now += Duration::from_secs(1);
        rig.run();
        assert_eq!(rig.proxy.unready(), []);
        assert_eq!(rig.objects(), objects);
    }
}

#[test]
fn an_endpoint_that_may_have_been_deleted_is_created_again() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let objects = rig.objects();
    let service = service("ns/web").cluster_ip("10.96.0.1").port(80).build();
    // The first is that of the Service address, which no load balancer refers to.
    rig.break_once("HcnDeleteEndpoint", true, Hresult::E_OUTOFMEMORY);
    rig.proxy.delete_service(&service.name);
    rig.run();
    rig.proxy.apply_service(service);
    rig.run();
    rig.now += Duration::from_secs(60);
    rig.run();
    assert_eq!(rig.proxy.unready(), []);
    assert_eq!(rig.objects(), objects);
}

#[test]
fn an_outage_between_two_deletions_on_a_frontend_ends_the_run() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let endpoint = ids(&rig, Kind::Endpoint)[0];
    add_foreign(&rig, "10.96.0.1", endpoint);
    rig.proxy.audit(&rig.client).unwrap();
    back(&mut rig, "ns/web", &[]);
    rig.break_once("HcnDeleteLoadBalancer", false, Hresult::RPC_S_SERVER_UNAVAILABLE);
    rig.calls();
    rig.run();
    assert_eq!(writes(&rig), ["HcnDeleteLoadBalancer"]);
    assert_eq!(rig.proxy.liveness(), Liveness::Unavailable);
    rig.settle();
    assert_eq!(rig.objects(), Vec::<String>::new());
}

#[test]
fn dns_stays_first_after_an_outage_that_struck_it() {
    let mut rig = empty("15.5");
    serve(&mut rig, "app/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "kube-system/kube-dns", "10.96.0.10", &["10.244.2.53"]);
    at_creation(&rig, 1, Effect::Fail(Hresult::RPC_S_SERVER_UNAVAILABLE));
    rig.sync();
    let balancers = |rig: &Rig| {
        let objects = rig.objects().into_iter();
        objects.filter(|line| line.starts_with("lb")).collect::<Vec<_>>()
    };
    assert_eq!(balancers(&rig), Vec::<String>::new());
    rig.now += Duration::from_secs(1);
    at_creation(&rig, 2, Effect::Fail(Hresult::RPC_S_SERVER_UNAVAILABLE));
    rig.sync();
    assert_eq!(balancers(&rig), ["lb 10.96.0.10:80/6 -> 10.244.2.53:8080 flags 1/0"]);
}

#[test]
fn an_endpoint_that_may_have_been_created_keeps_the_node_unready_until_a_list_shows_it() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.break_once("HcnCreateEndpoint", true, Hresult::E_OUTOFMEMORY);
    rig.sync();
    back(&mut rig, "ns/web", &[]);
    // The retry is due, and there is nothing to retry.
    rig.now += Duration::from_secs(60);
    rig.run();
    assert_eq!((rig.objects(), rig.proxy.unready()), (vec!["remote 10.244.2.1".into()], vec![uncertain()]));
    rig.sync();
    assert_eq!((rig.objects(), rig.proxy.unready()), (vec![], vec![]));
}

#[test]
fn a_load_balancer_that_may_have_been_created_keeps_the_node_unready_until_a_list_shows_it() {
    let mut rig = empty("14.0");
    rig.local("pod", &["10.244.1.5"]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.5"]);
    at_creation(&rig, 1, Effect::FailAfter(Hresult::E_OUTOFMEMORY));
    rig.sync();
    back(&mut rig, "ns/web", &[]);
    rig.run();
    let objects = vec!["lb 10.96.0.1:80/6 -> 10.244.1.5:8080 flags 1/0".into(), "local 10.244.1.5".into()];
    assert_eq!((rig.objects(), rig.proxy.unready()), (objects, vec![uncertain()]));
    rig.sync();
    assert_eq!((rig.objects(), rig.proxy.unready()), (vec!["local 10.244.1.5".into()], vec![]));
}

#[test]
fn a_v1_list_that_is_out_of_date_does_not_end_an_uncertainty() {
    // The audits that list contents, and the creation that fails.
    let cases = [(4, Kind::Endpoint, "HcnCreateEndpoint"), (8, Kind::LoadBalancer, "HcnCreateLoadBalancer")];
    for (position, kind, function) in cases {
        let mut rig = empty("15.5");
        rig.local("pod", &["10.244.1.5"]);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.5"]);
        for _ in 1..position {
            rig.now += Duration::from_secs(5);
            rig.sync();
        }
        let objects = rig.objects();
        rig.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Stale));
        serve(&mut rig, "ns/api", "10.96.0.2", &["10.244.2.9"]);
        rig.break_once(function, true, Hresult::E_OUTOFMEMORY);
        rig.run();
        back(&mut rig, "ns/api", &[]);
        // The retry is due, and there is nothing to retry.
        rig.now += Duration::from_secs(60);
        rig.run();
        assert_ne!(rig.objects(), objects);
        rig.sync();
        // The endpoint of the load balancer is deleted after it.
        rig.now += Duration::from_secs(60);
        rig.run();
        assert_eq!((rig.objects(), rig.proxy.unready()), (objects, vec![]), "{kind:?}");
    }
}

fn uncertain() -> Unready {
    Unready::CreationsUncertain(1)
}

/// The audits of one cycle. Each lists something else.
const CYCLE: usize = 12;

/// Audits at a longer interval than the process, so that a repair of one cycle does not count as an incident in the next.
fn audit(rig: &mut Rig, times: usize) {
    for _ in 0..times {
        rig.now += Duration::from_secs(30);
        rig.sync();
    }
}

#[test]
fn an_endpoint_that_reappears_with_other_content_is_replaced_within_a_cycle_of_audits() {
    for audits in 0..CYCLE {
        let mut rig = empty("15.5");
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let right = rig.emulator.documents(Kind::Endpoint);
        let mut wrong = right[0].clone();
        wrong["MacAddress"] = "02-11-de-ad-be-ef".into();
        rig.emulator.add(Kind::Endpoint, wrong.clone());
        audit(&mut rig, CYCLE);
        let macs = |rig: &Rig| {
            let endpoints = rig.emulator.documents(Kind::Endpoint).into_iter();
            endpoints.map(|mut endpoint| endpoint["MacAddress"].take()).collect::<Vec<_>>()
        };
        assert_eq!(macs(&rig), [right[0]["MacAddress"].clone()]);
        audit(&mut rig, audits);
        rig.emulator.add(Kind::Endpoint, wrong);
        audit(&mut rig, CYCLE);
        assert_eq!(macs(&rig), [right[0]["MacAddress"].clone()], "after {audits} audits");
    }
}

#[test]
fn a_load_balancer_that_reappears_with_another_backend_port_is_replaced() {
    for audits in 0..CYCLE {
        let mut rig = empty("15.5");
        rig.local("pod", &["10.244.1.5"]);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.5"]);
        rig.sync();
        let objects = rig.objects();
        let mut wrong = rig.emulator.documents(Kind::LoadBalancer)[0].clone();
        wrong["PortMappings"][0]["InternalPort"] = 7.into();
        back(&mut rig, "ns/web", &[]);
        audit(&mut rig, audits + 1);
        rig.emulator.add(Kind::LoadBalancer, wrong);
        back(&mut rig, "ns/web", &["10.244.1.5"]);
        rig.sync();
        assert_eq!((rig.proxy.unready(), rig.objects()), (vec![], objects), "after {audits} audits");
    }
}

#[test]
fn the_endpoint_of_a_backend_in_another_network_is_deleted_although_the_first_attempt_failed() {
    let mut rig = Rig::with(&["L2Bridge", "L2Bridge"], "14.0", ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.11"]);
    rig.sync();
    // Most backends are in the second network, so the backend in the first is left out.
    back(&mut rig, "ns/web", &["10.244.1.11", "10.245.1.11", "10.245.1.12"]);
    rig.break_once("HcnDeleteEndpoint", false, Hresult::E_OUTOFMEMORY);
    rig.run();
    rig.now += Duration::from_secs(60);
    rig.run();
    let objects = [
        "lb 10.96.0.1:80/6 -> 10.245.1.11,10.245.1.12:8080 flags 1/0",
        "remote 10.245.1.11 in cbr1",
        "remote 10.245.1.12 in cbr1",
    ];
    assert_eq!((rig.proxy.unready(), rig.objects()), (vec![], objects.map(String::from).to_vec()));
}

#[test]
fn a_restart_keeps_the_replacement_of_an_endpoint_that_another_program_has_modified_and_uses() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let mut wrong = rig.emulator.documents(Kind::Endpoint).remove(0);
    wrong["MacAddress"] = "02-11-de-ad-be-ef".into();
    let endpoint = rig.emulator.add(Kind::Endpoint, wrong);
    add_foreign(&rig, "10.96.0.9", endpoint);
    audit(&mut rig, CYCLE);
    assert_eq!((rig.proxy.unready(), ids(&rig, Kind::Endpoint).len()), (vec![], 2));
    rig.restart();
    rig.calls();
    rig.sync();
    assert_eq!((rig.proxy.unready(), writes(&rig)), (vec![], vec![]));
}

#[test]
fn a_modified_endpoint_that_hns_keeps_after_its_deletion_is_not_used_again() {
    let mut rig = served("14.0", ApiVersion::V2);
    rig.emulator.change_quirks(|quirks| quirks.silent_delete = true);
    let emulator = rig.emulator.clone();
    let id = |mac: &str| {
        let documents = emulator.documents(Kind::Endpoint);
        let of_first =
            documents.into_iter().find(|one| one["MacAddress"] == mac && one.to_string().contains("10.244.2.1\""));
        of_first.map(|one| one["ID"].as_str().unwrap().parse::<Guid>().unwrap())
    };
    let (ours, other) = ("02-11-0a-f4-02-01", "02-11-00-00-00-01");
    let modified = id(ours).unwrap();
    let mut document = rig.emulator.document(Kind::Endpoint, modified).unwrap();
    document["MacAddress"] = json!(other);
    rig.emulator.replace(Kind::Endpoint, modified, document);
    audits(&mut rig);
    let replacement = id(ours).expect("it is replaced");
    assert_eq!(id(other), Some(modified), "HNS keeps the old one");
    rig.emulator.remove(Kind::Endpoint, replacement);
    audits(&mut rig);
    let used: Vec<Guid> = rig
        .emulator
        .documents(Kind::LoadBalancer)
        .iter()
        .flat_map(|one| one["HostComputeEndpoints"].as_array().unwrap())
        .map(|id| id.as_str().unwrap().parse().unwrap())
        .collect();
    assert!(!used.contains(&modified) && used.contains(&id(ours).expect("it is created again")), "{used:?}");
}

#[test]
fn an_endpoint_that_hns_kept_after_its_deletion_is_read_before_it_is_used_again() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    rig.emulator.change_quirks(|quirks| quirks.silent_delete = true);
    let mut wrong = rig.emulator.documents(Kind::Endpoint).remove(0);
    let (kept, right) = (ids(&rig, Kind::Endpoint)[0], wrong["MacAddress"].take());
    wrong["MacAddress"] = "02-11-00-00-00-01".into();
    back(&mut rig, "ns/web", &[]);
    rig.run();
    rig.emulator.replace(Kind::Endpoint, kept, wrong);
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    rig.sync();
    let used = rig.emulator.documents(Kind::LoadBalancer)[0]["HostComputeEndpoints"][0].take();
    let used = rig.emulator.document(Kind::Endpoint, used.as_str().unwrap().parse().unwrap()).unwrap();
    assert_eq!(used["MacAddress"], right);
}
