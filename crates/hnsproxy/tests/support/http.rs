//! HTTP requests to the program.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::wait::{BOUND, wait_until};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) code: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The value of a series on a page of metrics. The series has its labels as the page spells them.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let value = self.body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }
}

/// Sends a request without a body. None if nothing answers.
pub(crate) fn request(method: &str, address: SocketAddr, path: &str) -> Option<Response> {
    exchange(method, address, path, "", "")
}

/// Sends a request with a body. None if nothing answers.
pub(crate) fn send(method: &str, address: SocketAddr, path: &str, body: &str) -> Option<Response> {
    exchange(method, address, path, "", body)
}

/// None if nothing answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Response> {
    request("GET", address, path)
}

/// Gets a page in a media type. None if nothing answers.
pub(crate) fn get_as(media_type: &str, address: SocketAddr, path: &str) -> Option<Response> {
    exchange("GET", address, path, &format!("Accept: {media_type}\r\n"), "")
}

/// Gets a page under a name of the server. None if nothing answers.
pub(crate) fn get_at(host: &str, address: SocketAddr, path: &str) -> Option<Response> {
    exchange_at(host, "GET", address, path, "", "")
}

fn exchange(method: &str, address: SocketAddr, path: &str, headers: &str, body: &str) -> Option<Response> {
    exchange_at(&address.to_string(), method, address, path, headers, body)
}

fn exchange_at(
    host: &str,
    method: &str,
    address: SocketAddr,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Response> {
    let mut stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    exchange_over(&mut stream, host, method, path, headers, body)
}

/// Sends a request over a connection. None if nothing answers.
pub(super) fn exchange_over(
    stream: &mut (impl Read + Write),
    host: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Response> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    // Some pages are not text.
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let code = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Some(Response { code, headers, body: body.to_owned() })
}

/// Waits until a page is accepted, and returns it.
#[track_caller]
pub(crate) fn wait_for_page(address: SocketAddr, path: &str, accept: impl Fn(&Response) -> bool) -> Response {
    let accept = |answer: &Option<Response>| answer.as_ref().is_some_and(&accept);
    wait_until(&format!("http://{address}{path}"), || get(address, path), accept).unwrap()
}
