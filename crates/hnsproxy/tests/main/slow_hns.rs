//! HNS calls that are slow or hang: the shutdown, changes, health and readiness do not wait for them.

use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

#[cfg(unix)]
use hcn_emulator::Pace;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing;
use serde_json::{Value, json};
use test_api_server::Credentials;

use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::program::free_addresses;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// The documented time limit of a shutdown, whatever HNS does.
#[cfg(unix)]
const SHUTDOWN: Duration = Duration::from_secs(5);

fn l2bridge() -> Hns {
    Hns::on(&testing::host("15.5", &["L2Bridge"]))
}

/// A cluster with the Services `ns/s0` and so on, with one backend each, and the Node of the host.
fn cluster(services: usize) -> Cluster {
    let cluster = Cluster::empty();
    let objects = (0..services).flat_map(|number| {
        let name = format!("s{number}");
        let (high, low) = (number / 250, number % 250 + 1);
        [service(&name, &format!("10.96.{high}.{low}")), slice(&name, &format!("10.244.{}.{low}", high + 2))]
    });
    cluster.server.load(Value::Array(objects.collect())).unwrap();
    cluster.server.put(node(false)).unwrap();
    cluster
}

/// The Node of the host; one that is about to be removed gets no traffic.
fn node(removed: bool) -> Value {
    let taints =
        if removed { json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]) } else { json!([]) };
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"}, "spec": {"taints": taints}})
}

fn start(cluster: &Cluster, hns: &Hns, flags: &[&str]) -> Running {
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    Running::start(&[&[kubeconfig.as_str(), &at], flags].concat())
}

/// Makes each write take 20 ms.
fn delay_writes(hns: &Hns) {
    let effect = Effect::Delay(Duration::from_millis(20));
    hns.emulator.inject(Fault { which: Which::Writes, from: 1, every: 1, effect });
}

fn wait_until_a_call_hangs(hns: &Hns) {
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
}

#[cfg(unix)]
#[test]
fn a_shutdown_ends_a_long_start_between_two_calls() {
    let (cluster, hns) = (cluster(2000), l2bridge());
    delay_writes(&hns);
    let running = start(&cluster, &hns, &[]);
    wait_until("the first writes", || hns.emulator.writes(), |writes| *writes > 5);
    let before = hns.emulator.writes();
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
    // Those until the signal arrives; the run had more than 500 left.
    let further = hns.emulator.writes() - before;
    assert!(further < 100, "{further} further writes");
}

/// Runs the program until a call of a function hangs, and requests the shutdown. Returns the exit code.
#[cfg(unix)]
fn code_of_a_shutdown_while_hung(function: &str, flags: &[&str]) -> Option<i32> {
    let (cluster, hns) = (cluster(3), l2bridge());
    hns.emulator.hang_nth(function, 1);
    let running = start(&cluster, &hns, flags);
    wait_until_a_call_hangs(&hns);
    #[allow(clippy::disallowed_methods, reason = "the time limit of a shutdown is documented")]
    let requested = Instant::now();
    running.signal("TERM");
    let code = running.exit_code();
    assert!(requested.elapsed() < SHUTDOWN, "{function} {flags:?}: {:?}", requested.elapsed());
    hns.emulator.release();
    code
}

#[cfg(unix)]
#[test]
fn a_write_that_hangs_does_not_delay_the_shutdown() {
    assert_eq!(code_of_a_shutdown_while_hung("HcnCreateLoadBalancer", &[]), Some(3));
}

#[cfg(unix)]
#[test]
fn a_first_audit_that_hangs_does_not_delay_the_shutdown() {
    assert_eq!(code_of_a_shutdown_while_hung("HcnEnumerateEndpoints", &[]), Some(3));
}

#[cfg(unix)]
#[test]
fn run_once_that_hangs_does_not_delay_the_shutdown() {
    assert_eq!(code_of_a_shutdown_while_hung("HcnCreateEndpoint", &["--once"]), Some(3));
}

#[cfg(unix)]
#[test]
fn a_cleanup_that_hangs_does_not_delay_the_shutdown() {
    assert_eq!(code_of_a_shutdown_while_hung("HcnEnumerateEndpoints", &["--cleanup"]), Some(3));
}

#[cfg(unix)]
#[test]
fn an_hns_that_does_not_answer_at_the_start_does_not_delay_the_shutdown() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (cluster, hns) = (cluster(1), format!("--hns=tcp://{}", silent.local_addr().unwrap()));
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns]);
    let _connection = silent.accept().unwrap();
    #[allow(clippy::disallowed_methods, reason = "the time limit of a shutdown is documented")]
    let requested = Instant::now();
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(3));
    assert!(requested.elapsed() < SHUTDOWN, "{:?}", requested.elapsed());
}

