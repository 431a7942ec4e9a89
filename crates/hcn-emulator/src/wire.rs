//! The protocol between a client and the emulator's service: frames, and the messages in them.
//!
//! A frame is its length as a little-endian `u32`, then that many bytes of JSON. A client first identifies itself ([`Hello`]), then
//! sends requests and gets one answer to each. It has one connection per concurrent call; they share [`Hello::client`]. A frame is at
//! most [`MAX_FRAME`] bytes, and the reader allocates no more than has arrived.

use std::io::{self, Read};

use hcn::call::{Call, Reply};
use hcn::error::ErrorRecord;
use hcn::notification::Notification;
use hcn::{Guid, Hresult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::command::{Command, Outcome};
use crate::feed::{Change, FeedEnd};

/// The longest frame, in bytes.
pub(crate) const MAX_FRAME: usize = 64 << 20;
/// The version of the protocol. Others are rejected.
pub(crate) const PROTOCOL: u32 = 1;

/// Identifies a client.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    /// The same for all connections of the client. Handles belong to it.
    pub(crate) client: Guid,
}

/// A request. Generic, so that a client can borrow its content and a service own it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request<C = Call, M = Command> {
    /// The first frame of a connection; it has no answer.
    Hello(Hello),
    /// A native call.
    Call(C),
    /// A control request.
    Control(M),
    /// Subscribes to notifications until the connection ends. The last request of a connection.
    Subscribe,
    /// Subscribes to the change feed until the connection ends. The last request of a connection.
    Follow,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// To a native call.
    Call(Result<Reply, Failure>),
    /// To a control request. The error is for people.
    Control(Result<Outcome, String>),
    /// To a subscription.
    Subscribed(Result<(), Failure>),
    /// A notification.
    Told(Notification),
    /// A change of the feed.
    Changed(Change),
    /// The end of the feed.
    FeedEnded(FeedEnd),
    /// To an invalid request. The connection ends.
    Refused(String),
}

/// Why a native call failed, as sent over the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: Hresult,
    pub(crate) record: Option<ErrorRecord>,
}

impl Failure {
    /// A failure with an error record.
    pub(crate) fn explained(code: Hresult, error: &str) -> Self {
        let record = ErrorRecord { success: false, error: format!("{error} "), error_code: code.0 };
        Self { code, record: Some(record) }
    }
}

/// Serializes a value into a frame.
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

/// Receives the next frame; `None` if the stream ends between two frames.
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
    // The length is not trusted: memory grows with the bytes that arrive.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    reader.by_ref().take(wanted).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Invalid JSON in a complete frame is invalid data, and not an unexpected end of the stream.
    serde_json::from_slice(&body).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn too_long(length: usize) -> String {
    format!("invalid frame of {length} bytes: the limit is {MAX_FRAME}")
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
