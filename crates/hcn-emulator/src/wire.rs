//! How a client and the emulator's service speak over TCP: frames, what is in them, and a client's connections.
//!
//! A frame is its length as a little-endian `u32`, then as many bytes of JSON. A client first says who it is ([`Hello`]), then sends
//! requests and gets one answer to each. A client has a connection for each call that it has under way; they all say the same
//! [`Hello::client`]. A frame is never longer than [`MAX_FRAME`], and no more memory is taken for one than has come of it.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcn::call::{Call, Reply};
use hcn::error::ErrorRecord;
use hcn::notification::Notification;
use hcn::{Guid, Hresult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::control::{Command, Outcome};

/// The longest frame.
pub(crate) const MAX_FRAME: usize = 64 << 20;
/// The protocol spoken here. Another number is refused.
pub(crate) const PROTOCOL: u32 = 1;
/// So many connections are kept for later calls.
const KEPT_CONNECTIONS: usize = 32;
/// A service is on this host or near it: one that does not answer in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Who speaks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// What it speaks.
    pub(crate) protocol: u32,
    /// A number that its other connections have too. Handles belong to it.
    pub(crate) client: Guid,
}

/// What a client wants. Generic so that a client can lend, and a service own, what is inside.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request<C = Call, M = Command> {
    /// The first frame of a connection; it has no answer.
    Hello(Hello),
    /// A native call.
    Call(C),
    /// Something that clients of HNS can't ask.
    Control(M),
    /// Notifications, from now on until the connection ends. It is the last request of a connection.
    Subscribe,
}

/// What a client gets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// To a native call.
    Call(Result<Reply, Failure>),
    /// To a control request; the error is for people.
    Control(Result<Outcome, String>),
    /// To a wish for notifications.
    Subscribed(Result<(), Failure>),
    /// A notification.
    Told(Notification),
    /// To something that could not be understood. The connection ends.
    Refused(String),
}

/// Why a native call failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: Hresult,
    pub(crate) record: Option<ErrorRecord>,
}

impl Failure {
    /// A failure with the record that HNS gives with it.
    pub(crate) fn explained(code: Hresult, error: &str) -> Self {
        let record = ErrorRecord { success: false, error: format!("{error} "), error_code: code.0 };
        Self { code, record: Some(record) }
    }
}

/// Puts a value into a frame.
pub(crate) fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    const HEADER: usize = size_of::<u32>();
    let mut frame = Vec::with_capacity(512);
    frame.extend([0; HEADER]);
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - HEADER;
    let header = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let header = header.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, too_long(length)))?;
    for (place, byte) in frame.iter_mut().zip(header.to_le_bytes()) {
        *place = byte;
    }
    Ok(frame)
}

/// Takes the next frame; `None` where the other side ended between two frames.
pub(crate) fn receive<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<Option<T>> {
    let mut header = [0; size_of::<u32>()];
    let mut have = 0;
    while let Some(rest) = header.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, too_long(length)));
    }
    // The length is only a promise: room is made as bytes come.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    reader.by_ref().take(wanted).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // A frame that is whole can't end too early, even if the JSON in it does.
    serde_json::from_slice(&body).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn too_long(length: usize) -> String {
    format!("a frame of {length} bytes, and {MAX_FRAME} is the most")
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// It does not fit into a frame. Nothing was sent.
    #[error("the request can't be sent: {0}")]
    Unsendable(io::Error),
    /// There is no service. Nothing was sent.
    #[error("no service at {address}: {error}")]
    Unreachable { address: String, error: io::Error },
    /// The connection broke: whether the request was carried out is not known.
    #[error("lost the service at {address}: {error}")]
    Broken { address: String, error: io::Error },
}

/// A client's connections to one service.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    hello: Hello,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl Pool {
    /// No connection yet.
    pub(crate) fn new(address: String) -> Self {
        let hello = Hello { protocol: PROTOCOL, client: Guid::new_v4() };
        Self { address, hello, idle: Mutex::default() }
    }

    /// The address, as given.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for its answer. Never sends anything twice.
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
                // The others lead to the same service, and would each cost one more call.
                self.idle().clear();
                Err(Lost::Broken { address: self.address.clone(), error })
            }
        }
    }

    /// A connection for one subscription, and the answer to the wish for it.
    pub(crate) fn subscribe(&self) -> Result<(BufReader<TcpStream>, Answer), Lost> {
        let unreachable = |error| Lost::Unreachable { address: self.address.clone(), error };
        let broken = |error| Lost::Broken { address: self.address.clone(), error };
        let mut connection = self.connect().map_err(unreachable)?;
        let frame = encode(&Request::<&Call, &Command>::Subscribe).map_err(Lost::Unsendable)?;
        connection.get_mut().write_all(&frame).map_err(broken)?;
        let answer = receive(&mut connection).map_err(broken)?;
        let answer = answer.ok_or_else(|| broken(io::ErrorKind::UnexpectedEof.into()))?;
        Ok((connection, answer))
    }

    fn connection(&self) -> Result<BufReader<TcpStream>, Lost> {
        let kept = self.idle().pop();
        match kept {
            Some(connection) => Ok(connection),
            None => self.connect().map_err(|error| Lost::Unreachable { address: self.address.clone(), error }),
        }
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(mut stream) => {
                    // Each frame is one write, and the other side waits for it.
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
        if idle.len() < KEPT_CONNECTIONS {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<BufReader<TcpStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_frame() {
        let call = Call::Open { kind: hcn::Kind::Endpoint, id: Guid::from_u128(7) };
        let frame = encode(&Request::<&Call, &Command>::Call(&call)).unwrap();
        assert_eq!(frame.len(), 4 + usize::from(frame[0]));
        let mut reader = frame.as_slice();
        let Some(Request::Call(back)) = receive::<Request>(&mut reader).unwrap() else { panic!() };
        assert_eq!(back, call);
        assert!(receive::<Request>(&mut reader).unwrap().is_none());
    }

    #[test]
    fn a_frame_that_is_cut_off_too_long_or_no_json_is_an_error() {
        let kind = |bytes: &[u8]| receive::<Request>(&mut &*bytes).unwrap_err().kind();
        assert_eq!(kind(&[1, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[9, 0, 0, 0, b'{']), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(b"GET / HTTP/1.1\r\n\r\n"), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[2, 0, 0, 0, b'n', b'o']), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0, 0, 0, 0]), io::ErrorKind::InvalidData);
    }
}
