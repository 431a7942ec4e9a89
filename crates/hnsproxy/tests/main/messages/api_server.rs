//! Messages about the API server: each reason of an outage once, with what to do.

use test_api_server::{ApiServer, Credentials, FaultMode, Kind};

use super::{Logged, assert_logged, warnings};
use crate::support::cluster::{Cluster, service};
use crate::support::hns::Hns;
use crate::support::http::wait_for_page;
use crate::support::program::{command, ended, hnsproxy};
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// Runs through an outage of an API server, and checks that one warning names it, in the log and on `/readyz`.
#[track_caller]
fn is_named_once(fault: FaultMode, text: &str) {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    cluster.server.set_fault_mode(fault);
    cluster.server.cut();
    let state = running.wait_until_cluster_available(false);
    let requests = cluster.server.received().len();
    wait_until("retries", || cluster.server.received().len(), |received| *received > requests + 9);
    cluster.server.set_fault_mode(FaultMode::None);
    running.wait_until_cluster_available(true);
    assert!(state["cluster"]["error"].as_str().unwrap().contains(text), "{state:#}");
    let log = running.kill();
    let resolved = log.iter().position(|line| line.contains("API server unavailable: resolved"));
    let warnings = warnings(&log[..resolved.unwrap_or_else(|| panic!("{log:#?}"))]);
    assert!(warnings.len() == 1 && warnings[0].contains(text), "{log:#?}");
}

#[test]
fn a_busy_server_is_named_once() {
    is_named_once(FaultMode::Refuses { code: 429, retry_after: Some(1) }, "is overloaded (429)");
}

#[test]
fn a_failing_server_is_named_once() {
    is_named_once(FaultMode::Refuses { code: 500, retry_after: None }, "failed (500)");
}

#[test]
fn a_server_that_sends_garbage_is_named_once() {
    is_named_once(FaultMode::Garbage, "invalid response of API server");
}

#[test]
fn a_server_that_breaks_off_each_answer_is_named_once() {
    is_named_once(FaultMode::Half, "connection to API server");
}

#[test]
fn a_server_that_is_gone_is_named_once() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    cluster.server.make_unavailable();
    running.wait_until_cluster_available(false);
    cluster.server.make_available().unwrap();
    running.wait_until_cluster_available(true);
    let log = running.kill();
    let of_server: Vec<_> =
        warnings(&log).into_iter().filter(|line| line.contains("cannot connect to API server")).collect();
    assert_eq!(of_server.len(), 1, "{log:#?}");
}

#[test]
fn a_connection_that_breaks_now_and_then_is_not_worth_a_warning() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    let wait_until_watched =
        || wait_until("Services to be watched", || cluster.server.watches(Kind::Service), |watches| *watches == 1);
    wait_until_watched();
    let half_a_change = r#"{"type":"DELETED","object":{"metadata":{"namespace":"ns","na"#;
    cluster.server.send_text_and_close(Some(Kind::Service), half_a_change);
    cluster.put_web("first", "10.96.9.2");
    hns.wait_for_frontend("10.96.9.2");
    // Several breaks in a row are an outage.
    wait_until_watched();
    cluster.server.cut();
    cluster.put_web("later", "10.96.9.3");
    hns.wait_for_frontend("10.96.9.3");
    let log = running.kill();
    assert!(warnings(&log).iter().all(|line| !line.contains("API server")), "{log:#?}");
}

#[test]
fn an_unreadable_service_is_named_with_its_field() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    cluster.put_web("a", "10.96.9.1");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    let mut odd = service("a", "10.96.9.1");
    odd["spec"]["ports"] = serde_json::json!([{"port": "http"}]);
    cluster.server.put(odd).unwrap();
    hns.wait_for_no_frontend("10.96.9.1");
    assert_logged(&running.kill(), "Service ns/a: spec.ports[0].port: expected an integer, found \"http\"");
}

