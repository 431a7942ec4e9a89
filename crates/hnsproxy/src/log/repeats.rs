//! Limits repeated warnings and errors: the first one is written, and its repetitions within a minute are counted.

use std::time::Duration;

use tracing::Level;

use super::record::Record;

/// The time in which repetitions of an entry are counted instead of written.
const WINDOW: Duration = Duration::from_secs(60);
/// The number of entries that are remembered.
const MAX_REMEMBERED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The oldest first.
    written: Vec<Written>,
}

#[derive(Debug)]
struct Written {
    record: Record,
    at: Duration,
    repeated: u64,
}

impl Repeats {
    /// Returns the entries to write now: the counts whose minute has passed, and this entry, unless it is a repetition. `now` is the time since
    /// the start of the log.
    pub(super) fn admit(&mut self, record: Record, now: Duration) -> Vec<Record> {
        let mut write = self.end(now);
        if !matches!(record.level, Level::WARN | Level::ERROR) {
            write.push(record);
            return write;
        }
        if let Some(same) = self.written.iter_mut().find(|written| written.record == record) {
            same.repeated += 1;
            return write;
        }
        if self.written.len() == MAX_REMEMBERED {
            write.extend(self.written.remove(0).summary());
        }
        self.written.push(Written { record: record.clone(), at: now, repeated: 0 });
        write.push(record);
        write
    }

    /// Removes the entries whose minute has passed, and returns their counts.
    fn end(&mut self, now: Duration) -> Vec<Record> {
        let over = |written: &mut Written| now.saturating_sub(written.at) >= WINDOW;
        self.written.extract_if(.., over).filter_map(Written::summary).collect()
    }
}

impl Written {
    fn summary(self) -> Option<Record> {
        let Self { mut record, repeated, .. } = self;
        record.fields.push(("repeated", repeated.into()));
        (repeated > 0).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: Level, message: &str) -> Record {
        Record { level, file: "file.rs", line: 1, message: message.to_owned(), fields: Vec::new() }
    }

    fn warning(message: &str) -> Record {
        record(Level::WARN, message)
    }

    fn with_count(message: &str, count: u64) -> Record {
        Record { fields: vec![("repeated", count.into())], ..warning(message) }
    }

    #[test]
    fn a_repeated_warning_is_counted_until_its_minute_is_over() {
        let mut repeats = Repeats::default();
        let mut admit = |record: Record, secs| repeats.admit(record, Duration::from_secs(secs));
        assert_eq!(admit(warning("a"), 0), [warning("a")]);
        assert_eq!(admit(warning("a"), 1), []);
        assert_eq!(admit(warning("b"), 2), [warning("b")]);
        assert_eq!(admit(warning("a"), 59), []);
        assert_eq!(admit(warning("a"), 60), [with_count("a", 2), warning("a")]);
        assert_eq!(admit(warning("c"), 130), [warning("c")]);
    }

    #[test]
    fn other_entries_are_all_written() {
        let mut repeats = Repeats::default();
        for secs in 0..3 {
            assert_eq!(repeats.admit(record(Level::INFO, "a"), Duration::from_secs(secs)), [record(Level::INFO, "a")]);
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut repeats = Repeats::default();
        let mut admit = |message: String| repeats.admit(warning(&message), Duration::ZERO);
        admit("0".to_owned());
        admit("0".to_owned());
        (1..MAX_REMEMBERED).for_each(|number| drop(admit(number.to_string())));
        assert_eq!(admit("last".to_owned()), [with_count("0", 1), warning("last")]);
        assert_eq!(admit("0".to_owned()), [warning("0")]);
    }
}
