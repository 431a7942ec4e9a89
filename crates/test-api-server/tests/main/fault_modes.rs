//! Faults: rejections, invalid responses, closed connections and outages.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use test_api_server::{ApiServer, FaultMode, Kind};

use crate::client::{get, send, service, until};

const SERVICES: &str = "/api/v1/services";
const WATCH: &str = "/api/v1/services?watch=1&resourceVersion=8000001";

fn server() -> ApiServer {
    let server = ApiServer::start().unwrap();
    server.put(service("a")).unwrap();
    server
}

#[test]
fn rejections_have_a_code_and_an_optional_retry_after() {
    let server = server();
    server.set_fault_mode(FaultMode::Refuses { code: 429, retry_after: Some(3) });
    let answer = get(&server, SERVICES);
    assert_eq!((answer.code, answer.header("Retry-After")), (429, Some("3")));
    assert_eq!(answer.json()["reason"], "TooManyRequests");
    server.set_fault_mode_for(Kind::Service, FaultMode::Refuses { code: 500, retry_after: None });
    let answer = get(&server, WATCH);
    assert_eq!((answer.code, answer.header("Retry-After")), (500, None));
    assert_eq!(get(&server, "/api/v1/nodes").code, 429);
    server.set_fault_mode(FaultMode::None);
    assert_eq!(get(&server, SERVICES).code, 200);
}

#[test]
fn garbage_is_invalid_json_with_code_200() {
    let server = server();
    server.set_fault_mode(FaultMode::Garbage);
    let answer = get(&server, SERVICES);
    assert_eq!(answer.code, 200);
    assert!(serde_json::from_str::<Value>(&answer.text().unwrap()).is_err());
}

#[test]
fn half_of_a_list_or_line_is_sent_before_the_connection_closes() {
    let server = server();
    let mut before = get(&server, WATCH);
    server.set_fault_mode(FaultMode::Half);
    assert_eq!(get(&server, SERVICES).text().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let mut watch = get(&server, "/api/v1/services?watch=1");
    assert!(watch.chunk().unwrap().starts_with("{\"type\":\"ADDED\","));
    assert!(watch.chunk().is_err());
    // An open watch continues.
    server.put(service("b")).unwrap();
    assert_eq!(before.events(), ["ADDED b 8000002"]);
}

#[test]
fn open_watches_send_texts_of_the_test() {
    let server = server();
    let mut watch = get(&server, WATCH);
    until("the watch is open", || server.watches(Kind::Service) == 1);
    server.send_text(Some(Kind::Node), "not to be seen");
    server.send_text(Some(Kind::Service), "garbage\n");
    assert_eq!(watch.chunk().unwrap(), "garbage\n");
    server.send_text_and_close(None, "{\"type\":");
    assert_eq!(watch.chunk().unwrap(), "{\"type\":");
    assert!(watch.chunk().is_err());
    // A later watch does not get it.
    let mut watch = get(&server, WATCH);
    server.put(service("b")).unwrap();
    assert_eq!(watch.events(), ["ADDED b 8000002"]);
}

#[test]
fn a_hanging_request_lasts_until_its_connection_is_cut() {
    let server = server();
    server.set_fault_mode(FaultMode::Hangs);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    write!(stream, "GET {SERVICES} HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    server.cut();
    stream.set_read_timeout(None).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_slow_server_responds_after_a_delay() {
    let server = server();
    server.set_fault_mode(FaultMode::Slow(Duration::from_millis(20)));
    assert_eq!(get(&server, SERVICES).code, 200);
}

#[test]
fn an_unavailable_server_comes_back_at_the_same_address() {
    let server = server();
    let mut watch = get(&server, WATCH);
    for _ in 0..3 {
        server.make_unavailable();
        assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        server.make_available().unwrap();
        assert_eq!(get(&server, SERVICES).code, 200);
    }
    assert!(watch.chunk().is_err());
    let address = server.address();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_watch_ends_at_its_timeout_and_its_connection_stays_open() {
    let server = server();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET {WATCH}&timeoutSeconds=1 HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    while !answer.ends_with("0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0].into());
    }
    assert_eq!(server.watches(Kind::Service), 0);
    write!(stream, "GET {SERVICES} HTTP/1.1\r\n\r\n").unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
}

#[test]
fn tokens_authenticate_and_can_be_changed_at_any_time() {
    let server = server();
    let code = |headers: &str| send(&server, "GET", SERVICES, headers, "").unwrap().code;
    assert_eq!(code(""), 200);
    server.allow_tokens(["one", "two"]);
    assert_eq!(
        [code(""), code("Authorization: Bearer one\r\n"), code("Authorization: Bearer three\r\n")],
        [401, 200, 401]
    );
    server.allow_tokens(["three"]);
    assert_eq!([code("Authorization: Bearer one\r\n"), code("Authorization: Bearer three\r\n")], [401, 200]);
    let unauthorized = get(&server, SERVICES).json();
    assert_eq!((&unauthorized["reason"], &unauthorized["code"]), (&json!("Unauthorized"), &json!(401)));
    server.allow_anyone();
    assert_eq!(code(""), 200);
}
