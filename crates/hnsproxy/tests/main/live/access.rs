//! Ways to an API server: who lets whom in.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use test_api_server::{ApiServer, Credentials};

use super::{Cluster, web};
use crate::hns::Hns;
#[cfg(unix)]
use crate::http::get;
use crate::program::{Running, command, ended, hnsproxy, until};

fn closed(tokens: &[&str]) -> Cluster {
    let cluster = Cluster::of(ApiServer::start_tls().unwrap());
    cluster.server.allow_tokens(tokens.iter().copied());
    web(&cluster.server, "a", "10.96.9.1");
    cluster
}

#[test]
fn a_token_or_a_certificate_lets_us_in() {
    let cluster = closed(&["secret"]);
    for credentials in [Credentials::Token("secret".into()), Credentials::Certificate] {
        let hns = Hns::of("boutique-l2bridge");
        hnsproxy(&["run", &cluster.flag(&credentials), &hns.flag(), "--once"]).expect(0);
        assert!(hns.has("10.96.9.1"));
    }
}

#[test]
fn a_token_that_expires_is_read_again_from_its_file() {
    let cluster = closed(&["first"]);
    let token = cluster.file("token");
    // As people write files: with a newline.
    fs::write(&token, "first\n").unwrap();
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag(&Credentials::TokenFile(token.clone())), &hns.flag()]);
    running.wait_for("HNS in sync");
    for (number, next) in ["second", "third\n"].into_iter().enumerate() {
        cluster.server.allow_tokens([next.trim()]);
        cluster.server.cut();
        running.wait_for("rejects the credentials (401)");
        fs::write(&token, next).unwrap();
        running.wait_for("API server unavailable: resolved");
        let address = format!("10.96.9.{}", number + 2);
        web(&cluster.server, next.trim(), &address);
        until("what comes is programmed", || hns.has(&address));
    }
}

#[test]
fn a_certificate_that_is_replaced_is_read_again_from_its_files() {
    let cluster = closed(&[]);
    let (certificate, key) = (cluster.file("client.crt"), cluster.file("client.key"));
    let write = || {
        let (certificate_text, key_text) = cluster.server.certificate().unwrap();
        fs::write(&certificate, certificate_text).unwrap();
        fs::write(&key, key_text).unwrap();
    };
    write();
    let hns = Hns::of("boutique-l2bridge");
    let files = Credentials::CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    let running = Running::start(&[&cluster.flag(&files), &hns.flag()]);
    running.wait_for("HNS in sync");
    for (name, address) in [("second", "10.96.9.2"), ("third", "10.96.9.3")] {
        cluster.server.renew_certificate().unwrap();
        cluster.server.cut();
        running.wait_for("rejects the credentials (401)");
        write();
        running.wait_for("API server unavailable: resolved");
        web(&cluster.server, name, address);
        until("what comes is programmed", || hns.has(address));
    }
}

#[test]
fn a_server_that_can_t_be_verified_is_never_asked() {
    let (cluster, other) = (closed(&[]), ApiServer::start_tls().unwrap());
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::Token("secret".into()));
    let authority =
        other.kubeconfig(&Credentials::None)["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] = authority;
    let hns = Hns::of("boutique-l2bridge");
    let ended = hnsproxy(&["run", &cluster.flag_of(&kubeconfig), &hns.flag(), "--once"]).expect(1);
    ended.logs("TLS handshake with API server").logs("check certificate-authority").logs("gave up after 10 s");
    assert_eq!(cluster.server.received(), vec![]);
    assert_eq!(hns.emulator.writes(), 0);
}

#[test]
fn a_kubeconfig_that_is_mended_is_read_again() {
    let (cluster, other) = (Cluster::of(ApiServer::start_tls().unwrap()), ApiServer::start_tls().unwrap());
    web(&cluster.server, "a", "10.96.9.1");
    let good = cluster.server.kubeconfig(&Credentials::None);
    let mut bad = good.clone();
    let authority =
        other.kubeconfig(&Credentials::None)["clusters"][0]["cluster"]["certificate-authority-data"].clone();
    bad["clusters"][0]["cluster"]["certificate-authority-data"] = authority;
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag_of(&bad), &hns.flag()]);
    running.wait_for("TLS handshake with API server");
    cluster.flag_of(&good);
    until("the Service is programmed", || hns.has("10.96.9.1"));
}

