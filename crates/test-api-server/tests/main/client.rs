//! A minimal HTTP client that shows each byte of a response.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use test_api_server::ApiServer;

/// The longest wait for the server.
const BOUND: Duration = Duration::from_secs(10);

/// A response: code and headers, and the stream of its body.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    stream: BufReader<TcpStream>,
}

/// Sends one request on a connection of its own.
pub(crate) fn send(server: &ApiServer, method: &str, target: &str, headers: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(BOUND))?;
    let length = body.len();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\n\r\n{body}")?;
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { code, head, stream })
}

pub(crate) fn get(server: &ApiServer, target: &str) -> Answer {
    send(server, "GET", target, "", "").unwrap()
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(mut self) -> io::Result<String> {
        let length = self.header("Content-Length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body).unwrap())
    }

    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.text().unwrap()).unwrap()
    }

    /// The next chunk: empty at the end; an error if the connection was closed.
    pub(crate) fn chunk(&mut self) -> io::Result<String> {
        let mut length = String::new();
        self.stream.read_line(&mut length)?;
        let length = usize::from_str_radix(length.trim(), 16).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let mut data = vec![0; length + 2];
        self.stream.read_exact(&mut data)?;
        data.truncate(length);
        Ok(String::from_utf8(data).unwrap())
    }

    /// The events of the next chunk as text: type, name and version.
    pub(crate) fn events(&mut self) -> Vec<String> {
        self.chunk().unwrap().lines().map(|line| short(&serde_json::from_str(line).unwrap())).collect()
    }
}

/// An event as text: type, name and version.
fn short(event: &Value) -> String {
    let object = &event["object"];
    if event["type"] == "ERROR" {
        return format!("ERROR {} {}", object["code"], object["reason"].as_str().unwrap());
    }
    let metadata = &object["metadata"];
    let end = if metadata["annotations"]["k8s.io/initial-events-end"] == "true" { " end" } else { "" };
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!("{} {} {}{end}", text(&event["type"]), text(&metadata["name"]), text(&metadata["resourceVersion"]))
}

pub(crate) fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": name}, "spec": {"clusterIP": "10.0.0.1"}})
}

pub(crate) fn headless(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": name}, "spec": {"clusterIP": "None"}})
}

pub(crate) fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !so() {
        assert!(start.elapsed() < BOUND, "timeout waiting for {what}");
        std::thread::yield_now();
    }
}
