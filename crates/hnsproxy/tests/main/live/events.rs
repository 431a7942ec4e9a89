//! Events that the API server is given, and what is counted of requests to it.

use std::net::{SocketAddr, TcpListener};

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

/// A Service whose health check is at a port.
fn checked(port: u16) -> Value {
    let mut balanced = service("web", "10.96.9.1");
    let check = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port});
    balanced["spec"].as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    balanced
}

/// A port at which another program listens.
fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn what_happens_again_continues_the_event_or_begins_it_anew_where_it_is_forgotten() {
    const REASON: &str = "FailedToStartServiceHealthcheck";
    let ports = [taken(), taken(), taken()];
    let cluster = Cluster::of(ApiServer::start().unwrap());
    cluster.server.load(json!([checked(ports[0].1), slice("web", "10.244.7.7")])).unwrap();
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    let server = &live.cluster.server;
    until("it is told", || !events(&live, REASON).is_empty());
    let first = events(&live, REASON).remove(0);
    assert_eq!((&first["action"], &first["regarding"]["name"]), (&json!("Listen"), &json!("web")));
    assert_eq!(first.get("series"), None);

    let counts = |count: u32| events(&live, REASON).iter().any(|event| event["series"]["count"] == count);
    let patched = || server.received().iter().filter(|request| request.verb == "patch").count();
    server.put(checked(ports[1].1)).unwrap();
    until("it is told again", || counts(2));
    let mut all = events(&live, REASON);
    let mut second = all.remove(0);
    assert!(second["series"]["lastObservedTime"].is_string(), "{second}");
    second.as_object_mut().unwrap().remove("series");
    assert_eq!((&second, all, patched()), (&first, vec![], 1));

    server.forget_events();
    server.put(checked(ports[2].1)).unwrap();
    until("it is told anew", || counts(3));
    let third = events(&live, REASON).remove(0);
    assert_eq!((&third["metadata"], &third["regarding"]), (&first["metadata"], &first["regarding"]));
    assert!(third["note"].as_str().unwrap().contains(&format!("0.0.0.0:{}", ports[2].1)), "{third}");
    assert_eq!(patched(), 2);
}

#[test]
fn an_address_that_ends_the_program_is_told_before_the_end() {
    for (taken, what, reason) in
        [(0, "/healthz", "FailedToStartProxierHealthcheck"), (1, "/metrics", "FailedToStartMetricServer")]
    {
        let addresses: [SocketAddr; 2] = free_addresses();
        let _taken = TcpListener::bind(addresses[taken]).unwrap();
        let cluster = Cluster::of(ApiServer::start().unwrap());
        cluster.server.load(objects("boutique-l2bridge")).unwrap();
        let (kubeconfig, hns) = (cluster.flag(&Credentials::None), Hns::of("boutique-l2bridge"));
        let health = format!("--healthz-bind-address={}", addresses[0]);
        let metrics = format!("--metrics-bind-address={}", addresses[1]);
        let ended = hnsproxy(&[&kubeconfig, &hns.flag(), &health, &metrics, "--bind-address-hard-fail"]).expect(1);
        ended.logs(&format!("{what} cannot listen at {}", addresses[taken]));
        let events = cluster.server.events();
        let event = events.iter().find(|event| event["reason"] == reason).unwrap_or_else(|| panic!("{events:#?}"));
        assert_eq!((&event["type"], &event["action"]), (&json!("Warning"), &json!("StartKubeProxy")));
        assert_eq!(event["regarding"]["kind"], "Node");
    }
}