/// A proxy that carries whatever is asked for by CONNECT: its URL, and what was asked for.
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
            // Nobody listens any more once the test is over.
            let _ = sender.send(to);
        }
    });
    (url, asked)
}

#[test]
fn the_proxy_of_a_kubeconfig_is_the_way() {
    let cluster = closed(&["secret"]);
    let (url, asked) = proxy();
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::Token("secret".into()));
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = url.into();
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    until("the Service is programmed", || hns.has("10.96.9.1"));
    drop(running);
    let to = cluster.server.url().rsplit_once('/').unwrap().1.to_owned();
    let asked: Vec<String> = asked.try_iter().collect();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == to), "{asked:?}");
}

#[test]
fn who_is_not_allowed_is_told_what_allows_it() {
    let cluster = Cluster::of(ApiServer::start().unwrap());
    cluster.server.set_fault_mode(test_api_server::FaultMode::Refuses { code: 403, retry_after: None });
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_for("the ClusterRole system:node-proxier allows it");
}

#[test]
fn no_way_at_all_is_an_error_at_once() {
    let hns = Hns::of("boutique-l2bridge");
    hnsproxy(&["run", &hns.flag()]).expect(1).logs("set --kubeconfig");
    hnsproxy(&["run", "--kubeconfig=nowhere.yaml", &hns.flag()])
        .expect(1)
        .logs("cannot read kubeconfig nowhere.yaml: ");
    // As in a pod, but without the files of a service account.
    let mut in_pod = command(&["run", &hns.flag()]);
    in_pod.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
    ended(&mut in_pod).expect(1).logs("ca.crt and namespace in /var/run/secrets/kubernetes.io/serviceaccount");
}

/// A kubeconfig of a cluster with a plugin for credentials: a script of the shell.
#[cfg(unix)]
fn plugin(cluster: &Cluster, script: &str) -> serde_json::Value {
    use std::os::unix::fs::PermissionsExt;

    let plugin = cluster.file("plugin.sh");
    fs::write(&plugin, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["users"][0]["user"] = serde_json::json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": plugin, "interactiveMode": "Never"}});
    kubeconfig
}

#[cfg(unix)]
#[test]
fn a_plugin_that_fails_is_named_and_run_again() {
    let cluster = closed(&["secret"]);
    let ready = cluster.file("ready");
    let credential =
        r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "secret"}}"#;
    let kubeconfig = plugin(&cluster, &format!("test -f '{}' || exit 7\necho '{credential}'\n", ready.display()));
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag_of(&kubeconfig), &hns.flag()]);
    running.wait_for("cannot create API server client: ");
    fs::write(&ready, "").unwrap();
    running.wait_for("API server unavailable: resolved");
    until("the Service is programmed", || hns.has("10.96.9.1"));
}

#[cfg(unix)]
#[test]
fn a_plugin_that_hangs_holds_up_neither_health_checks_nor_the_end() {
    let cluster = closed(&["secret"]);
    let (first, hangs) = (cluster.file("first"), cluster.file("hangs"));
    let expired = r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "secret", "expirationTimestamp": "2020-01-01T00:00:00Z"}}"#;
    let script = format!(
        "if test -f '{first}'; then : > '{hangs}'; while kill -0 $PPID; do sleep 0.1; done; fi\n: > '{first}'\necho '{expired}'\n",
        first = first.display(),
        hangs = hangs.display()
    );
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster.flag_of(&plugin(&cluster, &script)), &hns.flag()]);
    until("the plugin hangs", || hangs.exists());
    until("health is answered", || get(running.health, "/livez").is_some_and(|answer| answer.code == 200));
    running.end();
}
