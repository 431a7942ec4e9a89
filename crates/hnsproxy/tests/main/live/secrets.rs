//! Secrets of the connection to the API server appear in no log line and on no page.

use std::fs;

use serde_json::json;
use test_api_server::{ApiServer, Credentials, FaultMode};

use super::access::closed;
use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::hnsproxy;
use crate::support::running::Running;

/// The pages that show something of the process.
const PAGES: [&str; 13] = [
    "/readyz",
    "/statusz",
    "/statusz?format=json",
    "/configz",
    "/flagz",
    "/metrics",
    "/metrics/slis",
    "/debug/explain/ns/a",
    "/debug/history",
    "/debug/hns",
    "/debug/networks",
    "/debug/pending",
    "/debug/services",
];

/// Ends the program. None of its pages and log lines may contain these texts.
#[track_caller]
pub(super) fn assert_not_shown(running: Running, secrets: &[&str]) {
    let pages = PAGES.map(|page| (page, get(running.metrics, page).unwrap().body));
    let log = running.kill().join("\n");
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        for (page, body) in &pages {
            assert!(!body.contains(secret), "{secret} is on {page}:\n{body}");
        }
    }
}

#[test]
fn a_token_is_not_shown_whether_it_is_accepted_or_not() {
    for accepted in ["token-8d21f", "another"] {
        let (cluster, hns) = (closed(&[accepted]), Hns::of("boutique-l2bridge"));
        let running = Running::start(&[&cluster.flag(&Credentials::Token("token-8d21f".into())), &hns.flag(), "-v=10"]);
        running.wait_until_cluster_available(accepted == "token-8d21f");
        if accepted == "token-8d21f" {
            hns.wait_for_frontend("10.96.9.1");
        }
        assert_not_shown(running, &["token-8d21f"]);
    }
}

#[test]
fn a_token_that_no_header_can_have_is_an_outage() {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::Token("token-8d21f\nx".into())), &hns.flag(), "-v=10"]);
    running.wait_until_cluster_available(false);
    assert_not_shown(running, &["token-8d21f"]);
}

#[test]
fn a_password_is_not_shown() {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["users"][0]["user"] = json!({"username": "admin", "password": "password-77a0"});
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag(), "-v=10"]);
    running.wait_until_cluster_available(false);
    // The second is the Base64 of `admin:password-77a0`.
    assert_not_shown(running, &["password-77a0", "YWRtaW46cGFzc3dvcmQtNzdhMA"]);
}

#[test]
fn the_userinfo_of_urls_is_not_shown() {
    let hns = Hns::of("boutique-l2bridge");
    let cluster = Cluster::empty();
    cluster.server.set_fault_mode(FaultMode::Refuses { code: 500, retry_after: None });
    let url = cluster.server.url().replace("://", "://admin:password-77a0@");
    let master = format!("--master={url}");
    let running = Running::start(&[&master, &hns.flag(), "-v=10"]);
    running.wait_until_cluster_available(false);
    assert_not_shown(running, &["password-77a0"]);
    for proxy in ["http", "socks5", "ftp"] {
        let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
        kubeconfig["clusters"][0]["cluster"]["server"] = url.clone().into();
        kubeconfig["clusters"][0]["cluster"]["proxy-url"] = format!("{proxy}://admin:password-77a0@127.0.0.1:1").into();
        let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag(), "-v=10"]);
        running.wait_until_cluster_available(false);
        assert_not_shown(running, &["password-77a0"]);
    }
    hnsproxy(&["run", "--master=http://admin:password-77a0@a b", &hns.flag()]).expect(1).hides("password-77a0");
}

#[test]
fn a_kubeconfig_that_cannot_be_parsed_is_not_shown() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    let flag = cluster.flag(&Credentials::None);
    for text in [
        "apiVersion: v1\nusers:\n- name: a\n  user:\n    token: token-8d21f\n   x: [\n",
        "apiVersion: v1\nusers: token-8d21f\n",
        "apiVersion: v1\nusers:\n- name: a\n  user: token-8d21f\n",
        "apiVersion: v1\nusers:\n- name: a\n  user: {exec: {interactiveMode: token-8d21f}}\n",
    ] {
        fs::write(cluster.file("kubeconfig"), text).unwrap();
        hnsproxy(&["run", &flag, &hns.flag(), "--once", "-v=10"]).expect(1).hides("token-8d21f");
        // A kubeconfig given by mistake as another file.
        let file = cluster.file("kubeconfig").display().to_string();
        for flag in [format!("--config={file}"), format!("--from={file}")] {
            hnsproxy(&["run", &flag, &hns.flag(), "--once", "-v=10"]).hides("token-8d21f");
        }
    }
}

#[test]
fn a_client_key_that_cannot_be_used_is_not_shown() {
    let (cluster, hns) = (Cluster::of(ApiServer::start_tls().unwrap()), Hns::of("boutique-l2bridge"));
    let (certificate, key) = (cluster.file("client.crt"), cluster.file("client.key"));
    fs::write(&certificate, cluster.server.certificate().unwrap().0).unwrap();
    for text in
        ["key-31d0c\n", "-----BEGIN PRIVATE KEY-----\nkey-31d0c\n-----END PRIVATE KEY-----\n", "-----BEGIN key-31d0c\n"]
    {
        fs::write(&key, text).unwrap();
        let files = Credentials::CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let running = Running::start(&[&cluster.flag(&files), &hns.flag(), "-v=10"]);
        running.wait_until_cluster_available(false);
        assert_not_shown(running, &["key-31d0c"]);
    }
}

#[test]
fn a_server_that_is_not_verified_is_shown() {
    let (cluster, hns) = (Cluster::of(ApiServer::start_tls().unwrap()), Hns::of("boutique-l2bridge"));
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    assert_eq!(running.wait_until_in_sync()["cluster"]["insecure_skip_tls_verify"], false);
    drop(running);
    kubeconfig["clusters"][0]["cluster"] = json!({"server": cluster.server.url(), "insecure-skip-tls-verify": true});
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    assert_eq!(running.wait_until_in_sync()["cluster"]["insecure_skip_tls_verify"], true);
    let statusz = get(running.metrics, "/statusz").unwrap().body;
    assert!(statusz.contains("insecure-skip-tls-verify"), "{statusz}");
}
