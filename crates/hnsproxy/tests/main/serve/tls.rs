//! TLS at the addresses of metrics and of health checks.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::https::{Certificate, CertificateFiles};
use crate::support::program::hnsproxy;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// The program with TLS at some of its addresses.
struct Served {
    files: CertificateFiles,
    running: Running,
    _directory: TempDir,
    _hns: Hns,
}

/// Starts the program with the files of a certificate, if there is one.
fn start(certificate: Option<&Certificate>, addresses: &[&str]) -> Served {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let files = CertificateFiles::new(directory.path());
    certificate.into_iter().for_each(|certificate| files.write(certificate));
    let tls: Vec<_> = addresses.iter().flat_map(|address| files.flags(address)).collect();
    let (cluster, hns_flag) = (cluster_flag("boutique-l2bridge"), hns.flag());
    let flags: Vec<_> = tls.iter().chain([&cluster, &hns_flag]).map(String::as_str).collect();
    Served { running: Running::start(&flags), files, _directory: directory, _hns: hns }
}

/// Waits until a page answers with code 200 and this certificate.
#[track_caller]
fn wait_for(certificate: &Certificate, address: SocketAddr, path: &str) {
    let code = || certificate.get(address, path).map(|answer| answer.code);
    wait_until(&format!("https://{address}{path}"), code, |code| *code == Some(200));
}

/// The member `tls` of `/statusz`, at an address without TLS.
fn status(running: &Running) -> Option<Value> {
    Some(get(running.metrics, "/statusz?format=json")?.json()["tls"].clone())
}

#[test]
fn an_address_with_tls_has_tls_1_2_and_1_3_and_refuses_other_requests() {
    let certificate = Certificate::generate();
    let Served { running, files, .. } = &start(Some(&certificate), &["metrics", "healthz"]);
    wait_for(&certificate, running.metrics, "/readyz");
    wait_for(&certificate, running.health, "/healthz");
    for version in [&TLS12, &TLS13] {
        let codes = [(running.metrics, "/metrics"), (running.health, "/livez")]
            .map(|(address, path)| certificate.get_with(&[version], address, path).map(|answer| answer.code));
        assert_eq!(codes, [Some(200); 2], "{version:?}");
    }
    for (address, path) in [(running.metrics, "/metrics"), (running.health, "/healthz")] {
        let refused = get(address, path).unwrap();
        assert_eq!((refused.code, refused.body.as_str()), (400, "Client sent an HTTP request to an HTTPS server.\n"));
    }
    let statusz = certificate.get(running.metrics, "/statusz?format=json").unwrap().json();
    let expected = ["healthz", "metrics"].map(|listener| {
        json!({"listener": listener, "certificate_file": files.certificate, "key_file": files.key, "error": null})
    });
    assert_eq!(statusz["tls"], json!(expected));
}

#[test]
fn a_command_that_queries_a_server_with_tls_needs_its_certificate() {
    let [certificate, other] = [(); 2].map(|()| Certificate::generate());
    let Served { running, files, .. } = &start(Some(&certificate), &["metrics"]);
    wait_for(&certificate, running.metrics, "/readyz");
    let address = format!("--debug-address={}", running.metrics);
    let explain = |flags: &[&str]| hnsproxy(&[&["explain", "svc", "default/frontend", &address][..], flags].concat());
    let fails = |flags: &[&str], reason: &str| {
        let failed = explain(flags).expect(1);
        assert!(failed.stderr.contains(reason), "{}", failed.stderr);
    };
    fails(&[], "set --debug-tls-cert-file");
    let flag = |path: &Path| format!("--debug-tls-cert-file={}", path.display());
    explain(&[&flag(Path::new(&files.certificate))]).expect(0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.crt");
    fails(&[&flag(&path)], "cannot read");
    fs::write(&path, &other.certificate).unwrap();
    fails(&[&flag(&path)], "TLS handshake failed");
}

#[test]
fn a_renewed_certificate_is_served_and_one_that_cannot_be_used_is_not() {
    let [first, second, third] = [(); 3].map(|()| Certificate::generate());
    let Served { running, files, .. } = &start(Some(&first), &["healthz"]);
    wait_for(&first, running.health, "/livez");
    files.write(&second);
    wait_for(&second, running.health, "/livez");
    // The certificate is renewed before the key.
    fs::write(&files.certificate, &third.certificate).unwrap();
    let answered = || (second.get(running.health, "/livez").map(|answer| answer.code), status(running));
    let (code, _) = wait_until("an error on /statusz", answered, |(_, status)| {
        status.as_ref().is_some_and(|status| status[0]["error"].is_string())
    });
    assert_eq!(code, Some(200));
    fs::remove_file(&files.key).unwrap();
    assert_eq!(second.get(running.health, "/livez").map(|answer| answer.code), Some(200));
    files.write(&third);
    wait_for(&third, running.health, "/livez");
    assert_eq!(status(running).unwrap()[0]["error"], Value::Null);
}

#[test]
fn a_certificate_that_does_not_exist_yet_is_waited_for_while_hns_is_programmed() {
    let certificate = Certificate::generate();
    let Served { running, files, .. } = &start(None, &["metrics"]);
    wait_for_page(running.health, "/healthz", |answer| answer.code == 200);
    assert_eq!(certificate.get(running.metrics, "/metrics"), None);
    files.write(&certificate);
    wait_for(&certificate, running.metrics, "/readyz");
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start() {
    let (directory, [certificate, other]) = (tempfile::tempdir().unwrap(), [(); 2].map(|()| Certificate::generate()));
    let files = CertificateFiles::new(directory.path());
    let hns = Hns::of("boutique-l2bridge");
    for (key, secret) in
        [(other.key.clone(), &other.key), (certificate.key.replace("-----END", "----"), &certificate.key)]
    {
        files.write(&certificate);
        fs::write(&files.key, &key).unwrap();
        let tls = files.flags("metrics");
        let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), &tls[0], &tls[1]];
        let ended = hnsproxy(&flags.map(String::as_str)).expect(1);
        let ended = secret.lines().filter(|line| !line.starts_with('-')).fold(ended, |ended, line| ended.hides(line));
        assert!(ended.stderr.contains("tls.key"), "{}", ended.stderr);
    }
}
