//! `/debug/services`, `/debug/hns`, `/debug/pending` and `/debug/networks`, and their examples in `docs/api.md`.

use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing;
use serde_json::{Value, json};
use test_api_server::{Credentials, Kind};

use super::status_api::example;
use super::{MIXED, in_sync, start};
use crate::support::cluster::Cluster;
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

fn page(running: &Running, path: &str) -> Value {
    let answer = get(running.metrics, path).unwrap();
    assert_eq!((answer.code, answer.header("content-type")), (200, "application/json"), "{path}");
    answer.json()
}

fn names(page: &Value) -> Vec<String> {
    let services = page["services"].as_array().unwrap();
    services.iter().map(|service| service["service"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn services_pending_changes_and_networks_are_as_documented() {
    let (_hns, running) = in_sync(&[]);
    for (title, path) in [
        ("/debug/services", "/debug/services?q=kube-system/&pretty"),
        ("/debug/services/NAMESPACE/NAME", "/debug/services/default/kubernetes?pretty"),
        ("/debug/pending", "/debug/pending"),
        ("/debug/networks", "/debug/networks"),
    ] {
        let now = page(&running, path);
        let mut expected = example(title);
        for name in ["process", "age_seconds"] {
            if let Some(value) = now.get(name) {
                expected[name] = value.clone();
            }
        }
        assert_eq!(now, expected, "docs/api.md differs from\n{now:#}");
    }
}

#[test]
fn hns_calls_are_counted_by_function() {
    let (hns, running) = in_sync(&[]);
    let now = page(&running, "/debug/hns");
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let expected = example("/debug/hns");
    assert_eq!((names(&now), names(&now["calls"][0])), (names(&expected), names(&expected["calls"][0])));
    let create = |page: &Value| {
        let calls = page["calls"].as_array().unwrap().clone();
        calls.into_iter().find(|call| call["function"] == "HcnCreateLoadBalancer").unwrap()
    };
    assert_eq!(create(&now)["count"], hns.calls_of("HcnCreateLoadBalancer"));
    let seconds = ["p50_seconds", "p90_seconds", "p99_seconds", "max_seconds"].map(|name| create(&now)[name].as_f64());
    assert!(seconds[0] > Some(0.0) && seconds.is_sorted(), "{now:#}");
}

#[test]
fn services_are_listed_in_pages() {
    let (_hns, running) = in_sync(&[]);
    let all = page(&running, "/debug/services?limit=1000");
    assert_eq!((&all["continue"], &all["total"]), (&Value::Null, &json!(names(&all).len())));
    let (mut paged, mut path) = (Vec::new(), "/debug/services?limit=7".to_owned());
    loop {
        let part = page(&running, &path);
        assert!(names(&part).len() <= 7 && part["total"] == all["total"]);
        paged.extend(names(&part));
        let Some(next) = part["continue"].as_str() else { break };
        path = format!("/debug/services?limit=7&continue={next}");
    }
    assert_eq!(paged, names(&all));
}

#[test]
fn a_service_that_is_refused_is_listed_as_failed() {
    let hns = Hns::of(MIXED);
    let effect = Effect::Fail(hcn::Hresult::E_INVALIDARG);
    hns.emulator.inject(Fault { which: Which::Function("HcnCreateLoadBalancer".into()), from: 1, every: 1, effect });
    let running = start(&hns, &[]);
    running.wait_until_waiting_for("RetriesPending");
    let failed = page(&running, "/debug/services?state=failed&limit=1000");
    assert!(failed["total"].as_u64() > Some(0));
    let problems = page(&running, "/debug/services?state=problem&limit=1000");
    assert!(names(&failed).iter().all(|name| names(&problems).contains(name)));
    assert!(!names(&page(&running, "/debug/pending")).is_empty());
    hns.emulator.clear_faults();
    running.wait_until_in_sync();
    assert_eq!(page(&running, "/debug/services?state=failed")["total"], 0);
}

#[test]
fn services_are_listed_while_the_network_is_missing() {
    let (hns, file) = (Hns::of(MIXED), ConfigFile::new("winkernel: {enableDSR: true}"));
    let (cluster, at) = (cluster_flag(MIXED), hns.flag());
    let flags = [cluster.as_str(), &at];
    let running = file.start(&flags);
    running.wait_until_in_sync();
    let all = names(&page(&running, "/debug/services?limit=1000"));
    // Another session, whose network HNS does not have.
    file.write("winkernel: {networkName: azure}");
    running.wait_until_waiting_for("NetworkAbsent");
    let pending = || names(&page(&running, "/debug/services?limit=1000&state=pending"));
    wait_until("all Services to be pending", pending, |pending| *pending == all);
    running.kill();
    // Another process.
    let running = file.start(&flags);
    running.wait_until_waiting_for("NetworkAbsent");
    let pending = || names(&page(&running, "/debug/services?limit=1000&state=pending"));
    wait_until("all Services to be pending", pending, |pending| *pending == all);
}

#[test]
fn pages_are_answered_while_hns_hangs() {
    let hns = Hns::on(&testing::host("15.5", &["L2Bridge"]));
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let running = start(&hns, &[]);
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    for path in ["/debug/services", "/debug/hns", "/debug/pending", "/debug/networks"] {
        page(&running, path);
    }
    hns.emulator.release();
}

#[test]
fn a_service_is_explained_as_it_was_before_the_call_that_hangs() {
    let (cluster, hns) = (Cluster::empty(), Hns::on(&testing::host("15.5", &["L2Bridge"])));
    cluster.put_web("early", "10.96.0.1");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    cluster.put_web("late", "10.96.0.2");
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    let frontend = |service: &str| {
        let page = page(&running, &format!("/debug/services/ns/{service}"));
        let frontend = &page["frontends"][0];
        (page["hns"].clone(), frontend["in_sync"].clone(), frontend["observed"].as_array().map(Vec::len))
    };
    assert_eq!(frontend("early"), (json!("known"), json!(true), Some(1)));
    assert_eq!(frontend("late"), (json!("known"), json!(false), Some(0)));
    let age = || page(&running, "/debug/services/ns/early")["age_seconds"].as_f64();
    let before = age();
    wait_until("the explanation to grow old", age, |age| *age > before.map(|before| before + 1.0));
    assert_eq!(get(running.metrics, "/debug/services/ns/none").unwrap().code, 404);
    hns.emulator.release();
    running.wait_until_in_sync();
    assert_eq!(frontend("late"), (json!("known"), json!(true), Some(1)));
    assert!(cluster.server.delete(Kind::Service, "ns", "late"));
    let code = || get(running.metrics, "/debug/services/ns/late").map(|answer| answer.code);
    wait_until("the deletion", code, |code| *code == Some(404));
}

#[test]
fn an_explanation_follows_what_other_programs_and_other_services_do() {
    let (cluster, hns) = (Cluster::empty(), Hns::on(&testing::host("15.5", &["L2Bridge"])));
    cluster.put_web("web", "10.96.0.1");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    let explained = || page(&running, "/debug/services/ns/web");
    assert_eq!(explained()["frontends"][0]["in_sync"], true);
    // Lost, and its creation is refused.
    let effect = Effect::Fail(hcn::Hresult::E_INVALIDARG);
    hns.emulator.inject(Fault::of_each(Which::Function("HcnCreateLoadBalancer".into()), effect));
    hns.remove(&hns.load_balancers()[0]);
    let is_lost = |page: &Value| page["frontends"][0]["observed"] == json!([]) && page["steps"] != json!([]);
    wait_until("the loss", explained, is_lost);
    hns.emulator.clear_faults();
    let is_back = |page: &Value| page["frontends"][0]["in_sync"] == true && page["steps"] == json!([]);
    wait_until("the repair", explained, is_back);
    let unavailable = Effect::Fail(hcn::Hresult::RPC_S_SERVER_UNAVAILABLE);
    hns.emulator.inject(Fault::of_each(Which::Any, unavailable));
    wait_until("the outage", explained, |page| page["hns"] == "unavailable");
    hns.emulator.clear_faults();
    wait_until("the end of the outage", explained, |page| page["hns"] == "known");
}

#[test]
fn an_invalid_parameter_is_refused() {
    let (_hns, running) = in_sync(&[]);
    for path in [
        "/debug/services?state=good",
        "/debug/services?limit=0",
        "/debug/services?continue=web",
        "/debug/services?name=web",
        "/debug/hns?since=1",
        "/debug/pending?limit=1",
        "/debug/networks?pretty=2",
        "/debug/services/kube-system/kube-dns?limit=1",
    ] {
        assert_eq!(get(running.metrics, path).unwrap().code, 400, "{path}");
    }
}
