//! Asks a running hnsproxy over HTTP, on this host: one request, one answer, nothing kept.
//!
//! HTTP 1.0 without keep-alive, so that the answer ends with the connection. What answers may be another program: an answer that is
//! not ours is named, not trusted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may be; that of a Service with thousands of backends is below two megabytes.
const LONGEST: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the connection broke.
    #[error("no connection")]
    Connection(#[from] std::io::Error),
    /// An answer that is no HTTP.
    #[error("the answer is no HTTP; another program listens there")]
    NoHttp,
    /// Another answer than success.
    #[error("the answer is {status:?}; is it an hnsproxy of this version that listens there?")]
    Status {
        /// The first line of the answer.
        status: String,
    },
    /// An answer that says something else.
    #[error("the answer makes no sense")]
    Answer(#[from] serde_json::Error),
}

/// Gets a value; none, if there is no such thing.
///
/// # Errors
/// Where the process could not be asked, or gave another answer.
pub fn json<T: DeserializeOwned>(address: SocketAddr, path: &str) -> Result<Option<T>, AskError> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    read(&answer)
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<Option<T>, AskError> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(AskError::NoHttp)?;
    let (head, body) = answer.split_at(end);
    let status = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let is_json = String::from_utf8_lossy(head).to_ascii_lowercase().contains("content-type: application/json");
    match status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)) {
        None => Err(AskError::NoHttp),
        Some("200") => Ok(Some(serde_json::from_slice(body.trim_ascii())?)),
        // A server that does not know the path answers 404 too, but not with JSON.
        Some("404") if is_json => Ok(None),
        Some(_) => Err(AskError::Status { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Option<u8>, String> {
        read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_its_body() {
        assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n"), Ok(Some(7)));
        assert_eq!(answer("HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n{}"), Ok(None));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        assert!(answer("SSH-2.0-OpenSSH\r\n").unwrap_err().contains("no HTTP"));
        assert!(answer("220 smtp\r\n\r\n").unwrap_err().contains("no HTTP"));
        assert!(answer("HTTP/1.1 404 Not Found\r\n\r\n404 page not found").unwrap_err().contains("404 Not Found"));
        assert!(answer("HTTP/1.1 200 OK\r\n\r\nok").unwrap_err().contains("makes no sense"));
    }
}
