//! One connection: sends, waits, and detects that the client has disconnected.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Response;
use crate::kind::Kind;
use crate::shared::Shared;
use crate::stream::Stream;

/// A connection with its number in [`Shared`].
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: u64,
    pub(crate) stream: BufReader<Stream>,
    pub(crate) socket: TcpStream,
}

impl Connection {
    /// Sends a response. `half`: sends half of the body, then cuts the connection.
    pub(crate) fn send(&mut self, response: &Response, half: bool) -> io::Result<()> {
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

    /// Waits without sending, for some time or until the connection ends.
    pub(crate) fn wait(&mut self, time: Option<Duration>) -> io::Result<()> {
        self.busy(None, |connection| connection.wait_for_end(time))
    }

    /// As [`Self::wait`], for a connection that is [busy](Self::busy) already.
    pub(crate) fn wait_for_end(&self, time: Option<Duration>) -> io::Result<()> {
        let end = time.and_then(|time| Instant::now().checked_add(time));
        let mut all = self.shared.lock();
        while all.connections.contains_key(&self.id) {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            all = self.shared.wait(all, left);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Runs something long: a watch of a kind, or a wait. If the client disconnects or sends anything meanwhile, the connection ends.
    pub(crate) fn busy<T>(
        &mut self,
        kind: Option<Kind>,
        work: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        let number = self.shared.change(|all| {
            let number = all.number();
            if let Some(connection) = all.connections.get_mut(&self.id) {
                connection.busy = Some((number, kind));
            }
            number
        });
        let (shared, id, socket) = (self.shared.clone(), self.id, self.socket.try_clone()?);
        thread::spawn(move || {
            // Data before the end of the answer, or the end of the stream, ends the connection: clients do not pipeline.
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

    /// Ends the long operation of [`Self::busy`]: the client may send requests again.
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
