//! Puts secrets in all places that can contain one, and verifies that none is in the bundle, on a page, or in the log of the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};
use test_api_server::{ApiServer, Credentials};

use super::{BOUTIQUE, Target, names, parts};
use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::{command, ended};
use crate::support::running::Running;

/// The pages of the process. `/flagz` and `/statusz` are in the bundle, too.
const PAGES: [&str; 13] = [
    "/readyz",
    "/statusz",
    "/statusz?format=json",
    "/configz",
    "/flagz",
    "/metrics",
    "/metrics/slis",
    "/debug/services/ns/seeded",
    "/debug/history?limit=4096",
    "/debug/hns",
    "/debug/networks",
    "/debug/pending",
    "/debug/services",
];

/// A unique text for a place.
fn seed(place: &str) -> String {
    format!("seed-{place}-7d1f0c5e9b")
}

fn key(seed: &str) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{seed}\n-----END PRIVATE KEY-----\n")
}

/// A Service, its slice and a Node with secrets in annotations.
fn objects() -> Value {
    let annotations = |place: &str| {
        json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"token\":\"{}\"}}", seed(place)),
            "vendor.example.com/note": seed(place)})
    };
    let mut objects = [
        service("seeded", "10.96.9.9"),
        slice("seeded", "10.244.7.9"),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"}}),
    ];
    for (object, place) in objects.iter_mut().zip(["service", "slice", "node"]) {
        object["metadata"]["annotations"] = annotations(place);
    }
    json!(objects)
}

/// The kubeconfig of a server, with a secret in each field that can contain one.
fn kubeconfig(cluster: &Cluster, user: Value) -> Value {
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["users"][0]["user"] = user;
    let url = cluster.server.url().replace("://", &format!("://admin:{}@", seed("server")));
    kubeconfig["clusters"][0]["cluster"]["server"] = url.into();
    let other = json!([
        {"name": "inline", "user": {"token": seed("token"), "client-key-data": BASE64.encode(key(&seed("key-data"))),
            "client-certificate-data": "Q0VSVA=="}},
        {"name": "password", "user": {"username": "admin", "password": seed("password")}},
        {"name": "provider", "user": {"auth-provider": {"name": "oidc", "config": {"id-token": seed("id-token"),
            "refresh-token": seed("refresh-token"), "client-secret": seed("client-secret")}}}},
        {"name": "unknown", "user": {"new-kind-of-credential": seed("unknown")}},
        {"name": "files", "user": {"tokenFile": cluster.file("token"), "client-key": cluster.file("key")}},
    ]);
    kubeconfig["users"].as_array_mut().unwrap().extend(other.as_array().unwrap().clone());
    let proxied = json!({"name": "proxied", "cluster": {"server": format!("https://10.0.0.1/?token={}", seed("query")),
        "proxy-url": format!("http://admin:{}@127.0.0.1:1", seed("proxy"))}});
    kubeconfig["clusters"].as_array_mut().unwrap().push(proxied);
    fs::write(cluster.file("token"), seed("token-file")).unwrap();
    fs::write(cluster.file("key"), key(&seed("key-file"))).unwrap();
    kubeconfig
}

/// What another program may have written to the log file.
fn log_lines() -> String {
    format!(
        "I1130 request: Authorization: Bearer {}\n{{\"password\": \"{}\"}}\n{}I1130 argument {} of the plugin, answer {}\n\
         I1130 proxy http://admin:{}@10.0.0.1:3128/ token {} of the file\n",
        seed("log-header"),
        seed("log-password"),
        key(&seed("log-key")),
        seed("argument"),
        seed("exec-variable"),
        seed("log-url"),
        seed("token-file"),
    )
}

const PLACES: [&str; 25] = [
    "service",
    "slice",
    "node",
    "server",
    "token",
    "key-data",
    "password",
    "id-token",
    "refresh-token",
    "client-secret",
    "unknown",
    "query",
    "proxy",
    "token-file",
    "key-file",
    "log-header",
    "log-password",
    "log-key",
    "log-url",
    "argument",
    "exec-variable",
    "plugin-output",
    "environment",
    "environment-url",
    "master",
];

#[test]
fn no_secret_is_in_a_bundle_on_a_page_or_in_the_log() {
    let (cluster, hns, target) = (Cluster::of(ApiServer::start_tls().unwrap()), Hns::of(BOUTIQUE), Target::new());
    cluster.server.allow_tokens([seed("plugin-output").as_str()]);
    cluster.server.load(objects()).unwrap();
    let (plugin, log) = (cluster.file("plugin.sh"), cluster.file("proxy.log"));
    let answer = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": seed("plugin-output")}});
    fs::write(&plugin, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&log, log_lines()).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
        "args": ["--secret", seed("argument")], "env": [{"name": "NAME", "value": seed("exec-variable")}]});
    let flag = cluster.flag_of(&kubeconfig(&cluster, json!({"exec": exec})));
    let log_file = format!("--log-file={}", log.display());
    let master = format!("--master={}", cluster.server.url().replace("://", &format!("://admin:{}@", seed("master"))));
    let flags = [flag.as_str(), &hns.flag(), &log_file, &master, "-v=10"];
    let running = Running::start(&flags);
    running.wait_until_in_sync();
    hns.wait_for_frontend("10.96.9.9");
    let debug = format!("--debug-address={}", running.metrics);
    let argument = target.argument();
    let mut bundle = command(&["bundle", &argument, &debug, &flag, &hns.flag(), &log_file, &master, "-o=json"]);
    bundle.env("VAULT_TOKEN", seed("environment"));
    bundle.env("NO_PROXY", "127.0.0.1");
    bundle.env("HTTPS_PROXY", format!("http://admin:{}@10.0.0.1:3128", seed("environment-url")));
    let manifest = ended(&mut bundle).expect(0).json();
    assert_eq!(names(&manifest, "missing"), [""; 0], "{manifest:#}");
    let pages = PAGES.map(|page| (page.to_owned(), get(running.metrics, page).unwrap().body.into_bytes()));
    let standard_error = running.kill().join("\n").into_bytes();
    let own_lines = fs::read_to_string(&log).unwrap().replace(&log_lines(), "").into_bytes();
    let written = parts(&target.file()).into_iter().chain(pages);
    let written = written.chain([("standard error".to_owned(), standard_error), ("log file".to_owned(), own_lines)]);
    for (name, content) in written {
        for place in PLACES {
            for form in [seed(place), BASE64.encode(seed(place))] {
                // The padding at the end of the base64 text depends on the data after the secret.
                let form = form.trim_end_matches('=');
                let has = content.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!has, "the secret of {place} is in {name}:\n{}", String::from_utf8_lossy(&content));
            }
        }
    }
    let log = String::from_utf8(parts(&target.file())["log/0/proxy.log"].clone()).unwrap();
    assert!(log.contains("I1130 request: "), "the rest of the log stays:\n{log}");
}
