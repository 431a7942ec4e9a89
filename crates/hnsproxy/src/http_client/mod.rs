//! The HTTP client of commands that query the hnsproxy on this host.
//!
//! The response is checked, since another program may listen at the address.

mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use tls::CertificateError;

/// The text that Go's HTTP server answers to a request without TLS.
pub const PLAIN_HTTP: &str = "Client sent an HTTP request to an HTTPS server.\n";

/// The time limit from the start of the connection to the last byte of the response.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The explanation of a Service with thousands of backends is below 2 MiB.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// The maximum number of characters of a reason that are shown. Limited because another program may have sent it.
const MAX_REASON: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("connection failed")]
    Connection(#[from] io::Error),
    #[error("no complete response within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the response is not HTTP: another program listens at this address")]
    NotHttp,
    #[error("the connection was closed before the response was complete")]
    Incomplete(#[source] hyper::Error),
    #[error("the response is larger than {} MiB", MAX_RESPONSE_BYTES >> 20)]
    TooLarge,
    #[error("the server requires HTTPS; set --debug-tls-cert-file to the file of its --metrics-tls-cert-file")]
    Https,
    /// The certificate of `--debug-tls-cert-file` cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("TLS handshake failed, with the certificate of {}", certificate_file.display())]
    Handshake {
        certificate_file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the response is \"{status}\": another program or another version of hnsproxy listens at this address")]
    Status { status: StatusCode },
    /// Contains the reason from the response.
    #[error("hnsproxy cannot respond now: {0}")]
    Unavailable(String),
    #[error("invalid response")]
    InvalidResponse(#[from] serde_json::Error),
}

/// An hnsproxy that runs on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The metrics address of the hnsproxy.
    pub address: SocketAddr,
    /// The file with the certificate of the server, the only one that is trusted. `None` for HTTP.
    pub certificate_file: Option<PathBuf>,
}

impl Server {
    /// Gets a JSON value. None if the response is 404. Blocks for 10 s at most.
    ///
    /// # Errors
    /// If the server is not reachable, or is not an hnsproxy.
    pub fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, RequestError> {
        self.response(path)?.json()
    }

    /// Gets the text of a page. The response has code 200, or it is JSON with code 503, which is the state of a node that is not ready.
    /// Blocks for at most 10 s.
    ///
    /// # Errors
    /// As [`get_json`](Self::get_json), and if there is no such page.
    pub fn get_page(&self, path: &str) -> Result<String, RequestError> {
        self.response(path)?.page()
    }

    /// Gets the JSON value of a page that can have code 503, such as `/readyz`. Blocks for at most 10 s.
    ///
    /// # Errors
    /// As [`get_json`](Self::get_json), and if the response is 404.
    pub fn get_json_of_any_state<T: DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        self.response(path)?.json_of_any_state()
    }

    fn response(&self, path: &str) -> Result<Response, RequestError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let response = runtime.block_on(async { timeout(TIMEOUT, self.get(path)).await });
        response.map_err(|_| RequestError::Timeout)?
    }

    async fn get(&self, path: &str) -> Result<Response, RequestError> {
        match &self.certificate_file {
            Some(file) => {
                let connector = tls::connector(file)?;
                let stream = TcpStream::connect(self.address).await?;
                let handshake = connector.connect(self.address.ip().into(), stream).await;
                let failed = |source| RequestError::Handshake { certificate_file: file.clone(), source };
                self.exchange(handshake.map_err(failed)?, path).await
            }
            None => self.exchange(TcpStream::connect(self.address).await?, path).await,
        }
    }

    async fn exchange<S>(&self, stream: S, path: &str) -> Result<Response, RequestError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
        let driver = tokio::spawn(connection);
        let request = Request::get(path).header(HOST, self.address.to_string()).header(ACCEPT, "application/json");
        let request =
            request.body(Empty::<Bytes>::new()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let response = sender.send_request(request).await.map_err(failure)?;
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = content_type.is_some_and(|value| value.starts_with("application/json"));
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
        let body =
            body.map_err(|error| error.downcast().map_or(RequestError::TooLarge, |error| failure(*error)))?.to_bytes();
        driver.abort();
        Ok(Response { status: head.status, is_json, body })
    }
}

/// Why there is no response on a connection.
fn failure(error: hyper::Error) -> RequestError {
    if error.is_parse() { RequestError::NotHttp } else { RequestError::Incomplete(error) }
}

