//! Writes results to standard output. Everything else is logged.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// # Errors
/// If standard output cannot be written. A closed pipe, as `head` leaves it, is not an error.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value as JSON, one member a line.
///
/// # Errors
/// As [`text`].
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" ")))?;
    bytes.push(b'\n');
    text(&String::from_utf8_lossy(&bytes))
}
