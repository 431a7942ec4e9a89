//! Asks the program over HTTP.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::program::{BOUND, until};

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// The headers, their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// A header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Asks; none, where nobody answers.
pub(crate) fn ask(method: &str, address: SocketAddr, path: &str) -> Option<Answer> {
    send(method, address, path, "")
}

/// Asks with a body; none, where nobody answers.
pub(crate) fn send(method: &str, address: SocketAddr, path: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let code = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Some(Answer { code, headers, body: body.to_owned() })
}

/// Gets a page; none, where nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    ask("GET", address, path)
}

/// Waits until a page is as it should be, and answers with it.
pub(crate) fn wait(address: SocketAddr, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let found = RefCell::new(None);
    until(&format!("{address}{path}"), || {
        *found.borrow_mut() = get(address, path).filter(&is_so);
        let so = found.borrow().is_some();
        if !so {
            // The program needs the processor more than who asks.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        so
    });
    found.into_inner().unwrap()
}
