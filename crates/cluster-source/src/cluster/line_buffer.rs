//! Splits the bytes of a watch into lines, however the chunks are cut.

use std::ops::Range;

/// The memory in bytes that is kept between long lines.
const KEPT: usize = 64 << 10;

/// Received bytes.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// The position of the first byte that is not taken.
    begin: usize,
    /// The position up to which there is no line end after `begin`.
    searched: usize,
}

impl LineBuffer {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The position of the next whole line, without its end. Valid until the next call.
    pub(super) fn take_line(&mut self) -> Option<Range<usize>> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
            let line = self.begin..self.searched + length;
            (self.begin, self.searched) = (line.end + 1, line.end + 1);
            return Some(line);
        }
        self.bytes.drain(..self.begin);
        // Otherwise one long line would cost memory permanently.
        if self.begin > KEPT {
            self.bytes.shrink_to(KEPT);
        }
        (self.begin, self.searched) = (0, self.bytes.len());
        None
    }

    pub(super) fn line(&self, position: Range<usize>) -> &[u8] {
        self.bytes.get(position).unwrap_or_default()
    }

    /// What follows the last whole line, once [`Self::take_line`] has found no more.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.begin..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_the_chunks() {
        let text = b"one\n\ntwo\nrest";
        for size in 1..=text.len() {
            let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
            for chunk in text.chunks(size) {
                buffer.push(chunk);
                while let Some(line) = buffer.take_line() {
                    lines.push(buffer.line(line).to_vec());
                }
            }
            assert_eq!(lines, [b"one".to_vec(), b"".to_vec(), b"two".to_vec()], "{size}");
            assert_eq!(buffer.rest(), b"rest", "{size}");
        }
    }
}