#[cfg(unix)]
#[test]
fn run_once_that_is_shut_down_fails() {
    let (cluster, hns) = (cluster(500), l2bridge());
    delay_writes(&hns);
    let running = start(&cluster, &hns, &["--once"]);
    wait_until("the first writes", || hns.emulator.writes(), |writes| *writes > 5);
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(1));
    assert!(hns.load_balancers().len() < 400);
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_program_at_once() {
    let (cluster, hns) = (cluster(3), l2bridge());
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let running = start(&cluster, &hns, &[]);
    wait_until_a_call_hangs(&hns);
    #[allow(clippy::disallowed_methods, reason = "compared with the time limit of a shutdown")]
    let requested = Instant::now();
    running.signal("INT");
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(3));
    assert!(requested.elapsed() < SHUTDOWN / 2, "{:?}", requested.elapsed());
    hns.emulator.release();
}

/// The Service of DNS and its slice.
fn dns() -> Value {
    let in_system = |mut object: Value, name: &str| {
        object["metadata"]["namespace"] = json!("kube-system");
        object["metadata"]["name"] = json!(name);
        object
    };
    json!([in_system(service("dns", "10.96.99.10"), "kube-dns"), in_system(slice("kube-dns", "10.244.99.1"), "dns")])
}

#[cfg(unix)]
#[test]
fn a_start_where_each_write_takes_seconds_is_alive_begins_with_dns_and_estimates_its_end() {
    let (cluster, hns) = (cluster(2000), Hns::on(&testing::host("9.5", &["L2Bridge"])));
    cluster.server.load(dns()).unwrap();
    // 3.3 s for each write.
    hns.emulator.change_options(|options| options.pace = Pace::Released);
    let running = start(&cluster, &hns, &[]);
    let state = running.wait_for_state("an estimate", |state| state["programming"]["seconds_left"].is_u64());
    assert_eq!(hns.frontends(), ["10.96.99.10:80"]);
    assert_eq!(state["load_balancers"], json!({"desired": 2001, "in_sync": 1}));
    // An endpoint and a load balancer for each of the Services that are left.
    let seconds_left = state["programming"]["seconds_left"].as_f64().unwrap();
    assert!((2000.0 * 3.3..2000.0 * 30.0).contains(&seconds_left), "{state:#}");
    let reasons: Vec<_> = state["waiting_for"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["LoadBalancersPending", "EndpointsPending"]);
    let code = |address, path| get(address, path).unwrap().code;
    assert_eq!([code(running.health, "/healthz"), code(running.health, "/livez")], [200, 200]);
    assert_eq!(code(running.metrics, "/readyz"), 503);
    #[allow(clippy::disallowed_methods, reason = "the time limit of a shutdown is documented")]
    let requested = Instant::now();
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
    assert!(requested.elapsed() < SHUTDOWN, "{:?}", requested.elapsed());
}

#[test]
fn a_change_of_dns_interrupts_a_long_start() {
    let (cluster, hns) = (cluster(400), l2bridge());
    delay_writes(&hns);
    let _running = start(&cluster, &hns, &[]);
    wait_until("the first writes", || hns.emulator.writes(), |writes| *writes > 5);
    cluster.server.load(dns()).unwrap();
    hns.wait_for_frontend("10.96.99.10");
    let before = hns.load_balancers().len();
    assert!(before < 200, "{before} load balancers when DNS has its own");
}

#[test]
fn the_health_check_of_a_service_does_not_wait_for_other_services() {
    let [check] = free_addresses();
    let (cluster, hns) = (cluster(400), l2bridge());
    delay_writes(&hns);
    // The first one by name.
    let (mut checked, mut backends) = (service("a", "10.96.99.1"), slice("a", "10.244.99.1"));
    checked["spec"]["type"] = json!("LoadBalancer");
    checked["spec"]["externalTrafficPolicy"] = json!("Local");
    checked["spec"]["healthCheckNodePort"] = json!(check.port());
    backends["endpoints"][0]["nodeName"] = json!("here");
    cluster.server.load(json!([checked, backends])).unwrap();
    let _running = start(&cluster, &hns, &[]);
    wait_for_page(check, "/", |answer| answer.code == 200);
    let programmed = hns.load_balancers().len();
    assert!(programmed < 200, "{programmed} load balancers when the Service has its health check");
}

#[test]
fn a_long_start_reports_its_progress() {
    let (cluster, hns) = (cluster(250), l2bridge());
    delay_writes(&hns);
    let running = start(&cluster, &hns, &[]);
    // One run could program all of them.
    running.wait_for_state("a part to be programmed", |state| {
        let in_sync = state["load_balancers"]["in_sync"].as_u64().unwrap();
        (1..200).contains(&in_sync) && state["load_balancers"]["desired"] == 250
    });
}

