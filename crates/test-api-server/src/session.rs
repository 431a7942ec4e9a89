//! Serves one connection: reads its requests, applies the current fault, and sends each answer.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::answer::{Answer, answer};
use crate::connection::Connection;
use crate::endless;
use crate::fault_mode::FaultMode;
use crate::http::{Chunks, Request, Response, begin_chunks, end_chunks};
use crate::list::List;
use crate::path::ApiPath;
use crate::shared::{Received, Shared};
use crate::status::Status;
use crate::stream::Stream;

const GARBAGE: &str = "<html><body>Bad gateway</body></html>\n";
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><body><form action=\"/login\"></form></body></html>";
/// The size of a chunk in bytes.
const CHUNK: usize = 64 << 10;

/// Serves a connection until either side ends it.
pub(crate) fn serve(shared: Arc<Shared>, id: u64, stream: Stream, socket: TcpStream) {
    let mut connection = Connection { shared, id, stream: BufReader::new(stream), socket };
    // A client that disconnects is an error here, but not for the test.
    let _ = run(&mut connection);
    connection.cut();
}

fn run(connection: &mut Connection) -> io::Result<()> {
    while let Some(request) = Request::read(&mut connection.stream)? {
        serve_request(connection, &request)?;
        if !connection.is_open() {
            break;
        }
    }
    Ok(())
}

fn serve_request(connection: &mut Connection, request: &Request) -> io::Result<()> {
    let kind = match ApiPath::of(&request.path) {
        ApiPath::Objects { kind, .. } => Some(kind),
        _ => None,
    };
    let fault_mode = connection.shared.change(|all| {
        all.received.push(received(request));
        all.behaviour.fault_mode_of(kind)
    });
    match fault_mode {
        FaultMode::Refuses { code, retry_after } => return refuse(connection, &Status::of(code, retry_after)),
        FaultMode::Garbage => return send_page(connection, "application/json", GARBAGE),
        FaultMode::LoginPage => return send_page(connection, "text/html", LOGIN_PAGE),
        FaultMode::EndlessError { code } => {
            return connection.busy(None, |connection| endless::error(connection, code));
        }
        FaultMode::Hangs => return connection.wait(None),
        FaultMode::Slow(time) => connection.wait(Some(time))?,
        // These concern only some requests.
        FaultMode::None
        | FaultMode::Half
        | FaultMode::EmptyLists
        | FaultMode::EmptyStreams
        | FaultMode::OtherKind
        | FaultMode::NoVersion
        | FaultMode::LostPages
        | FaultMode::RepeatedPages
        | FaultMode::EndlessPages
        | FaultMode::Silent
        | FaultMode::CutsWatches(_)
        | FaultMode::EndsWatches
        | FaultMode::LargeObjects(_)
        | FaultMode::EndlessList
        | FaultMode::EndlessLine => {}
    }
    let certificate = connection.stream.get_ref().certificate();
    let answer = answer(&mut connection.shared.lock(), request, certificate);
    let half = fault_mode == FaultMode::Half;
    match answer {
        Ok(Answer::Whole(response)) => connection.send(&response, half),
        Ok(Answer::List(mut list)) => {
            list.distort(fault_mode, request);
            match (fault_mode, kind) {
                (FaultMode::EndlessList, Some(kind)) => {
                    connection.busy(None, |connection| endless::list(connection, kind))
                }
                (FaultMode::LargeObjects(_), _) => send_in_chunks(connection, &list),
                _ => connection.send(&Response::json(200, &list), half),
            }
        }
        Ok(Answer::Watch(watch)) => connection.busy(Some(watch.kind()), |connection| watch.run(connection, fault_mode)),
        Err(status) => refuse(connection, &status),
    }
}

/// Sends a page with code 200 instead of an answer.
fn send_page(connection: &mut Connection, content_type: &'static str, page: &str) -> io::Result<()> {
    let body = page.as_bytes().to_vec();
    connection.send(&Response { code: 200, content_type, retry_after: None, body }, false)
}

/// Sends a list that may be too large for memory.
fn send_in_chunks(connection: &mut Connection, list: &List) -> io::Result<()> {
    let stream = connection.stream.get_mut();
    begin_chunks(stream)?;
    let mut chunks = BufWriter::with_capacity(CHUNK, Chunks(stream));
    serde_json::to_writer(&mut chunks, list)?;
    chunks.flush()?;
    drop(chunks);
    end_chunks(stream)
}

fn refuse(connection: &mut Connection, status: &Status) -> io::Result<()> {
    let response = Response::json(status.code, &status.document);
    connection.send(&Response { retry_after: status.retry_after(), ..response }, false)
}

fn received(request: &Request) -> Received {
    let one = match ApiPath::of(&request.path) {
        ApiPath::Objects { name, .. } | ApiPath::Events { name, .. } => name.is_some(),
        _ => true,
    };
    let verb = match request.method.as_str() {
        "GET" if request.flag("watch") == Some(true) => "watch",
        "GET" if one => "get",
        "GET" => "list",
        "POST" => "create",
        "PATCH" => "patch",
        "PUT" => "update",
        "DELETE" => "delete",
        _ => "other",
    };
    Received { verb, path: request.path.clone(), query: request.query.clone(), headers: request.headers.clone() }
}
