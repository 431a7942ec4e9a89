//! The HTTP client of `hnsproxy explain`, for the hnsproxy that runs on this host.
//!
//! It speaks HTTP 1.0 without keep-alive, so that the response ends with the connection. The response is checked, since another program may
//! listen at the address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::serve::PLAIN_HTTP;

const TIMEOUT: Duration = Duration::from_secs(10);
/// The explanation of a Service with thousands of backends is below 2 MiB.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// The first bytes of a TLS alert: the content type, and the major version of the protocol.
const TLS_ALERT: [u8; 2] = [21, 3];

/// The characters of a reason that are shown: another program may have sent it.
const MAX_REASON: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("connection failed")]
    Connection(#[from] std::io::Error),
    #[error("the response is not HTTP, so another program listens there")]
    NotHttp,
    #[error("it serves HTTPS there (--metrics-tls-cert-file), which this command does not support")]
    Https,
    #[error("the response is {status:?}, so another program or another version of hnsproxy listens there")]
    Status {
        /// The status line.
        status: String,
    },
    /// With the reason that the server gives.
    #[error("hnsproxy cannot answer now: {0}")]
    Unavailable(String),
    #[error("invalid response")]
    InvalidResponse(#[from] serde_json::Error),
}

/// Gets a JSON value. None if the response is 404.
///
/// # Errors
/// If the server is not reachable, or is not an hnsproxy.
pub fn get_json<T: DeserializeOwned>(address: SocketAddr, path: &str) -> Result<Option<T>, RequestError> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n")?;
    let mut response = Vec::new();
    stream.take(MAX_RESPONSE_BYTES).read_to_end(&mut response)?;
    parse(&response)
}

fn parse<T: DeserializeOwned>(response: &[u8]) -> Result<Option<T>, RequestError> {
    if response.starts_with(&TLS_ALERT) {
        return Err(RequestError::Https);
    }
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").ok_or(RequestError::NotHttp)?;
    let (head, body) = response.split_at(end);
    let status = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let is_json = String::from_utf8_lossy(head).to_ascii_lowercase().contains("content-type: application/json");
    match status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)) {
        None => Err(RequestError::NotHttp),
        Some("200") => Ok(Some(serde_json::from_slice(body.trim_ascii())?)),
        // A server without this path answers 404 too, but without JSON.
        Some("404") if is_json => Ok(None),
        Some("400") if String::from_utf8_lossy(body).contains(PLAIN_HTTP) => Err(RequestError::Https),
        Some("503") => Err(RequestError::Unavailable(first_line(body))),
        Some(_) => Err(RequestError::Status { status }),
    }
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.trim_ascii());
    text.lines().next().unwrap_or("no reason given").chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<u8>, String> {
        parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_response_is_its_body() {
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n"), Ok(Some(7)));
        assert_eq!(parsed("HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n{}"), Ok(None));
    }

    #[test]
    fn a_server_with_tls_is_an_error_that_says_so() {
        let refused = format!("HTTP/1.0 400 Bad Request\r\n\r\n{PLAIN_HTTP}");
        for response in [refused.as_bytes(), b"\x15\x03\x03\x00\x02\x02\x46"] {
            assert!(matches!(parse::<u8>(response), Err(RequestError::Https)));
        }
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        assert!(parsed("SSH-2.0-OpenSSH\r\n").unwrap_err().contains("not HTTP"));
        assert!(parsed("220 smtp\r\n\r\n").unwrap_err().contains("not HTTP"));
        assert!(parsed("HTTP/1.1 404 Not Found\r\n\r\n404 page not found").unwrap_err().contains("404 Not Found"));
        assert!(parsed("HTTP/1.1 200 OK\r\n\r\nok").unwrap_err().contains("invalid response"));
        for (body, reason) in [("busy\nmore", "busy"), ("", "no reason given")] {
            let expected = format!("hnsproxy cannot answer now: {reason}");
            assert_eq!(parsed(&format!("HTTP/1.1 503 Service Unavailable\r\n\r\n{body}")), Err(expected));
        }
    }
}
