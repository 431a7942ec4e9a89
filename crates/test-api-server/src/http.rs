//! The subset of HTTP/1.1 that clients of the API server use, on any stream. A library cannot be used, since it
//! cannot stop in the middle of a response.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// The largest request, in bytes: etcd limits objects to 1.5 MiB.
const LIMIT: u64 = 4 << 20;

/// A complete request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request; `None` if the client has disconnected.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut stream = stream.take(LIMIT);
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            Ok(line.trim_end().to_owned())
        };
        let first = line()?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let (path, query) = words.next().and_then(|target| target.split_once('?')).unwrap_or_else(|| {
            let target = first.split(' ').nth(1).unwrap_or_default();
            (target, "")
        });
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut headers = BTreeMap::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        stream.take(length).read_to_end(&mut body)?;
        Ok(Some(Self { method, path: path.to_owned(), query, headers, body }))
    }

    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The value of a boolean parameter; `None` if it is missing.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.query.get(name).map(|value| value == "true" || value == "1")
    }
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(code: u16, document: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self { code, content_type: "application/json", retry_after: None, body }
    }

    pub(crate) fn text(code: u16, body: &str) -> Self {
        Self { code, content_type: "text/plain; charset=utf-8", retry_after: None, body: body.as_bytes().to_vec() }
    }

    /// Head and body, as sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = head(self.code, self.content_type);
        if let Some(seconds) = self.retry_after {
            head.push_str(&format!("Retry-After: {seconds}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}

/// Begins a chunked response with code 200.
pub(crate) fn begin_chunks(stream: &mut impl Write) -> io::Result<()> {
    begin_chunks_with_code(stream, 200)
}

/// As [`begin_chunks`], for a body that is compressed with gzip.
pub(crate) fn begin_compressed_chunks(stream: &mut impl Write) -> io::Result<()> {
    let head = head(200, "application/json") + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

pub(crate) fn begin_chunks_with_code(stream: &mut impl Write, code: u16) -> io::Result<()> {
    let head = head(code, "application/json") + "Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

/// Sends one chunk. Empty data is not sent, since an empty chunk ends the response.
pub(crate) fn chunk(stream: &mut impl Write, data: &[u8]) -> io::Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    stream.write_all(&[format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat())?;
    stream.flush()
}

/// Sends everything that is written as chunks.
#[derive(Debug)]
pub(crate) struct Chunks<'a, W: Write>(pub(crate) &'a mut W);

impl<W: Write> Write for Chunks<'_, W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        chunk(self.0, data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Ends a chunked response.
pub(crate) fn end_chunks(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n")?;
    stream.flush()
}

fn head(code: u16, content_type: &str) -> String {
    let reason = match code {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    };
    format!("HTTP/1.1 {code} {reason}\r\nContent-Type: {content_type}\r\nCache-Control: no-cache, private\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed() {
        let text = "GET /api/v1/services?labelSelector=%21a%2Cb&watch=1 HTTP/1.1\r\nHost: a\r\n\r\n\
            POST /events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let mut stream = text.as_bytes();
        let get = Request::read(&mut stream).unwrap().unwrap();
        assert_eq!(
            (get.method.as_str(), get.path.as_str(), get.parameter("labelSelector")),
            ("GET", "/api/v1/services", "!a,b")
        );
        assert_eq!((get.flag("watch"), get.flag("other")), (Some(true), None));
        let post = Request::read(&mut stream).unwrap().unwrap();
        assert_eq!(
            (post.method.as_str(), post.path.as_str(), post.body.as_slice()),
            ("POST", "/events", b"{}".as_slice())
        );
        assert!(Request::read(&mut stream).unwrap().is_none());
    }
}
