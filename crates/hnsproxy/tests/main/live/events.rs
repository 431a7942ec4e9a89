//! Events that the API server is sent, and the metrics of requests to it.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};
use test_api_server::{Credentials, FaultMode, Kind};

use super::Live;
use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::program::{free_addresses, hnsproxy};
use crate::support::wait::wait_until;

/// The Events of a reason.
fn events(cluster: &Cluster, reason: &str) -> Vec<Value> {
    cluster.server.events().into_iter().filter(|event| event["reason"] == reason).collect()
}

/// Waits for an Event of a reason that is accepted.
#[track_caller]
fn wait_for_event(cluster: &Cluster, reason: &str, accept: impl Fn(&Value) -> bool) -> Value {
    let accept = |events: &Vec<Value>| events.iter().any(&accept);
    wait_until(reason, || events(cluster, reason), accept).remove(0)
}

#[test]
fn a_start_is_an_event_of_the_node() {
    let live = Live::start("boutique-l2bridge", &[]);
    let event = wait_for_event(&live.cluster, "Starting", |_| true);
    assert_eq!((&event["type"], &event["action"]), (&json!("Normal"), &json!("StartKubeProxy")));
    assert_eq!((&event["reportingController"], &event["regarding"]["kind"]), (&json!("kube-proxy"), &json!("Node")));
    assert_eq!(event["metadata"]["namespace"], "default");
}

#[test]
fn requests_and_events_are_counted() {
    let live = Live::start("boutique-l2bridge", &[]);
    let sent = "hnsproxy_events_total{result=\"sent\"}";
    let metrics = wait_until(sent, || live.running.metrics_page(), |page| page.metric(sent) == Some(1.0));
    let host = live.cluster.server.address();
    let requests = format!("rest_client_requests_total{{code=\"200\",method=\"GET\",host=\"{host}\"}}");
    assert!(metrics.metric(&requests) > Some(0.0), "{requests}");
}

#[test]
fn an_endless_answer_to_an_event_is_read_up_to_a_limit() {
    let cluster = Cluster::recorded("boutique-l2bridge");
    cluster.server.set_fault_mode(FaultMode::EndlessError { code: 500 });
    for kind in Kind::ALL {
        cluster.server.set_fault_mode_for(kind, FaultMode::None);
    }
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    let host = live.cluster.server.address();
    let rejected = format!("rest_client_requests_total{{code=\"500\",method=\"POST\",host=\"{host}\"}}");
    wait_until(&rejected, || live.running.metrics_page(), |page| page.metric(&rejected) == Some(1.0));
    // With what the network buffers.
    assert!(live.cluster.server.endless_bytes() < 16 << 20);
    live.cluster.server.set_fault_mode(FaultMode::None);
    wait_for_event(&live.cluster, "Starting", |_| true);
}

#[test]
fn a_condition_of_a_service_is_one_event() {
    let cluster = Cluster::empty();
    let mut sctp = service("phone", "10.96.9.1");
    sctp["metadata"]["uid"] = json!("7b60c1d9-602e-5110-8c89-a9475b89732c");
    sctp["spec"]["ports"] = json!([{"name": "a", "port": 80, "protocol": "SCTP"}, {"name": "b", "port": 81}]);
    cluster.server.load(json!([sctp, slice("phone", "10.244.7.7")])).unwrap();
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    let event = wait_for_event(&live.cluster, "ProtocolUnsupported", |_| true);
    let uid = "7b60c1d9-602e-5110-8c89-a9475b89732c";
    let regarding = json!({"kind": "Service", "namespace": "ns", "name": "phone", "uid": uid, "apiVersion": "v1"});
    assert_eq!((&event["regarding"], &event["type"]), (&regarding, &json!("Warning")));
    let condition = &live.running.state().unwrap()["conditions"][0];
    assert_eq!((&condition["service"], &condition["reason"]), (&json!("ns/phone"), &json!("ProtocolUnsupported")));
    assert_eq!(event["note"], condition["message"]);
    // Another backend does not change the condition.
    live.cluster.server.load(json!([slice("phone", "10.244.7.8")])).unwrap();
    live.put_service("other", "10.96.9.2");
    assert_eq!(events(&live.cluster, "ProtocolUnsupported").len(), 1);
}

const HEALTH_CHECK_FAILED: &str = "FailedToStartServiceHealthcheck";