#[test]
fn changes_while_a_call_hangs_are_held_once_for_each_object() {
    const OBJECTS: usize = 3;
    const CHANGES: usize = 5000;
    // One uncoalesced change takes about 2 KiB, so all three of each round would take 30 MiB.
    #[cfg(target_os = "linux")]
    const GROWTH: u64 = 8 << 20;
    let (cluster, hns) = (cluster(OBJECTS), l2bridge());
    let running = start(&cluster, &hns, &["--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    hns.emulator.hang_nth("HcnEnumerateEndpoints", 1);
    wait_until_a_call_hangs(&hns);
    #[cfg(target_os = "linux")]
    let before = running.peak_memory();
    let queued = || running.metrics_page().metric("hnsproxy_queued_changes").unwrap();
    for number in 0..CHANGES {
        let (name, backend) = (format!("s{}", number % OBJECTS), format!("10.244.9.{}", number % 200 + 1));
        cluster.server.put(slice(&name, &backend)).unwrap();
        // Objects that come and go leave nothing.
        let passing = format!("passing-{number}");
        cluster.server.put(slice(&passing, "10.244.9.250")).unwrap();
        cluster.server.delete(test_api_server::Kind::EndpointSlice, "ns", &format!("{passing}-1"));
        if number % 100 == 0 {
            assert!(queued() <= (OBJECTS + 1) as f64);
        }
    }
    wait_until("the last changes to be queued", queued, |queued| *queued == OBJECTS as f64);
    #[cfg(target_os = "linux")]
    {
        let growth = running.peak_memory() - before;
        assert!(growth < GROWTH, "{growth} bytes more for objects of constant number");
    }
    hns.emulator.release();
    wait_until("the changes to be taken", queued, |queued| *queued == 0.0);
    // 4997, 4998 and 4999 are the last changes of the three.
    for last in [198, 199, 200] {
        hns.wait_for_endpoint(&format!("10.244.9.{last}"), true);
    }
    running.wait_until_in_sync();
}

#[test]
fn the_node_is_published_while_the_first_audit_hangs() {
    let (cluster, hns) = (cluster(1), l2bridge());
    hns.emulator.hang_nth("HcnEnumerateEndpoints", 1);
    let running = start(&cluster, &hns, &[]);
    wait_until_a_call_hangs(&hns);
    wait_for_page(running.health, "/healthz", |answer| answer.code == 200);
    assert_eq!(running.state().unwrap()["cluster"]["complete"], true);
    cluster.server.put(node(true)).unwrap();
    let unhealthy = wait_for_page(running.health, "/healthz", |answer| answer.code == 503);
    assert_eq!(unhealthy.json()["nodeEligible"], false);
    assert_eq!(get(running.health, "/livez").unwrap().code, 200);
    assert_eq!(hns.emulator.hung_calls(), 1);
    hns.emulator.release();
    running.wait_until_in_sync();
}

#[test]
fn a_call_over_its_budget_makes_the_node_unready_until_it_returns() {
    let (cluster, hns) = (cluster(1), l2bridge());
    let running = start(&cluster, &hns, &["--hns-audit-interval=0.1", "--hns-call-budget=0.5"]);
    running.wait_until_in_sync();
    hns.emulator.hang_nth("HcnEnumerateLoadBalancers", 1);
    wait_until_a_call_hangs(&hns);
    let state = running.wait_until_waiting_for("HNSCallOverdue");
    assert_eq!((&state["in_sync"], &state["hns"]["liveness"]), (&json!(false), &json!("slow")));
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 503);
    let series = "hnsproxy_hns_overdue_call_seconds";
    let overdue = |accept: fn(f64) -> bool| {
        wait_until(series, || running.metrics_page().metric(series), |seconds| seconds.is_some_and(accept));
    };
    overdue(|seconds| seconds > 0.5);
    hns.emulator.release();
    running.wait_until_in_sync();
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 200);
    overdue(|seconds| seconds == 0.0);
}

#[test]
fn a_change_that_waits_for_calls_within_their_budget_makes_the_node_unready() {
    let (cluster, hns) = (cluster(1), l2bridge());
    let running = start(&cluster, &hns, &["--hns-audit-interval=0.1", "--hns-call-budget=600"]);
    running.wait_until_in_sync();
    hns.emulator.hang_nth("HcnEnumerateLoadBalancers", 1);
    wait_until_a_call_hangs(&hns);
    cluster.server.put(slice("s0", "10.244.9.9")).unwrap();
    let state = running.wait_until_waiting_for("ChangesPending");
    assert_eq!((&state["in_sync"], &state["hns"]["liveness"]), (&json!(false), &json!("up")));
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 503);
    hns.emulator.release();
    running.wait_until_in_sync();
}
