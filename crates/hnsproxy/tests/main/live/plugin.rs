//! Credential plugins that fail, hang or are missing. The plugins are shell scripts.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use test_api_server::Credentials;

use super::access::closed;
use super::secrets::assert_not_shown;
use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::http::wait_for_page;
use crate::support::running::Running;
use crate::support::wait::{BOUND, wait_until};

/// A token that no other text contains.
const SECRET: &str = "plugin-5f2b9c";

/// A kubeconfig with this `exec`.
fn kubeconfig(cluster: &Cluster, exec: &Value) -> Value {
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["users"][0]["user"] = json!({"exec": exec});
    kubeconfig
}

fn script_path(cluster: &Cluster) -> PathBuf {
    cluster.file("plugin.sh")
}

/// Writes a plugin, and returns the flag of a kubeconfig with it.
fn flag(cluster: &Cluster, script: &str) -> String {
    let plugin = script_path(cluster);
    fs::write(&plugin, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
        "args": ["--secret", SECRET], "env": [{"name": "SECRET", "value": SECRET}]});
    cluster.flag_of(&kubeconfig(cluster, &exec))
}

/// The answer of a plugin, with these fields of its status.
fn credential(status: &Value) -> String {
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}).to_string()
}

/// Waits until an outage is reported, and returns its error.
fn outage_of(running: &Running) -> String {
    let state = running.wait_until_cluster_available(false);
    state["cluster"]["error"].as_str().unwrap().to_owned()
}

/// Runs a plugin that prints [`SECRET`] and no credential: the error has these texts, and the secret appears nowhere.
#[track_caller]
fn is_reported_without_its_output(script: &str, texts: &[&str]) {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let running = Running::start(&[&flag(&cluster, script), &hns.flag(), "-v=10"]);
    let error = outage_of(&running);
    assert!(error.contains(&script_path(&cluster).display().to_string()), "{error}");
    texts.iter().for_each(|text| assert!(error.contains(text), "{text}: {error}"));
    assert_not_shown(running, &[SECRET]);
}

#[test]
fn the_output_of_a_plugin_that_fails_is_not_shown() {
    let script = format!("echo {SECRET}; echo 'cannot use {SECRET}' >&2; exit 3\n");
    is_reported_without_its_output(&script, &["exit status: 3", "14 bytes on stdout", "25 bytes on stderr"]);
}

#[test]
fn the_output_of_a_plugin_that_prints_garbage_is_not_shown() {
    is_reported_without_its_output(&format!("echo '{{\"token\": \"{SECRET}\", \"kind\": {SECRET}'\n"), &["line 1"]);
    is_reported_without_its_output(&format!("echo '[\"{SECRET}\"]'\n"), &["18 bytes on stdout"]);
    is_reported_without_its_output(&format!("echo '{}'\n", credential(&json!({"token": [SECRET]}))), &["line 1"]);
}

#[test]
fn an_answer_of_another_version_or_kind_is_named() {
    let answer = |version: &str, kind: &str| {
        let answer = json!({"apiVersion": version, "kind": kind, "status": {"token": SECRET}});
        format!("echo '{answer}'\n")
    };
    let v1beta1 = answer("client.authentication.k8s.io/v1beta1", "ExecCredential");
    is_reported_without_its_output(&v1beta1, &["apiVersion client.authentication.k8s.io/v1beta1"]);
    is_reported_without_its_output(&answer(SECRET, "ExecCredential"), &["apiVersion"]);
    is_reported_without_its_output(&answer("client.authentication.k8s.io/v1", SECRET), &["kind"]);
}

#[test]
fn an_answer_without_usable_credentials_is_named() {
    is_reported_without_its_output("true\n", &["0 bytes on stdout"]);
    is_reported_without_its_output(&format!("echo '{}'\n", credential(&json!({}))), &["token"]);
    let certificate = json!({"clientCertificateData": SECRET});
    is_reported_without_its_output(&format!("echo '{}'\n", credential(&certificate)), &["clientKeyData"]);
    let line_end = json!({"token": format!("{SECRET}\n")});
    is_reported_without_its_output(&format!("cat <<'END'\n{}\nEND\n", credential(&line_end)), &["token"]);
}

#[test]
fn a_plugin_without_end_of_output_is_stopped() {
    is_reported_without_its_output("while echo AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; do :; done\n", &["MiB"]);
}

#[test]
fn case_15k_a_plugin_that_is_not_installed_is_named_with_its_hint() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin",
        "interactiveMode": "IfAvailable", "installHint": "get it from https://plugin.example"});
    let running = Running::start(&[&cluster.flag_of(&kubeconfig(&cluster, &exec)), &hns.flag()]);
    let error = outage_of(&running);
    assert!(error.contains("no-such-plugin") && error.contains("get it from https://plugin.example"), "{error}");
}

#[test]
fn a_plugin_that_fails_is_run_again() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let ready = cluster.file("ready");
    let script = format!("test -f '{}' || exit 7\necho '{}'\n", ready.display(), credential(&json!({"token": SECRET})));
    let running = Running::start(&[&flag(&cluster, &script), &hns.flag(), "-v=10"]);
    running.wait_until_waiting_for("ClusterUnavailable");
    fs::write(&ready, "").unwrap();
    hns.wait_for_frontend("10.96.9.1");
    assert_not_shown(running, &[SECRET]);
}

