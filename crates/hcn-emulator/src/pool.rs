//! The connections of a client to one service, kept for later calls.

use std::io::{self, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcn::Guid;
use hcn::call::Call;

use crate::command::Command;
use crate::wire::{Answer, Hello, PROTOCOL, Request, encode, receive};

/// Bounds the sockets of an idle client. A connection beyond it is closed after its call.
const MAX_IDLE: usize = 32;
/// The service is on this host or near it: longer than this means that it is unavailable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// The request is too large for a frame. Nothing was sent.
    #[error("cannot send the request: {0}")]
    Unsendable(io::Error),
    /// The service is unavailable. Nothing was sent.
    #[error("cannot connect to the emulator at {address}: {error}")]
    Unreachable { address: String, error: io::Error },
    /// The connection broke. Whether the request was processed is unknown.
    #[error("lost the connection to the emulator at {address}: {error}")]
    Broken { address: String, error: io::Error },
}

/// The connections of a client to one service.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    hello: Hello,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl Pool {
    pub(crate) fn new(address: String) -> Self {
        let hello = Hello { protocol: PROTOCOL, client: Guid::new_v4() };
        Self { address, hello, idle: Mutex::default() }
    }

    /// The address, as given.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for its answer. Never sends a request twice, since it may be a write.
    pub(crate) fn exchange(&self, request: &Request<&Call, &Command>) -> Result<Answer, Lost> {
        let frame = encode(request).map_err(Lost::Unsendable)?;
        let mut connection = self.connection()?;
        let sent = connection.get_mut().write_all(&frame);
        let answer =
            sent.and_then(|()| receive(&mut connection)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof)));
        match answer {
            Ok(answer) => {
                if !matches!(answer, Answer::Refused(_)) {
                    self.keep(connection);
                }
                Ok(answer)
            }
            Err(error) => {
                // The other idle connections are broken too, since they lead to the same service. Each would fail one more call.
                self.idle().clear();
                Err(self.broken(error))
            }
        }
    }

    /// Opens a connection for one subscription. Returns it with the first answer.
    pub(crate) fn subscribe(&self, request: &Request<&Call, &Command>) -> Result<(BufReader<TcpStream>, Answer), Lost> {
        let unreachable = |error| Lost::Unreachable { address: self.address.clone(), error };
        let mut connection = self.connect().map_err(unreachable)?;
        let frame = encode(request).map_err(Lost::Unsendable)?;
        connection.get_mut().write_all(&frame).map_err(|error| self.broken(error))?;
        let answer = self.next(&mut connection)?;
        Ok((connection, answer))
    }

    /// The next answer on the connection of a subscription.
    pub(crate) fn next(&self, connection: &mut BufReader<TcpStream>) -> Result<Answer, Lost> {
        let answer = receive(connection).map_err(|error| self.broken(error))?;
        answer.ok_or_else(|| self.broken(io::ErrorKind::UnexpectedEof.into()))
    }

    fn broken(&self, error: io::Error) -> Lost {
        Lost::Broken { address: self.address.clone(), error }
    }

    fn connection(&self) -> Result<BufReader<TcpStream>, Lost> {
        let kept = self.idle().pop();
        match kept {
            Some(connection) => Ok(connection),
            None => self.connect().map_err(|error| Lost::Unreachable { address: self.address.clone(), error }),
        }
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(mut stream) => {
                    // Each frame is one write, and the other side waits for it, so delaying it to join writes only adds latency.
                    stream.set_nodelay(true)?;
                    stream.write_all(&encode(&Request::<&Call, &Command>::Hello(self.hello))?)?;
                    return Ok(BufReader::new(stream));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn keep(&self, connection: BufReader<TcpStream>) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<BufReader<TcpStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
