//! Authentication, TLS and proxies on the way to an API server.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use test_api_server::{ApiServer, Credentials, FaultMode};

use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::program::hnsproxy;
use crate::support::running::Running;

/// A cluster over TLS that accepts these tokens, with the Service `ns/a`.
pub(super) fn closed(tokens: &[&str]) -> Cluster {
    let cluster = Cluster::of(ApiServer::start_tls().unwrap());
    cluster.server.allow_tokens(tokens.iter().copied());
    cluster.put_web("a", "10.96.9.1");
    cluster
}

/// The kubeconfig of a cluster with the certificate authority of another.
fn with_another_authority(cluster: &Cluster, credentials: &Credentials) -> Value {
    let other = ApiServer::start_tls().unwrap().kubeconfig(&Credentials::None);
    let mut kubeconfig = cluster.server.kubeconfig(credentials);
    kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] =
        other["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    kubeconfig
}

#[track_caller]
fn programs_hns_with(credentials: &Credentials) {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    hnsproxy(&["run", &cluster.flag(credentials), &hns.flag(), "--once"]).expect(0);
    assert!(hns.has_frontend("10.96.9.1"));
}

#[test]
fn a_token_authenticates() {
    programs_hns_with(&Credentials::Token("secret".into()));
}

#[test]
fn a_client_certificate_authenticates() {
    programs_hns_with(&Credentials::Certificate);
}

#[test]
fn metrics_show_when_a_token_expires() {
    // `{"alg":"none"}`, and `{"exp":4102444800,"iat":1767225600}`.
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTc2NzIyNTYwMH0.c2VjcmV0";
    let (cluster, hns) = (closed(&[token]), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&cluster.flag(&Credentials::Token(token.into())), &hns.flag()]);
    running.wait_until_in_sync();
    let page = running.metrics_page();
    let metric =
        |name: &str| page.metric(&format!("hnsproxy_credential_{name}_timestamp_seconds{{credential=\"token\"}}"));
    assert_eq!((metric("issued"), metric("expiry")), (Some(1_767_225_600.0), Some(4_102_444_800.0)));
    assert!(!page.body.contains("=\"client_certificate\""), "no client certificate");
}

#[test]
fn a_token_that_expires_is_read_again_from_its_file() {
    let (cluster, hns) = (closed(&["first"]), Hns::of("boutique-l2bridge"));
    let token = cluster.file("token");
    // People write files with a newline at the end.
    fs::write(&token, "first\n").unwrap();
    let running = Running::start(&[&cluster.flag(&Credentials::TokenFile(token.clone())), &hns.flag()]);
    running.wait_until_in_sync();
    for (next, address) in [("second", "10.96.9.2"), ("third\n", "10.96.9.3")] {
        cluster.server.allow_tokens([next.trim()]);
        cluster.server.cut();
        running.wait_until_cluster_available(false);
        fs::write(&token, next).unwrap();
        running.wait_until_cluster_available(true);
        cluster.put_web(next.trim(), address);
        hns.wait_for_frontend(address);
    }
}

#[test]
fn a_certificate_that_is_renewed_is_read_again_from_its_files() {
    let (cluster, hns) = (closed(&[]), Hns::of("boutique-l2bridge"));
    let (certificate, key) = (cluster.file("client.crt"), cluster.file("client.key"));
    let write = || {
        let (certificate_text, key_text) = cluster.server.certificate().unwrap();
        fs::write(&certificate, certificate_text).unwrap();
        fs::write(&key, key_text).unwrap();
    };
    write();
    let files = Credentials::CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    let running = Running::start(&[&cluster.flag(&files), &hns.flag()]);
    running.wait_until_in_sync();
    for (name, address) in [("second", "10.96.9.2"), ("third", "10.96.9.3")] {
        cluster.server.renew_certificate().unwrap();
        cluster.server.cut();
        running.wait_until_cluster_available(false);
        write();
        running.wait_until_cluster_available(true);
        cluster.put_web(name, address);
        hns.wait_for_frontend(address);
    }
}

#[test]
fn a_server_that_cannot_be_verified_receives_no_request() {
    let (cluster, hns) = (closed(&[]), Hns::of("boutique-l2bridge"));
    let kubeconfig = with_another_authority(&cluster, &Credentials::Token("secret".into()));
    hnsproxy(&["run", &cluster.flag_of(&kubeconfig), &hns.flag(), "--once"]).expect(1);
    assert_eq!(cluster.server.received(), vec![]);
    assert_eq!(hns.emulator.writes(), 0);
}

#[test]
fn a_server_that_is_its_own_certificate_authority_is_trusted() {
    let (cluster, hns) = (Cluster::of(ApiServer::start_self_signed().unwrap()), Hns::of("boutique-l2bridge"));
    cluster.put_web("a", "10.96.9.1");
    hnsproxy(&["run", &cluster.flag(&Credentials::Certificate), &hns.flag(), "--once"]).expect(0);
    assert!(hns.has_frontend("10.96.9.1"));
}

