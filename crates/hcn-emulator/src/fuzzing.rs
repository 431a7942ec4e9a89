//! What fuzz targets call: the frames of a connection, and recordings of changes, with any bytes.

use std::sync::Arc;

use hcn::Guid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command::Command;
use crate::emulator::Emulator;
use crate::faults::{Effect, Fault};
use crate::host::Host;
use crate::recording::{Header, Reader, Writer};
use crate::session::{Session, control};
use crate::shared::Shared;
use crate::testing;
use crate::wire::{Answer, Request, encode, receive};

/// The number of requests that are answered. An answer can contain all objects that earlier requests have created.
const MAX_REQUESTS: usize = 100;

/// What a client sends, and what it receives. Of text that begins like JSON, each line becomes a frame: a mutation rarely produces a frame with
/// the right length.
pub fn frames(bytes: &[u8]) {
    let framed: Vec<u8>;
    let mut stream = bytes;
    if bytes.starts_with(b"{") || bytes.starts_with(b"\"") {
        let frame = |line: &[u8]| [&u32::try_from(line.len()).unwrap_or(u32::MAX).to_le_bytes(), line].concat();
        framed = bytes.split(|byte| *byte == b'\n').flat_map(frame).collect();
        stream = &framed;
    }
    serve(stream);
    while let Ok(Some(answer)) = receive::<Answer>(&mut stream) {
        is_the_same_after_a_frame(&answer);
    }
}

/// An uncompressed recording. Its valid changes are written and read back, and must not differ.
pub fn recording(bytes: &[u8]) {
    let Ok(reader) = Reader::new(bytes) else { return };
    let changes: Vec<_> = reader.flatten().collect();
    let Ok(mut again) = Writer::new(Vec::new(), &Header::new("", &Host::default())) else { return };
    assert!(changes.iter().all(|change| again.write(change).is_ok()));
    let again = again.into_inner();
    let read = Reader::new(again.as_slice()).map(|reader| reader.map(|change| change.ok()).collect::<Vec<_>>());
    // Not their documents: some numbers with a fraction are rounded once more.
    let whats = |change: &crate::Change| (change.at, std::mem::discriminant(&change.what));
    let read: Vec<_> = read.into_iter().flatten().map(|change| change.as_ref().map(whats)).collect();
    assert_eq!(read, changes.iter().map(|change| Some(whats(change))).collect::<Vec<_>>());
}

/// Answers requests until one is invalid.
fn serve(mut stream: &[u8]) {
    let Ok(emulator) = Emulator::from_host(&testing::host("15.5", &["Overlay"])) else { return };
    let shared = Shared::new(Arc::new(emulator), Host::default());
    let session = Session::new(&shared, Guid::nil());
    for _ in 0..MAX_REQUESTS {
        let Ok(Some(request)) = receive::<Request>(&mut stream) else { return };
        is_the_same_after_a_frame(&request);
        let answer = match request {
            Request::Call(call) => Answer::Call(session.call(call)),
            Request::Control(command) if waits(&command) => continue,
            Request::Control(command) => Answer::Control(control(&shared, command)),
            Request::Hello(_) | Request::Subscribe | Request::Follow => continue,
        };
        is_the_same_after_a_frame(&answer);
    }
}

/// Whether a command makes later calls wait.
fn waits(command: &Command) -> bool {
    matches!(command, Command::Inject(Fault { effect: Effect::Hang | Effect::Delay(_), .. }, _))
}

fn is_the_same_after_a_frame<T: Serialize + DeserializeOwned>(value: &T) {
    let frame = encode(value).unwrap_or_default();
    let again = receive::<T>(&mut frame.as_slice()).map(|again| again.and_then(|again| encode(&again).ok()));
    assert_eq!(again.ok().flatten(), Some(frame));
}
