//! HTTP requests to running programs, and free addresses for their servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// The timeout of a request.
const BOUND: Duration = Duration::from_secs(10);

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) code: u16,
    pub(crate) body: String,
}

/// Sends a GET request; `None` without a response.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    page(&text)
}

fn page(text: &str) -> Option<Page> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { code, body: body.to_owned() })
}

/// The value of a metric without labels.
pub(crate) fn metric(page: &str, name: &str) -> Result<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("metric {name} not found in\n{page}"))
}

/// Addresses on which no program listens.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are bound at the same time: the system could return the same free address twice otherwise.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        let listener = listener.as_ref().map_err(|error| anyhow::anyhow!("cannot bind a port: {error}"))?;
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_code_and_a_body() {
        let text = "HTTP/1.0 503 Service Unavailable\r\ncontent-type: text/plain\r\n\r\nnot yet\r\n\r\n";
        assert_eq!(page(text), Some(Page { code: 503, body: "not yet\r\n\r\n".into() }));
        assert_eq!(page("HTTP/1.0 200"), None);
        assert_eq!(page(""), None);
    }

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let page = "# HELP a b\na_total 1\na{l=\"x\"} 2\na 3.5\n";
        assert_eq!(metric(page, "a").unwrap(), 3.5);
        assert!(metric(page, "b").is_err());
    }
}