#[test]
fn a_corrected_kubeconfig_is_read_again() {
    let (cluster, hns) = (Cluster::of(ApiServer::start_tls().unwrap()), Hns::of("boutique-l2bridge"));
    cluster.put_web("a", "10.96.9.1");
    let wrong = with_another_authority(&cluster, &Credentials::None);
    let running = Running::start(&[&cluster.flag_of(&wrong), &hns.flag()]);
    running.wait_until_waiting_for("ClusterUnavailable");
    cluster.flag(&Credentials::None);
    hns.wait_for_frontend("10.96.9.1");
}

#[test]
fn a_kubeconfig_that_does_not_exist_yet_is_waited_for() {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    let file = cluster.file("kubeconfig");
    let running = Running::start(&[&format!("--kubeconfig={}", file.display()), &hns.flag()]);
    let waiting = running.wait_until_waiting_for("ClusterUnavailable");
    assert!(waiting["waiting_for"].to_string().contains(&format!("cannot read kubeconfig {}", file.display())));
    cluster.flag(&Credentials::Token("secret".into()));
    hns.wait_for_frontend("10.96.9.1");
}

#[cfg(unix)]
#[test]
fn a_service_account_below_the_mount_point_of_the_container_is_used_and_its_token_read_again() {
    let (cluster, hns) = (closed(&["first"]), Hns::of("boutique-l2bridge"));
    let directory = cluster.file("var/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("ca.crt"), cluster.server.authority().unwrap()).unwrap();
    fs::write(directory.join("token"), "first").unwrap();
    let address = cluster.server.address();
    let environment = format!(
        "export CONTAINER_SANDBOX_MOUNT_POINT='{}' KUBERNETES_SERVICE_HOST={} KUBERNETES_SERVICE_PORT={}",
        cluster.file("").display(),
        address.ip(),
        address.port()
    );
    let running = Running::start_after(&environment, &[&hns.flag()]);
    running.wait_until_in_sync();
    assert!(hns.has_frontend("10.96.9.1"));
    cluster.server.allow_tokens(["second"]);
    cluster.server.cut();
    running.wait_until_cluster_available(false);
    fs::write(directory.join("token"), "second").unwrap();
    running.wait_until_cluster_available(true);
    cluster.put_web("b", "10.96.9.2");
    hns.wait_for_frontend("10.96.9.2");
}

#[test]
fn case_15a_a_server_without_scheme_is_http() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.put_web("a", "10.96.9.1");
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["clusters"][0]["cluster"]["server"] = cluster.server.url().strip_prefix("http://").unwrap().into();
    hnsproxy(&["run", &cluster.flag_of(&kubeconfig), &hns.flag(), "--once"]).expect(0);
    assert!(hns.has_frontend("10.96.9.1"));
}

#[test]
fn case_15b_a_token_file_that_no_header_can_have_is_an_outage() {
    let (cluster, hns) = (closed(&["first"]), Hns::of("boutique-l2bridge"));
    let token = cluster.file("token");
    fs::write(&token, "first").unwrap();
    let running = Running::start(&[&cluster.flag(&Credentials::TokenFile(token.clone())), &hns.flag()]);
    running.wait_until_in_sync();
    cluster.server.allow_tokens(["second"]);
    fs::write(&token, "second\nsecond\n").unwrap();
    cluster.server.cut();
    running.wait_until_cluster_available(false);
    fs::write(&token, "second\r\n").unwrap();
    running.wait_until_cluster_available(true);
    cluster.put_web("second", "10.96.9.2");
    hns.wait_for_frontend("10.96.9.2");
}

/// An HTTP proxy for CONNECT: its URL, and the addresses that were requested.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(reader.read_until(b'\n', &mut head).unwrap() > 0);
            }
            let head = String::from_utf8(head).unwrap();
            let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
            let server = TcpStream::connect(&to).unwrap();
            (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || {
                    // Either side may go at any time.
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
            // The receiver is gone once the test is over.
            let _ = sender.send(to);
        }
    });
    (url, asked)
}

#[test]
fn the_proxy_url_of_a_kubeconfig_is_used() {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    let (url, asked) = proxy();
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::Token("secret".into()));
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = url.into();
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
    drop(running);
    let to = cluster.server.url().rsplit_once('/').unwrap().1.to_owned();
    let asked: Vec<String> = asked.try_iter().collect();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == to), "{asked:?}");
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_to_a_server_without_tls() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.put_web("a", "10.96.9.1");
    let (url, asked) = proxy();
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = url.into();
    hnsproxy(&["run", &cluster.flag_of(&kubeconfig), &hns.flag(), "--once"]).expect(0);
    assert!(hns.has_frontend("10.96.9.1"));
    assert_eq!(asked.try_iter().next().as_deref(), cluster.server.url().strip_prefix("http://"));
}

#[test]
fn case_15h_errors_name_the_proxy_in_use() {
    let (cluster, hns) = (closed(&["secret"]), Hns::of("boutique-l2bridge"));
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::Token("secret".into()));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = format!("127.0.0.1:{port}");
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = format!("http://user:secret@{proxy}").into();
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    let state = running.wait_until_cluster_available(false);
    let error = state["cluster"]["error"].as_str().unwrap();
    assert!(error.contains(&proxy) && !error.contains("secret"), "{error}");
}

#[test]
fn a_client_that_is_forbidden_to_list_waits() {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.server.set_fault_mode(FaultMode::Refuses { code: 403, retry_after: None });
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_waiting_for("ClusterUnavailable");
}
