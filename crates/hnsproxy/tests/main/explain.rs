//! `explain svc`, from files and from a process.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::Value;

use crate::program::{emulated, from, hnsproxy, recording};

fn explain(service: &str, more: &[&str]) -> crate::program::Ended {
    let (from, hns) =
        (from(&recording("mixed-l2bridge", "cluster.json")), emulated(&recording("mixed-l2bridge", "host.json")));
    let mut arguments = vec!["explain", "svc", service, &from, &hns];
    arguments.extend(more);
    hnsproxy(&arguments)
}

/// Answers one request, and gives the request's first line.
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
fn explain_names_frontends_backends_and_what_would_be_done() {
    let text = explain("kube-system/kube-dns", &["--enable-dsr"]).expect(0).stdout;
    for part in [
        "Service kube-system/kube-dns\n",
        "cluster IP 10.96.0.10:53/UDP (dns)\n",
        "  in  10.244.4.16:53 on lin-4  serves; its HNS endpoint is to be created\n",
        " with 10.244.4.16, 10.244.5.16, port 53, DSR\n",
        "  observed: none\n",
        "would change:\n  create remote endpoint 10.244.4.16: HNS has none\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let json = explain("kube-system/kube-dns", &["-o=json"]).expect(0).json();
    assert_eq!(json["service"]["name"], "kube-dns");
    assert_eq!(json["frontends"][0]["backends"][0]["state"], "EndpointToCome");
    assert_eq!(json["frontends"][0]["desired"]["document"]["FrontendVIPs"][0], "10.96.0.10");
    assert_eq!(json["hns"], "known");
}

#[test]
fn explain_names_what_is_not_there_and_why() {
    explain("ns/nothing", &[]).expect(1).logs("Service ns/nothing not found");
    let directory = tempfile::tempdir().unwrap();
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: h}\nspec: {clusterIP: None}\n";
    std::fs::write(directory.path().join("h.yaml"), headless).unwrap();
    let ended = hnsproxy(&["explain", "svc", "ns/h", &from(directory.path())]).expect(1);
    ended.logs("Service ns/h not found: it is headless");
    hnsproxy(&["explain", "svc", "web"]).expect(1).logs("NAMESPACE/NAME");
}

#[test]
fn explain_asks_a_running_process() {
    let json = explain("kube-system/kube-dns", &["-o=json"]).expect(0).json();
    let (address, served) = answer_once("200 OK", json.to_string());
    let address = format!("--debug-address={address}");
    let asked = hnsproxy(&["explain", "svc", "kube-system/kube-dns", &address, "-o=json"]).expect(0);
    assert_eq!(served.join().unwrap(), "GET /debug/explain/kube-system/kube-dns HTTP/1.0");
    assert_eq!(asked.json(), json);

    let (address, _) = answer_once("404 Not Found", Value::Null.to_string());
    let address = format!("--debug-address={address}");
    hnsproxy(&["explain", "svc", "ns/web", &address]).expect(1).logs("Service ns/web not found");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("--debug-address={free}");
    let ended = hnsproxy(&["explain", "svc", "ns/web", &address]).expect(1);
    ended.logs("cannot ask the hnsproxy at").logs("no connection");
}