#[test]
fn the_certificate_of_a_plugin_authenticates() {
    let (cluster, hns) = (closed(&[]), Hns::of("boutique-l2bridge"));
    let (certificate, key) = cluster.server.certificate().unwrap();
    let answer = credential(&json!({"clientCertificateData": certificate, "clientKeyData": key}));
    let _running = Running::start(&[&flag(&cluster, &format!("cat <<'END'\n{answer}\nEND\n")), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
}

#[test]
fn a_plugin_is_told_how_to_answer() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let told = cluster.file("told");
    let answer = credential(&json!({"token": SECRET}));
    let script = format!("echo \"$KUBERNETES_EXEC_INFO\" > '{}'\necho '{answer}'\n", told.display());
    let flag = flag(&cluster, &script);
    let mut kubeconfig: Value = serde_json::from_slice(&fs::read(cluster.file("kubeconfig")).unwrap()).unwrap();
    kubeconfig["users"][0]["user"]["exec"]["provideClusterInfo"] = true.into();
    cluster.flag_of(&kubeconfig);
    let _running = Running::start(&[&flag, &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
    let told: Value = serde_json::from_slice(&fs::read(&told).unwrap()).unwrap();
    let expected = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "spec": {
        "interactive": false, "cluster": {"server": cluster.server.url(),
        "certificate-authority-data": kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]}}});
    assert_eq!(told, expected);
}

#[test]
fn a_token_that_expires_is_asked_for_again() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let expired = credential(&json!({"token": SECRET, "expirationTimestamp": "2020-01-01T00:00:00Z"}));
    let runs = cluster.file("runs");
    let script = format!("echo run >> '{}'\necho '{expired}'\n", runs.display());
    let running = Running::start(&[&flag(&cluster, &script), &hns.flag()]);
    running.wait_until_in_sync();
    let count = || fs::read_to_string(&runs).unwrap().lines().count();
    let before = count();
    cluster.server.cut();
    wait_until("another run of the plugin", count, |runs| *runs > before);
}

/// A named pipe. The receiver gets a message once every process that had it open for writing is gone.
fn pipe(cluster: &Cluster) -> (PathBuf, Receiver<()>) {
    let path = cluster.file("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (sender, gone) = channel();
    let reader = path.clone();
    thread::spawn(move || {
        let mut text = String::new();
        File::open(reader).unwrap().read_to_string(&mut text).unwrap();
        // The receiver is gone if the test has failed.
        let _ = sender.send(());
    });
    (path, gone)
}

#[test]
fn a_plugin_that_hangs_is_reported_and_ends_with_the_program() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let (pipe, gone) = pipe(&cluster);
    // The plugin, and a process that it started, ignore TERM, INT and HUP.
    let script = format!("trap '' TERM INT HUP\nexec 3>'{}'\nsleep 600 &\necho {SECRET}\nwait\n", pipe.display());
    let running = Running::start(&[&flag(&cluster, &script), &hns.flag(), "-v=10"]);
    let error = outage_of(&running);
    assert!(error.contains(&script_path(&cluster).display().to_string()), "{error}");
    assert!(gone.try_recv().is_err(), "the plugin still runs");
    let log = running.interrupt();
    gone.recv_timeout(BOUND).unwrap();
    assert!(log.iter().all(|line| !line.contains(SECRET)), "{log:#?}");
}

#[test]
fn a_plugin_that_hangs_ends_with_the_program_at_a_second_signal() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let (pipe, gone) = pipe(&cluster);
    let (hang, hangs) = (cluster.file("hang"), cluster.file("hangs"));
    let expired = credential(&json!({"token": SECRET, "expirationTimestamp": "2020-01-01T00:00:00Z"}));
    let script = format!(
        "if test -f '{hang}'; then trap '' TERM INT HUP; exec 3>'{pipe}'; : > '{hangs}'; sleep 600 & wait; fi\necho '{expired}'\n",
        hang = hang.display(),
        hangs = hangs.display(),
        pipe = pipe.display()
    );
    // A call that hangs delays the shutdown, so that the second signal ends the process.
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let running = Running::start(&[&flag(&cluster, &script), &hns.flag()]);
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    fs::write(&hang, "").unwrap();
    cluster.server.cut();
    wait_until("the plugin to hang", || hangs.exists(), |hangs| *hangs);
    running.signal("TERM");
    running.signal("INT");
    assert_eq!(running.exit_code(), Some(3));
    gone.recv_timeout(BOUND).unwrap();
    hns.emulator.release();
}

#[test]
fn processes_that_a_plugin_leaves_behind_are_killed() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let (pipe, gone) = pipe(&cluster);
    let answer = credential(&json!({"token": SECRET}));
    let script = format!("exec 3>'{}'\nsleep 600 &\necho '{answer}'\n", pipe.display());
    let _running = Running::start(&[&flag(&cluster, &script), &hns.flag()]);
    gone.recv_timeout(BOUND).unwrap();
    hns.wait_for_frontend("10.96.9.1");
}

#[test]
fn a_plugin_that_hangs_later_blocks_neither_health_checks_nor_shutdown() {
    let (cluster, hns) = (closed(&[SECRET]), Hns::of("boutique-l2bridge"));
    let (first, hangs) = (cluster.file("first"), cluster.file("hangs"));
    let expired = credential(&json!({"token": SECRET, "expirationTimestamp": "2020-01-01T00:00:00Z"}));
    let script = format!(
        "if test -f '{first}'; then : > '{hangs}'; while kill -0 $PPID; do sleep 0.1; done; fi\n: > '{first}'\necho '{expired}'\n",
        first = first.display(),
        hangs = hangs.display()
    );
    let running = Running::start(&[&flag(&cluster, &script), &hns.flag()]);
    wait_until("the plugin to hang", || hangs.exists(), |hangs| *hangs);
    wait_for_page(running.health, "/livez", |answer| answer.code == 200);
    running.interrupt();
}
