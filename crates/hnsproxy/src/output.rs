//! Writes results to standard output. Everything else is logged.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::cli::OutputForm;
use crate::view::Layout;

/// Writes a result in the form of `-o`. `text` makes the text for people.
///
/// # Errors
/// As [`text`].
pub fn print(form: OutputForm, value: &impl Serialize, as_text: impl FnOnce(Layout) -> String) -> io::Result<()> {
    show(form, value, as_text).map(drop)
}

/// Like [`print()`], for a command that runs until it is stopped. Returns `Break` if the output is closed.
///
/// # Errors
/// As [`text`].
pub fn show(
    form: OutputForm,
    value: &impl Serialize,
    as_text: impl FnOnce(Layout) -> String,
) -> io::Result<ControlFlow<()>> {
    try_text(&match form {
        OutputForm::Table => printable(&as_text(terminal_layout())),
        OutputForm::Wide => printable(&as_text(Layout::Wide)),
        OutputForm::Json => json(value)?,
        OutputForm::Yaml => yaml(value)?,
    })
}

/// Replaces control characters, because HNS errors and object names come from other programs and could control the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() && one != '\n' { '\u{fffd}' } else { one }).collect()
}

/// # Errors
/// If standard output cannot be written. A closed pipe, as `head` leaves it, is not an error.
pub fn text(text: &str) -> io::Result<()> {
    try_text(text).map(drop)
}

/// Like [`text`], but returns `Break` if the pipe is closed.
///
/// # Errors
/// As [`text`].
pub fn try_text(text: &str) -> io::Result<ControlFlow<()>> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        result => result.map(ControlFlow::Continue),
    }
}

/// One member a line.
fn json(value: &impl Serialize) -> io::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" ")))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The document that [`json`] writes, in YAML.
fn yaml(value: &impl Serialize) -> io::Result<String> {
    // Some values serialize for JSON only, such as text that is JSON already.
    let value = serde_json::to_value(value)?;
    serde_saphyr::to_string(&value).map_err(io::Error::other)
}

/// The layout that fits the terminal.
pub fn terminal_layout() -> Layout {
    Layout::Narrow { width: terminal_size().map(|(width, _)| width) }
}

/// The lines of the terminal. None if standard output is not a terminal.
pub fn terminal_height() -> Option<usize> {
    terminal_size().map(|(_, height)| height)
}

/// The columns and lines of the terminal. None if standard output is not a terminal.
fn terminal_size() -> Option<(usize, usize)> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(&out).map(|(width, height)| (width.0.into(), height.0.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Values that a YAML parser could take for something else.
    fn ambiguous() -> Value {
        let texts = [
            "",
            " ",
            "no",
            "on",
            "null",
            "~",
            "1.10",
            "0x10",
            "1e3",
            "12:34:56",
            "00-15-5d-0a",
            "- a",
            "a: b",
            "#",
            "a\nb\n",
            "*",
            "&a",
            "!t",
            "%",
            "@",
            "`",
            "'",
            "\"",
            "<<",
            "=",
            "2026-11-30",
            "é",
        ];
        json!({"texts": texts, "yes": true, "8": null, "nested": {"empty": [], "object": {}}, "number": 4_294_967_295_u32, "half": 0.5})
    }

    #[test]
    fn yaml_and_json_have_the_same_content() {
        let value = ambiguous();
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml(&value).unwrap()).unwrap(), value);
        assert_eq!(serde_json::from_str::<Value>(&json(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn a_text_does_not_control_the_terminal() {
        assert_eq!(printable("web\u{1b}[2J\r\tx\né"), "web\u{fffd}[2J\u{fffd}\u{fffd}x\né");
    }
}
