//! Changes of a cluster are programmed as they come.

use serde_json::json;
use test_api_server::{ApiServer, Credentials, FaultMode, Kind, StreamedLists};

use super::{Cluster, Live, service, slice, web};
use crate::hns::Hns;
use crate::program::{Running, hnsproxy, until};

#[cfg(unix)]
#[test]
fn what_comes_changes_and_goes_is_programmed() {
    let live = Live::start("boutique-l2bridge", &[]);
    let before = live.hns.objects();
    let server = &live.cluster.server;
    live.settle("a", "10.96.9.1");
    server.put(service("a", "10.96.9.2")).unwrap();
    live.until_there("10.96.9.2", true);
    live.until_there("10.96.9.1", false);
    server.put(slice("a", "10.244.7.8")).unwrap();
    until("the backend is another", || live.hns.objects().join("").contains("10.244.7.8"));
    server.delete(Kind::Service, "ns", "a");
    live.until_there("10.96.9.2", false);
    server.delete(Kind::EndpointSlice, "ns", "a-1");
    until("all is as before", || live.hns.objects() == before);
    live.running.end();
}

#[test]
fn what_ceases_to_concern_us_goes() {
    let live = Live::start("boutique-l2bridge", &[]);
    let before = live.hns.objects();
    let server = &live.cluster.server;
    live.settle("a", "10.96.9.1");
    let mut given_away = service("a", "10.96.9.1");
    given_away["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "mesh"});
    server.put(given_away).unwrap();
    live.until_there("10.96.9.1", false);
    server.put(service("a", "10.96.9.1")).unwrap();
    live.until_there("10.96.9.1", true);
    let mut headless = service("a", "None");
    headless["spec"]["clusterIPs"] = json!(["None"]);
    server.put(headless).unwrap();
    live.until_there("10.96.9.1", false);
    server.put(service("a", "10.96.9.1")).unwrap();
    live.until_there("10.96.9.1", true);
    // What can't be read any more is gone too, and is named.
    let mut odd = service("a", "10.96.9.1");
    odd["spec"]["ports"] = json!([{"port": "http"}]);
    server.put(odd).unwrap();
    live.until_there("10.96.9.1", false);
    live.running.wait_for("Service ns/a: spec.ports[0].port: invalid type: string \"http\", expected i64");
    server.delete(Kind::EndpointSlice, "ns", "a-1");
    until("all is as before", || live.hns.objects() == before);
}

#[test]
fn the_server_is_asked_for_what_concerns_us_alone() {
    let live = Live::start("boutique-l2bridge", &[]);
    live.until_watched();
    let received = live.cluster.server.received();
    let selectors = |path: &str| {
        let of_path: Vec<_> = received.iter().filter(|request| request.path == path).collect();
        assert_eq!(of_path.len(), 1, "one stream has the list and the changes: {received:#?}");
        let query = |name: &str| of_path[0].query.get(name).cloned().unwrap_or_default();
        [query("labelSelector"), query("fieldSelector"), query("sendInitialEvents")]
    };
    assert_eq!(
        selectors("/api/v1/services"),
        ["!service.kubernetes.io/service-proxy-name", "spec.clusterIP!=None", "true"]
    );
    let slices = selectors("/apis/discovery.k8s.io/v1/endpointslices");
    assert_eq!(slices, ["!service.kubernetes.io/headless", "", "true"]);
    assert_eq!(selectors("/api/v1/nodes"), ["", "metadata.name=win-1", "true"]);
}

#[test]
fn a_long_list_comes_in_pages_and_is_followed_from_there() {
    let cluster = Cluster::recorded("boutique-l2bridge");
    cluster.server.set_streamed_lists(StreamedLists::Forbidden);
    for number in 0..1100 {
        web(&cluster.server, &format!("s{number}"), &format!("10.97.{}.{}", number / 250, number % 250 + 1));
    }
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    let server = &live.cluster.server;
    assert_eq!(server.count("list", Kind::Service), 3);
    let pages = server.received();
    let pages = pages.iter().filter(|request| request.verb == "list" && request.path == "/api/v1/services");
    assert!(pages.clone().all(|page| page.query["limit"] == "500"));
    assert_eq!(pages.filter(|page| page.query.contains_key("continue")).count(), 2);
    live.until_there("10.97.4.100", true);
    live.settle("a", "10.96.9.1");
}

#[test]
fn nothing_is_programmed_before_both_lists_are_whole() {
    for (late, there) in [(Kind::EndpointSlice, Kind::Service), (Kind::Service, Kind::EndpointSlice)] {
        let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
        let server = &cluster.server;
        server.set_fault_mode_for(late, FaultMode::Half);
        let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
        until("one list is whole", || server.watches(there) == 1);
        let asked = |verb| server.count(verb, late);
        until("the other is asked for again and again", || asked("watch") + asked("list") > 4);
        assert_eq!(hns.emulator.writes(), 0);
        server.set_mood(Mood::Well);
        running.wait_for("HNS in sync");
        assert!(hns.has("10.96.0.10"));
    }
}

#[test]
fn a_plan_is_made_of_what_the_server_has() {
    let cluster = Cluster::recorded("boutique-l2bridge");
    let hns = Hns::of("boutique-l2bridge");
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    let plan = hnsproxy(&["plan", &kubeconfig, &at]).expect(2).stdout;
    assert!(plan.contains("create load balancer 10.96.0.10:53/UDP with 2 backends"), "{plan}");
    hnsproxy(&["run", &kubeconfig, &at, "--once"]).expect(0);
    hnsproxy(&["plan", &kubeconfig, &at]).expect(0);
}

#[test]
fn a_master_alone_is_enough() {
    let cluster = Cluster::of(ApiServer::start().unwrap());
    web(&cluster.server, "a", "10.96.9.1");
    let hns = Hns::of("boutique-l2bridge");
    for master in [cluster.server.url(), cluster.server.address().to_string()] {
        hnsproxy(&["run", &format!("--master={master}"), &hns.flag(), "--once"]).expect(0);
        assert!(hns.has("10.96.9.1"));
    }
}

#[cfg(unix)]
#[test]
fn a_changed_configuration_lists_anew_and_touches_nothing() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    cluster.flag(&Credentials::None);
    let (kubeconfig, config) = (cluster.file("kubeconfig"), cluster.file("config.yaml"));
    let write = |more: &str| {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             clientConnection: {{kubeconfig: '{}'}}\n{more}\n",
            kubeconfig.display()
        );
        std::fs::write(&config, text).unwrap();
    };
    write("");
    let running = Running::start(&[&format!("--config={}", config.display()), &hns.flag()]);
    running.wait_for("HNS in sync");
    let writes = hns.emulator.writes();
    write("winkernel: {networkName: cbr0}");
    running.wait_for("configuration changed");
    running.wait_for("HNS in sync");
    assert_eq!(hns.emulator.writes(), writes);
    web(&cluster.server, "a", "10.96.9.1");
    until("the change is programmed", || hns.has("10.96.9.1"));
    until("the former watch is closed", || cluster.server.watches(Kind::Service) == 1);
    running.end();
}
