//! The line below the log that is rewritten in place, if standard error is a terminal.

use std::io::{self, Write};

/// A line of ASCII text, shown on a terminal. Windows consoles without escape sequences show it, too.
#[derive(Debug)]
pub(super) struct LiveLine<W> {
    terminal: W,
    /// The number of characters that are shown.
    width: usize,
}

impl<W: Write> LiveLine<W> {
    pub(super) fn on(terminal: W) -> Self {
        Self { terminal, width: 0 }
    }

    /// Shows a text instead of the one before. Nothing is shown for an empty one.
    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return self.clear();
        }
        let padding = self.width.saturating_sub(text.len());
        write!(self.terminal, "\r{text}{:padding$}", "")?;
        self.width = text.len();
        self.terminal.flush()
    }

    /// Writes a line of the log in place of the text.
    pub(super) fn write_above(&mut self, line: &[u8]) -> io::Result<()> {
        self.clear()?;
        self.terminal.write_all(line)
    }

    fn clear(&mut self) -> io::Result<()> {
        let width = std::mem::take(&mut self.width);
        if width > 0 {
            write!(self.terminal, "\r{:width$}\r", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut LiveLine<&mut Vec<u8>>)) -> String {
        let mut terminal = Vec::new();
        write(&mut LiveLine::on(&mut terminal));
        String::from_utf8(terminal).unwrap()
    }

    #[test]
    fn a_shorter_text_replaces_a_longer_one() {
        let text = written(|line| ["long text", "text", ""].iter().for_each(|text| line.show(text).unwrap()));
        assert_eq!(text, "\rlong text\rtext     \r    \r");
    }

    #[test]
    fn a_line_of_the_log_is_written_in_place_of_the_text() {
        let text = written(|line| {
            line.write_above(b"first\n").unwrap();
            line.show("10 %").unwrap();
            line.write_above(b"second\n").unwrap();
            line.show("11 %").unwrap();
        });
        assert_eq!(text, "first\n\r10 %\r    \rsecond\n\r11 %");
    }
}