/// A Service whose health check is at a port.
fn checked(port: u16) -> Value {
    let mut balanced = service("web", "10.96.9.1");
    let check = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port});
    balanced["spec"].as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    balanced
}

/// The program on a Service whose health check has a taken port, and two more ports that are taken.
pub(super) struct TakenPorts {
    pub(super) live: Live,
    first: Value,
    others: [(TcpListener, u16); 2],
    _listener: TcpListener,
}

impl TakenPorts {
    pub(super) fn start() -> Self {
        let [(listener, port), one, other] = [(); 3].map(|()| {
            let listener = TcpListener::bind("0.0.0.0:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        });
        let cluster = Cluster::empty();
        cluster.server.load(json!([checked(port), slice("web", "10.244.7.7")])).unwrap();
        let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
        let first = wait_for_event(&live.cluster, HEALTH_CHECK_FAILED, |_| true);
        Self { live, first, others: [one, other], _listener: listener }
    }

    /// Moves the health check to another taken port, and waits for the Event to have a count.
    pub(super) fn fail_again(&self, number: usize, count: u32) -> Value {
        self.live.cluster.server.put(checked(self.others[number].1)).unwrap();
        wait_for_event(&self.live.cluster, HEALTH_CHECK_FAILED, |event| event["series"]["count"] == count)
    }

    fn patches(&self) -> usize {
        self.live.cluster.server.received().iter().filter(|request| request.verb == "patch").count()
    }
}

#[test]
fn the_first_occurrence_is_an_event_without_a_series() {
    let first = TakenPorts::start().first;
    assert_eq!((&first["action"], &first["regarding"]["name"]), (&json!("Listen"), &json!("web")));
    assert_eq!(first.get("series"), None);
}

#[test]
fn a_second_occurrence_patches_the_event_into_a_series() {
    let ports = TakenPorts::start();
    let mut second = ports.fail_again(0, 2);
    assert!(second["series"]["lastObservedTime"].is_string(), "{second}");
    second.as_object_mut().unwrap().remove("series");
    assert_eq!((&second, ports.patches()), (&ports.first, 1));
    assert_eq!(events(&ports.live.cluster, HEALTH_CHECK_FAILED).len(), 1);
}

#[test]
fn an_event_that_the_server_has_forgotten_is_created_again() {
    let ports = TakenPorts::start();
    ports.fail_again(0, 2);
    ports.live.cluster.server.forget_events();
    let third = ports.fail_again(1, 3);
    assert_eq!((&third["metadata"], &third["regarding"]), (&ports.first["metadata"], &ports.first["regarding"]));
    assert_eq!(ports.patches(), 2);
}

/// Runs with addresses taken, until that ends the program, and checks that there is an Event of the node for each.
#[track_caller]
fn taken_addresses_are_events(taken: &[usize], reasons: &[&str]) {
    let addresses: [SocketAddr; 2] = free_addresses();
    let _taken: Vec<_> = taken.iter().map(|index| TcpListener::bind(addresses[*index]).unwrap()).collect();
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let health = format!("--healthz-bind-address={}", addresses[0]);
    let metrics = format!("--metrics-bind-address={}", addresses[1]);
    let kubeconfig = cluster.flag(&Credentials::None);
    hnsproxy(&[&kubeconfig, &hns.flag(), &health, &metrics, "--bind-address-hard-fail"]).expect(1);
    for reason in reasons {
        let event = events(&cluster, reason).pop().unwrap_or_else(|| panic!("{:#?}", cluster.server.events()));
        assert_eq!((&event["type"], &event["action"]), (&json!("Warning"), &json!("StartKubeProxy")));
        assert_eq!(event["regarding"]["kind"], "Node");
    }
}

#[test]
fn a_taken_address_of_healthz_is_sent_as_an_event_before_the_program_ends() {
    taken_addresses_are_events(&[0], &["FailedToStartProxierHealthcheck"]);
}

#[test]
fn a_taken_address_of_metrics_is_sent_as_an_event_before_the_program_ends() {
    taken_addresses_are_events(&[1], &["FailedToStartMetricServer"]);
}

#[test]
fn two_taken_addresses_are_sent_as_two_events() {
    taken_addresses_are_events(&[0, 1], &["FailedToStartProxierHealthcheck", "FailedToStartMetricServer"]);
}
