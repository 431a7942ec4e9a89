//! `explain svc`, from files and from a running program.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::support::program::{Ended, hnsproxy};
use crate::support::recording::{cluster_flag, host_flag};

fn explain(service: &str, more: &[&str]) -> Ended {
    let (from, hns) = (cluster_flag("mixed-l2bridge"), host_flag("mixed-l2bridge"));
    let mut arguments = vec!["explain", "svc", service, &from, &hns];
    arguments.extend(more);
    hnsproxy(&arguments)
}

/// Answers one request, and returns its first line.
fn answer_once(head: &'static str, body: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        while !lines.next().unwrap().unwrap().is_empty() {}
        write!(stream, "HTTP/1.1 {head}\r\ncontent-type: application/json\r\n\r\n{body}").unwrap();
        first
    });
    (address, thread)
}

#[test]
fn explain_prints_frontends_with_their_backends_and_documents() {
    let json = explain("kube-system/kube-dns", &["-o=json"]).expect(0).json();
    assert_eq!(json["service"]["name"], "kube-dns");
    assert_eq!(json["frontends"][0]["backends"][0]["state"], "EndpointPending");
    assert_eq!(json["frontends"][0]["desired"]["document"]["FrontendVIPs"][0], "10.96.0.10");
    assert_eq!(json["hns"], "known");
}

#[test]
fn a_service_that_is_not_found_cannot_be_explained() {
    explain("ns/nothing", &[]).expect(1);
}

#[test]
fn explain_asks_a_running_program() {
    let json = explain("kube-system/kube-dns", &["-o=json"]).expect(0).json();
    let (address, served) = answer_once("200 OK", json.to_string());
    let address = format!("--debug-address={address}");
    let asked = hnsproxy(&["explain", "svc", "kube-system/kube-dns", &address, "-o=json"]).expect(0);
    assert_eq!(served.join().unwrap(), "GET /debug/explain/kube-system/kube-dns HTTP/1.1");
    assert_eq!(asked.json(), json);
}

#[test]
fn a_service_that_a_running_program_does_not_find_cannot_be_explained() {
    let (address, _) = answer_once("404 Not Found", "null".into());
    hnsproxy(&["explain", "svc", "ns/web", &format!("--debug-address={address}")]).expect(1);
}
