//! Changes of a cluster are programmed as they come.

use serde_json::json;
use test_api_server::{Credentials, FaultMode, Kind, StreamedLists};

use super::Live;
use crate::support::cluster::{Cluster, service, slice};
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::program::hnsproxy;
use crate::support::running::Running;
use crate::support::wait::wait_until;

#[test]
fn a_service_that_comes_and_goes_is_programmed_and_deleted() {
    let live = Live::start("boutique-l2bridge", &[]);
    let before = live.hns.objects();
    live.put_service("a", "10.96.9.1");
    live.cluster.server.delete(Kind::Service, "ns", "a");
    live.hns.wait_for_no_frontend("10.96.9.1");
    live.cluster.server.delete(Kind::EndpointSlice, "ns", "a-1");
    live.hns.wait_until_objects_are(&before);
}

#[test]
fn a_service_that_moves_to_another_address_leaves_the_first() {
    let live = Live::start("boutique-l2bridge", &[]);
    live.put_service("a", "10.96.9.1");
    live.cluster.server.put(service("a", "10.96.9.2")).unwrap();
    live.hns.wait_for_frontend("10.96.9.2");
    live.hns.wait_for_no_frontend("10.96.9.1");
}

#[test]
fn a_backend_that_is_replaced_is_programmed() {
    let live = Live::start("boutique-l2bridge", &[]);
    live.put_service("a", "10.96.9.1");
    live.cluster.server.put(slice("a", "10.244.7.8")).unwrap();
    live.hns.wait_for_endpoint("10.244.7.8", true);
    live.hns.wait_for_endpoint("10.244.7.7", false);
}

/// Puts the Service `ns/a` in a form that the program does not serve: its load balancer goes, and comes back with the Service.
fn is_deleted_as(change: impl Fn(&mut serde_json::Value)) {
    let live = Live::start("boutique-l2bridge", &[]);
    live.put_service("a", "10.96.9.1");
    let mut changed = service("a", "10.96.9.1");
    change(&mut changed);
    live.cluster.server.put(changed).unwrap();
    live.hns.wait_for_no_frontend("10.96.9.1");
    live.cluster.server.put(service("a", "10.96.9.1")).unwrap();
    live.hns.wait_for_frontend("10.96.9.1");
}

#[test]
fn a_service_of_another_proxy_is_deleted() {
    is_deleted_as(|service| {
        service["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "mesh"});
    });
}

#[test]
fn a_service_that_becomes_headless_is_deleted() {
    is_deleted_as(|service| {
        service["spec"]["clusterIP"] = json!("None");
        service["spec"]["clusterIPs"] = json!(["None"]);
    });
}

#[test]
fn a_service_that_becomes_unreadable_is_deleted() {
    is_deleted_as(|service| service["spec"]["ports"] = json!([{"port": "http"}]));
}

#[test]
fn the_server_is_asked_only_for_objects_that_the_proxy_serves() {
    let live = Live::start("boutique-l2bridge", &[]);
    live.wait_until_watched();
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
        cluster.put_web(&format!("s{number}"), &format!("10.97.{}.{}", number / 250, number % 250 + 1));
    }
    let live = Live::start_on(cluster, "boutique-l2bridge", &[]);
    let server = &live.cluster.server;
    assert_eq!(server.count("list", Kind::Service), 3);
    let pages = server.received();
    let pages = pages.iter().filter(|request| request.verb == "list" && request.path == "/api/v1/services");
    assert!(pages.clone().all(|page| page.query["limit"] == "500"));
    assert_eq!(pages.filter(|page| page.query.contains_key("continue")).count(), 2);
    live.hns.wait_for_frontend("10.97.4.100");
    live.put_service("a", "10.96.9.1");
}

#[test]
fn nothing_is_programmed_before_both_lists_are_whole() {
    for (late, there) in [(Kind::EndpointSlice, Kind::Service), (Kind::Service, Kind::EndpointSlice)] {
        let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
        let server = &cluster.server;
        server.set_fault_mode_for(late, FaultMode::Half);
        let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
        wait_until("the watch after one list", || server.watches(there), |watches| *watches == 1);
        let asked = || server.count("watch", late) + server.count("list", late);
        wait_until("the other list to be asked for again", asked, |asked| *asked > 4);
        assert_eq!(hns.emulator.writes(), 0);
        server.set_fault_mode(FaultMode::None);
        running.wait_until_in_sync();
        assert!(hns.has_frontend("10.96.0.10"));
    }
}

#[test]
fn a_plan_is_made_of_what_the_server_has() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    let plan = hnsproxy(&["plan", &kubeconfig, &at, "-o=json"]).expect(2).json();
    let services: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| &step["service"]).collect();
    assert!(services.contains(&&json!("kube-system/kube-dns")), "{services:?}");
    hnsproxy(&["run", &kubeconfig, &at, "--once"]).expect(0);
    hnsproxy(&["plan", &kubeconfig, &at]).expect(0);
}

#[test]
fn a_master_without_a_kubeconfig_is_enough() {
    let cluster = Cluster::empty();
    cluster.put_web("a", "10.96.9.1");
    for master in [cluster.server.url(), cluster.server.address().to_string()] {
        let hns = Hns::of("boutique-l2bridge");
        hnsproxy(&["run", &format!("--master={master}"), &hns.flag(), "--once"]).expect(0);
        assert!(hns.has_frontend("10.96.9.1"));
    }
}

#[test]
fn a_changed_configuration_relists_the_cluster_without_a_write() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    cluster.flag(&Credentials::None);
    let client = format!("clientConnection: {{kubeconfig: '{}'}}\n", cluster.file("kubeconfig").display());
    let config = ConfigFile::new(&client);
    let running = config.start(&[&hns.flag()]);
    running.wait_until_in_sync();
    let writes = hns.emulator.writes();
    config.write(&format!("{client}winkernel: {{networkName: cbr0}}"));
    config.wait_until_in_use("\"networkName\":\"cbr0\"");
    running.wait_until_in_sync();
    assert_eq!(hns.emulator.writes(), writes);
    cluster.put_web("a", "10.96.9.1");
    hns.wait_for_frontend("10.96.9.1");
    wait_until("the watch before to be closed", || cluster.server.watches(Kind::Service), |watches| *watches == 1);
}
