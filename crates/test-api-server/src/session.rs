//! Serves one connection: reads its requests, applies the current fault, and sends each answer.

use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::Arc;

use crate::answer::{Answer, answer};
use crate::connection::Connection;
use crate::fault_mode::FaultMode;
use crate::http::{Request, Response};
use crate::path::ApiPath;
use crate::shared::{Received, Shared};
use crate::status::Status;
use crate::stream::Stream;

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
        FaultMode::None | FaultMode::Half => {}
        FaultMode::Refuses { code, retry_after } => return refuse(connection, &Status::of(code, retry_after)),
        FaultMode::Garbage => {
            let body = b"<html><body>Bad gateway</body></html>\n".to_vec();
            let response = Response { code: 200, content_type: "application/json", retry_after: None, body };
            return connection.send(&response, false);
        }
        FaultMode::Hangs => return connection.wait(None),
        FaultMode::Slow(time) => connection.wait(Some(time))?,
    }
    let certificate = connection.stream.get_ref().certificate();
    let answer = answer(&mut connection.shared.lock(), request, certificate);
    let half = fault_mode == FaultMode::Half;
    match answer {
        Ok(Answer::Whole(response)) => connection.send(&response, half),
        Ok(Answer::List(list)) => connection.send(&Response::json(200, &list), half),
        Ok(Answer::Watch(watch)) => connection.busy(Some(watch.kind()), |connection| watch.run(connection, half)),
        Err(status) => refuse(connection, &status),
    }
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