#[derive(Debug)]
struct Response {
    status: StatusCode,
    is_json: bool,
    body: Bytes,
}

impl Response {
    fn json_of_any_state<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        if self.status == StatusCode::SERVICE_UNAVAILABLE && self.is_json {
            return Ok(serde_json::from_slice(self.body.trim_ascii())?);
        }
        self.json()?.ok_or(RequestError::Status { status: self.status })
    }

    fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, RequestError> {
        match self.status {
            StatusCode::OK => Ok(Some(serde_json::from_slice(self.body.trim_ascii())?)),
            // hnsproxy responds to an unknown path with 404, too, but without JSON.
            StatusCode::NOT_FOUND if self.is_json => Ok(None),
            _ => Err(self.refused()),
        }
    }

    fn page(&self) -> Result<String, RequestError> {
        match self.status {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE if self.is_json => {}
            _ => return Err(self.refused()),
        }
        Ok(String::from_utf8_lossy(&self.body).into_owned())
    }

    fn refused(&self) -> RequestError {
        match self.status {
            StatusCode::BAD_REQUEST if self.body.ends_with(PLAIN_HTTP.as_bytes()) => RequestError::Https,
            StatusCode::SERVICE_UNAVAILABLE => RequestError::Unavailable(first_line(&self.body)),
            status => RequestError::Status { status },
        }
    }
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.trim_ascii());
    text.lines().next().unwrap_or("no reason given").chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Returns the result of the client for the bytes that a server sends.
    fn received(response: &'static [u8]) -> Result<Option<u8>, RequestError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let _request = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(response).unwrap();
        });
        let result = Server { address, certificate_file: None }.get_json("/");
        server.join().unwrap();
        result
    }

    fn message(response: &'static [u8]) -> String {
        received(response).unwrap_err().to_string()
    }

    #[test]
    fn a_response_is_its_body() {
        assert_eq!(received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n").unwrap(), Some(7));
        let absent = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(received(absent).unwrap(), None);
    }

    #[test]
    fn a_page_is_a_text_or_the_state_of_a_node_that_is_not_ready() {
        let of = |status, is_json, body| Response { status, is_json, body: Bytes::from_static(body) }.page();
        assert_eq!(of(StatusCode::OK, false, b"up 1\n").unwrap(), "up 1\n");
        assert_eq!(of(StatusCode::SERVICE_UNAVAILABLE, true, b"{}").unwrap(), "{}");
        assert!(matches!(of(StatusCode::SERVICE_UNAVAILABLE, false, b"busy"), Err(RequestError::Unavailable(_))));
        assert!(matches!(of(StatusCode::NOT_FOUND, false, b""), Err(RequestError::Status { .. })));
    }

    #[test]
    fn a_page_of_any_state_is_its_body_with_code_503_too() {
        let of = |status, is_json, body| {
            let response = Response { status, is_json, body: Bytes::from_static(body) };
            response.json_of_any_state::<u8>().map_err(|error| error.to_string())
        };
        assert_eq!(of(StatusCode::OK, true, b"7"), Ok(7));
        assert_eq!(of(StatusCode::SERVICE_UNAVAILABLE, true, b"7"), Ok(7));
        assert!(of(StatusCode::SERVICE_UNAVAILABLE, false, b"busy").unwrap_err().ends_with(": busy"));
        assert!(of(StatusCode::NOT_FOUND, true, b"{}").unwrap_err().contains("404 Not Found"));
    }

    #[test]
    fn a_server_that_requires_https_is_an_error_with_the_remedy() {
        let refused =
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        assert!(matches!(received(refused), Err(RequestError::Https)));
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        for other in [&b"SSH-2.0-OpenSSH\r\n"[..], b"220 smtp\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x46"] {
            assert!(matches!(received(other), Err(RequestError::NotHttp)), "{other:?}");
        }
        assert!(message(b"HTTP/1.1 404 Not Found\r\n\r\n404 page not found").contains("\"404 Not Found\""));
        assert!(message(b"HTTP/1.1 200 OK\r\n\r\nok").contains("invalid response"));
        assert!(matches!(received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n7"), Err(RequestError::Incomplete(_))));
        assert!(matches!(received(b""), Err(RequestError::Incomplete(_))));
        for (response, reason) in [
            (&b"HTTP/1.1 503 Service Unavailable\r\n\r\nbusy\nmore"[..], "busy"),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "no reason given"),
        ] {
            assert_eq!(message(response), format!("hnsproxy cannot respond now: {reason}"));
        }
    }
}
