//! Events that the API server is given, and what is counted of requests to it.

use std::net::TcpListener;

use serde_json::{Value, json};
use test_api_server::{ApiServer, Credentials};

use super::{Cluster, Live, objects, service, slice};
use crate::hns::Hns;
use crate::http::get;
use crate::program::{free_addresses, hnsproxy, until};

/// The Events of a reason.
fn events(live: &Live, reason: &str) -> Vec<Value> {
    live.cluster.server.events().into_iter().filter(|event| event["reason"] == reason).collect()
}

#[test]
fn a_start_is_told_of_the_node() {
    let live = Live::start("boutique-l2bridge", &[]);
    until("the start is told", || !events(&live, "Starting").is_empty());
    let event = events(&live, "Starting").remove(0);
    assert_eq!((&event["type"], &event["action"]), (&json!("Normal"), &json!("StartKubeProxy")));
    assert_eq!((&event["reportingController"], &event["regarding"]["kind"]), (&json!("kube-proxy"), &json!("Node")));
    assert_eq!(event["metadata"]["namespace"], "default");
    let metrics = get(live.running.metrics, "/metrics").unwrap().body;
    let requests = format!(
        "rest_client_requests_total{{code=\"200\",method=\"GET\",host=\"{}\"}} ",
        live.cluster.server.address()
    );
    assert!(metrics.contains(&requests), "{requests} is not in\n{metrics}");
    let counted =
        || get(live.running.metrics, "/metrics").unwrap().body.contains("hnsproxy_events_total{result=\"sent\"} 1");
    until("it is counted", counted);
}

#[test]
fn what_a_service_can_t_have_is_told_of_it_once() {
    let cluster = Cluster::of(ApiServer::start().unwrap());
    let mut sctp = service("phone", "10.96.9.1");
    sctp["metadata"]["uid"] = json!("7b60c1d9-602e-5110-8c89-a9475b89732c");
    sctp["spec"]["ports"] = json!([{"name": "a", "port": 80, "protocol": "SCTP"}, {"name": "b", "port": 81}]);
    cluster.server.load(json!([sctp, slice("phone", "10.244.7.7")])).unwrap();
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    until("it is told", || !events(&live, "ProtocolUnsupported").is_empty());
    let event = events(&live, "ProtocolUnsupported").remove(0);
    let uid = "7b60c1d9-602e-5110-8c89-a9475b89732c";
    let regarding = json!({"kind": "Service", "namespace": "ns", "name": "phone", "uid": uid, "apiVersion": "v1"});
    assert_eq!((&event["regarding"], &event["type"]), (&regarding, &json!("Warning")));
    assert!(event["note"].as_str().unwrap().starts_with("port 80 is SCTP"), "{event}");
    // Changes of the Service say nothing new of it.
    live.cluster.server.load(json!([slice("phone", "10.244.7.8")])).unwrap();
    live.settle("other", "10.96.9.2");
    assert_eq!(events(&live, "ProtocolUnsupported").len(), 1);
}

#[test]
fn a_health_check_that_can_t_listen_is_told_of_its_service() {
    let [check] = free_addresses();
    let _taken = TcpListener::bind(("0.0.0.0", check.port())).unwrap();
    let cluster = Cluster::of(ApiServer::start().unwrap());
    let mut balanced = service("web", "10.96.9.1");
    let spec = balanced["spec"].as_object_mut().unwrap();
    spec.insert("type".into(), "LoadBalancer".into());
    spec.insert("externalTrafficPolicy".into(), "Local".into());
    spec.insert("healthCheckNodePort".into(), check.port().into());
    cluster.server.load(json!([balanced, slice("web", "10.244.7.7")])).unwrap();
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    until("it is told", || !events(&live, "FailedToStartServiceHealthcheck").is_empty());
    let event = events(&live, "FailedToStartServiceHealthcheck").remove(0);
    assert_eq!((&event["action"], &event["regarding"]["name"]), (&json!("Listen"), &json!("web")));
}

#[test]
fn an_address_that_ends_the_program_is_told_before_the_end() {
    let [health, metrics] = free_addresses();
    let _taken = TcpListener::bind(health).unwrap();
    let cluster = Cluster::of(ApiServer::start().unwrap());
    cluster.server.load(objects("boutique-l2bridge")).unwrap();
    let hns = Hns::of("boutique-l2bridge");
    let addresses = [format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")];
    let flags =
        [&cluster.flag(&Credentials::None), &hns.flag(), &addresses[0], &addresses[1], "--bind-address-hard-fail"];
    hnsproxy(&flags).expect(1).logs("/healthz can't listen at ");
    let events = cluster.server.events();
    let reasons: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"FailedToStartProxierHealthcheck"), "{events:#?}");
}