#[test]
fn a_node_that_is_not_found_is_named_with_its_flag() {
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9"]);
    // The state shows that the Node is missing before the control loop logs it.
    assert_eq!(running.wait_until_in_sync()["node"]["found"], false);
    let log = running.kill();
    assert_logged(&log, "Node win-9 not found");
    assert_logged(&log, "--hostname-override");
}

#[test]
fn changed_pod_cidrs_are_named_before_the_program_ends() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    let put = |range: &str| {
        let node = serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-9"},
            "spec": {"podCIDR": range, "podCIDRs": [range]}, "status": {}});
        cluster.server.put(node).unwrap();
    };
    put("10.244.1.0/24");
    let kubeconfig = cluster.flag(&Credentials::None);
    let flags = [&kubeconfig, &hns.flag(), "--hostname-override=win-9", "--detect-local-mode=NodeCIDR"];
    let running = Running::start(&flags);
    running.wait_until_in_sync();
    wait_until("the Node to be watched", || cluster.server.watches(Kind::Node), |watches| *watches > 0);
    put("10.244.2.0/24");
    running.exit_code();
    assert_logged(&running.kill(), "podCIDRs of Node win-9 changed from 10.244.1.0/24 to 10.244.2.0/24");
}

#[test]
fn the_message_to_a_forbidden_client_names_the_role() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.server.set_fault_mode(FaultMode::Refuses { code: 403, retry_after: None });
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    let page =
        wait_for_page(running.metrics, "/readyz", |answer| answer.json()["cluster"]["available"] == false).json();
    let error = page["cluster"]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("bind the ClusterRole system:node-proxier to this user"), "{error}");
}

#[test]
fn a_server_that_cannot_be_verified_is_named_with_the_setting_to_check() {
    let (cluster, other) = (Cluster::of(ApiServer::start_tls().unwrap()), ApiServer::start_tls().unwrap());
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] =
        other.kubeconfig(&Credentials::None)["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    let hns = Hns::of("boutique-l2bridge");
    let ended = hnsproxy(&["run", &cluster.flag_of(&kubeconfig), &hns.flag(), "--once"]).expect(1);
    let ended =
        ended.logs("TLS handshake with API server").logs("certificate-authority-data has another key of that name");
    ended.logs("gave up after 10 s");
}

#[test]
fn a_missing_kubeconfig_is_named_with_its_flag() {
    let hns = Hns::of("boutique-l2bridge");
    hnsproxy(&["run", &hns.flag()]).expect(1).logs("set --kubeconfig");
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_named() {
    let hns = Hns::of("boutique-l2bridge");
    let directory = tempfile::tempdir().unwrap();
    let ended = hnsproxy(&["run", &format!("--kubeconfig={}", directory.path().display()), &hns.flag()]).expect(1);
    ended.logs(&format!("cannot read kubeconfig {}: ", directory.path().display()));
}

#[test]
fn missing_files_of_a_service_account_are_named() {
    let hns = Hns::of("boutique-l2bridge");
    let mut in_pod = command(&["run", &hns.flag()]);
    in_pod.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
    ended(&mut in_pod).expect(1).logs("ca.crt and namespace in /var/run/secrets/kubernetes.io/serviceaccount");
}

#[test]
fn what_is_missing_in_a_kubeconfig_is_named() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let kubeconfig = directory.path().join("config");
    let run = |text: &str| {
        std::fs::write(&kubeconfig, format!("apiVersion: v1\nkind: Config\n{text}")).unwrap();
        hnsproxy(&["run", &format!("--kubeconfig={}", kubeconfig.display()), &hns.flag(), "--once"]).expect(1)
    };
    run("").logs("missing current-context; the kubeconfig has none");
    run("current-context: ''\ncontexts: [{name: a}]").logs("missing current-context (known: a)");
    run("current-context: b\ncontexts: [{name: a}]").logs("unknown current-context \"b\" (known: a)");
    std::fs::write(directory.path().join("ca"), "nothing\n").unwrap();
    let server = "current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n\
        clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1', certificate-authority: ca}}]";
    run(server).logs("invalid certificate-authority: no certificate in PEM: no line BEGIN CERTIFICATE");
}
