//! One connection: requests are read and answered until either side ends it.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::{Answer, answer};
use crate::http::{Request, Response};
use crate::kind::{Kind, Place};
use crate::mood::Mood;
use crate::shared::{Received, Shared};
use crate::status::Status;
use crate::stream::Stream;
use crate::watch::Watch;

/// One connection, and where it is registered.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: u64,
    pub(crate) stream: BufReader<Stream>,
    socket: TcpStream,
}

/// Serves a connection to its end.
pub(crate) fn serve(shared: Arc<Shared>, id: u64, stream: Stream, socket: TcpStream) {
    let mut connection = Connection { shared, id, stream: BufReader::new(stream), socket };
    // A connection ends by an error as well as otherwise.
    let _ = connection.run();
    let Connection { shared, id, .. } = connection;
    shared.change(|all| all.cut(id));
}

impl Connection {
    fn run(&mut self) -> io::Result<()> {
        while let Some(request) = Request::read(&mut self.stream)? {
            self.one(&request)?;
            if !self.is_open() {
                break;
            }
        }
        Ok(())
    }

    fn one(&mut self, request: &Request) -> io::Result<()> {
        let kind = match Place::of(&request.path) {
            Place::Objects { kind, .. } => Some(kind),
            _ => None,
        };
        let mood = self.shared.change(|all| {
            all.received.push(received(request));
            all.behaviour.mood_of(kind)
        });
        match mood {
            Mood::Well => {}
            Mood::Refuses { code, retry_after } => return self.refuse(&Status::of(code, retry_after)),
            Mood::Garbage => {
                let body = b"<html><body>Bad gateway</body></html>\n".to_vec();
                return self
                    .whole(&Response { code: 200, content_type: "application/json", retry_after: None, body }, false);
            }
            Mood::Half | Mood::Slow(_) => {}
            Mood::Hangs => return self.wait(None),
        }
        if let Mood::Slow(time) = mood {
            self.wait(Some(time))?;
        }
        let certificate = self.stream.get_ref().certificate();
        let answer = answer(&mut self.shared.lock(), request, certificate);
        let half = mood == Mood::Half;
        match answer {
            Ok(Answer::Whole(response)) => self.whole(&response, half),
            Ok(Answer::List(list)) => self.whole(&Response::json(200, &list), half),
            Ok(Answer::Watch(watch)) => self.watch(watch, half),
            Err(status) => self.refuse(&status),
        }
    }

    fn refuse(&mut self, status: &Status) -> io::Result<()> {
        let response = Response::json(status.code, &status.document);
        self.whole(&Response { retry_after: status.retry_after(), ..response }, false)
    }

    fn whole(&mut self, response: &Response, half: bool) -> io::Result<()> {
        let bytes = response.bytes();
        let end = if half { bytes.len() - response.body.len().div_ceil(2) } else { bytes.len() };
        let stream = self.stream.get_mut();
        stream.write_all(bytes.get(..end).unwrap_or_default())?;
        stream.flush()?;
        if half {
            self.cut();
        }
        Ok(())
    }

    fn watch(&mut self, watch: Watch, half: bool) -> io::Result<()> {
        let kind = watch.kind();
        self.busy(Some(kind), |connection| watch.run(connection, half))
    }

    /// Says nothing, for some time or until the connection ends.
    fn wait(&mut self, time: Option<Duration>) -> io::Result<()> {
        let end = time.and_then(|time| Instant::now().checked_add(time));
        self.busy(None, |connection| {
            let mut all = connection.shared.lock();
            while all.connections.contains_key(&connection.id) {
                let left = end.map(|end| end.saturating_duration_since(Instant::now()));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(());
                }
                all = connection.shared.wait(all, left);
            }
            Err(io::ErrorKind::ConnectionAborted.into())
        })
    }

    /// Does something long. A client that goes away meanwhile, or says anything, ends the connection.
    fn busy<T>(&mut self, kind: Option<Kind>, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let number = self.shared.change(|all| {
            let number = all.number();
            if let Some(connection) = all.connections.get_mut(&self.id) {
                connection.busy = Some((number, kind));
            }
            number
        });
        let (shared, id, socket) = (self.shared.clone(), self.id, self.socket.try_clone()?);
        thread::spawn(move || {
            // Whatever comes, or that nothing will, is the end.
            let _ = socket.peek(&mut [0]);
            shared.change(|all| {
                let busy = all.connections.get(&id).and_then(|connection| connection.busy);
                if busy == Some((number, kind)) {
                    all.cut(id);
                }
            });
        });
        let result = work(self);
        self.idle();
        result
    }

    /// Says that the client may speak again.
    pub(crate) fn idle(&self) {
        self.shared.change(|all| {
            if let Some(connection) = all.connections.get_mut(&self.id) {
                connection.busy = None;
            }
        });
    }

    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().connections.contains_key(&self.id)
    }

    pub(crate) fn cut(&self) {
        self.shared.change(|all| all.cut(self.id));
    }
}

fn received(request: &Request) -> Received {
    let one = match Place::of(&request.path) {
        Place::Objects { name, .. } | Place::Events { name, .. } => name.is_some(),
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
