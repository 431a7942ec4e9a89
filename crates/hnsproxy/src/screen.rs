//! A terminal whose content is replaced by each text.

use std::io;
use std::ops::ControlFlow;

use crate::output::{printable, terminal_height, try_text};

/// To the first line.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line.
const CLEAR_LINE: &str = "\x1b[K";
/// Clears the rest of the screen.
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J";

#[derive(Debug)]
pub struct Screen {
    /// Whether the terminal understands escape sequences.
    has_escapes: bool,
}

impl Screen {
    /// Clears the terminal, if it can be cleared.
    pub fn open() -> Self {
        let has_escapes = has_escapes();
        if has_escapes {
            // The result is ignored: if this write fails, drawing the first text fails, too.
            let _ = try_text(CLEAR_ALL);
        }
        Self { has_escapes }
    }

    /// Replaces the previous text by a new one. A console without escape sequences shows the new text below.
    ///
    /// # Errors
    /// As [`try_text`].
    pub fn draw(&self, text: &str) -> io::Result<ControlFlow<()>> {
        let text = printable(text);
        if self.has_escapes { try_text(&frame(&text, terminal_height())) } else { try_text(&format!("{text}\n")) }
    }
}

/// The text for a terminal of this height: without a line break after the last line, which would scroll.
fn frame(text: &str, height: Option<usize>) -> String {
    let lines = text.lines().take(height.unwrap_or(usize::MAX)).map(|line| format!("{line}{CLEAR_LINE}"));
    format!("{HOME}{}{CLEAR_BELOW}", lines.collect::<Vec<_>>().join("\n"))
}

/// In Windows consoles, escape sequences must be enabled first.
#[cfg(windows)]
fn has_escapes() -> bool {
    anstyle_query::windows::enable_ansi_colors() != Some(false)
}

#[cfg(not(windows))]
fn has_escapes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_lines_that_fit() {
        assert_eq!(frame("a\nb\nc\n", Some(2)), "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J");
        assert_eq!(frame("a\n", None), "\x1b[Ha\x1b[K\x1b[J");
    }
}
