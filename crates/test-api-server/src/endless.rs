//! Bodies without an end, made while they are sent.

use std::io;

use crate::connection::Connection;
use crate::http::{begin_chunks_with_code, chunk};
use crate::kind::Kind;

/// The size of a chunk in bytes.
const CHUNK: usize = 64 << 10;

/// Rejects a request with a code and a message that never ends.
pub(crate) fn error(connection: &mut Connection, code: u16) -> io::Result<()> {
    let begin = format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","code":{code},"message":""#);
    send(connection, code, &begin, |_| "0123456789abcdef".repeat(256))
}

/// Sends a list of a kind with objects without end, each with another name.
pub(crate) fn list(connection: &mut Connection, kind: Kind) -> io::Result<()> {
    let (name, api_version) = (kind.name(), kind.api_version());
    let begin = format!(
        r#"{{"kind":"{name}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"1"}},"items":[{{"metadata":{{}}}}"#
    );
    let namespace = if kind.namespaced() { r#""namespace":"endless","# } else { "" };
    send(connection, 200, &begin, |number| {
        format!(r#",{{"metadata":{{{namespace}"name":"n{number}","resourceVersion":"1"}}}}"#)
    })
}

/// Sends a watch of a kind whose first line never ends.
pub(crate) fn line(connection: &mut Connection, kind: Kind) -> io::Result<()> {
    let (name, api_version) = (kind.name(), kind.api_version());
    let begin = format!(
        r#"{{"type":"MODIFIED","object":{{"kind":"{name}","apiVersion":"{api_version}","metadata":{{"namespace":"ns","name":"endless","annotations":{{"a":""#
    );
    send(connection, 200, &begin, |_| "0123456789abcdef".repeat(256))
}

/// Sends parts until the client disconnects. Each part has a number.
fn send(connection: &mut Connection, code: u16, begin: &str, part: impl Fn(u64) -> String) -> io::Result<()> {
    let stream = connection.stream.get_mut();
    begin_chunks_with_code(stream, code)?;
    let mut data = begin.to_owned();
    for number in 0.. {
        data += &part(number);
        if data.len() >= CHUNK {
            // Counted first, so that a client never receives more than was counted.
            connection.shared.change(|all| all.endless_bytes += data.len() as u64);
            chunk(stream, data.as_bytes())?;
            data.clear();
        }
    }
    Ok(())
}
