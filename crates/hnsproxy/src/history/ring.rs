//! The last entries of the history, within a limit of number and of bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

pub const MAX_ENTRIES: usize = 4096;
/// Of all documents together, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// An entry as its document. Documents are written once, and not for each reader.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    /// `NAMESPACE/NAME`.
    pub(super) service: Option<Box<str>>,
    pub(super) document: Box<RawValue>,
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&mut self, line: Arc<Line>) {
        self.bytes += line.size();
        self.lines.push_back(line);
        while self.lines.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.lines.back().map_or(0, |line| line.sequence)
    }

    /// The number of entries that were dropped because the ring was full, in former processes too.
    pub(super) fn dropped(&self) -> u64 {
        self.lines.front().map_or(0, |line| line.sequence.saturating_sub(1))
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Line>> {
        self.lines.iter()
    }
}

impl Line {
    fn size(&self) -> usize {
        self.document.get().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sequence: u64, size: usize) -> Arc<Line> {
        let document = RawValue::from_string(format!("\"{}\"", "x".repeat(size - 2))).unwrap();
        Arc::new(Line { sequence, time: Timestamp::UNIX_EPOCH, service: None, document })
    }

    /// The number of lines, the first sequence, the last one, and the number of dropped lines.
    fn after(lines: u64, size: usize) -> (usize, u64, u64, u64) {
        let mut ring = Ring::default();
        (1..=lines).for_each(|sequence| ring.push(line(sequence, size)));
        let first = ring.iter().next().map_or(0, |line| line.sequence);
        (ring.iter().count(), first, ring.last_sequence(), ring.dropped())
    }

    #[test]
    fn the_oldest_entries_are_dropped_and_counted() {
        assert_eq!(after(0, 10), (0, 0, 0, 0));
        assert_eq!(after(4096, 256), (4096, 1, 4096, 0));
        assert_eq!(after(5000, 10), (4096, 905, 5000, 904));
    }

    #[test]
    fn many_long_entries_stay_within_the_limit_of_bytes() {
        assert_eq!(after(3000, 1024), (1024, 1977, 3000, 1976));
    }
}
