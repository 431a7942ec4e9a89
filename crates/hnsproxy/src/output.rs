//! Results go to standard output, through one locked writer; everything else is logged.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// Writes text to standard output.
///
/// # Errors
/// Where it can't be written. A reader that has gone away, as `head` does, is not an error.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value as JSON to standard output, one member a line.
///
/// # Errors
/// As [`text`].
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" ")))?;
    bytes.push(b'\n');
    text(&String::from_utf8_lossy(&bytes))
}
