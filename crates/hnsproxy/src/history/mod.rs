//! What happened: the last writes, drift, conditions and other events of the process, for the pages and commands that show them.
//!
//! The control loop and the watchdog of HNS calls write it, at the same places as the log. Other threads only read it.

mod entry;
mod file;
mod query;
mod ring;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcn::SlowCall;
use jiff::Timestamp;
use proxy::Liveness;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use tracing::warn;

use crate::file_work::{FileWork, MAX_WAIT};
use crate::mutex::lock;
use entry::Entry;
pub use entry::{Event, Record};
pub use file::saved_in;
use file::{Saved, Writer};
pub use query::{MAX_LIMIT, Query, Since};
use ring::{Line, Ring};

/// Clones share the entries.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ring: Mutex<Ring>,
    /// The liveness that was recorded last.
    liveness: Mutex<Liveness>,
    /// None if the history ends with the process.
    writer: Option<Writer>,
    skipped_lines: u64,
}

/// What was lost when the history was saved and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Saving {
    /// Entries that could not be written.
    lost_entries: u64,
    /// Lines that could not be read at the start.
    skipped_lines: u64,
}

/// The answer to a [`Query`].
#[derive(Debug)]
pub struct Found {
    lines: Vec<Arc<Line>>,
    /// The sequence of the last entry of the history, whether it was found or not. 0 if there is none.
    pub last_sequence: u64,
    /// Entries that the history does not have any more, because newer ones took their place.
    pub dropped: u64,
    /// None if the history ends with the process.
    pub saving: Option<Saving>,
}

impl Found {
    /// The documents, the oldest first.
    pub fn documents(&self) -> impl Iterator<Item = &RawValue> {
        self.lines.iter().map(|line| &*line.document)
    }
}

/// Serializes the entries as a list of documents.
impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.documents())
    }
}

impl History {
    /// Continues the history in a folder. If it cannot be written, this is logged.
    pub fn saved_in(directory: &Path) -> Self {
        let (folder, reading) = (directory.to_owned(), FileWork::default());
        reading.begin(move || file::read(&folder));
        // A disk that hangs must not prevent the start.
        let saved = reading.take(MAX_WAIT).unwrap_or_else(|| {
            warn!(
                "cannot read the history in {}: no answer within {} s; leaving it out",
                directory.display(),
                MAX_WAIT.as_secs()
            );
            Saved::default()
        });
        let mut ring = Ring::default();
        saved.lines.into_iter().for_each(|line| ring.push(line));
        let writer = Writer::start(directory.to_owned());
        let writer = writer.inspect_err(|error| warn!("cannot start the thread that writes the history: {error}")).ok();
        Self(Arc::new(Shared { ring: Mutex::new(ring), writer, skipped_lines: saved.skipped, ..Shared::default() }))
    }

    /// Waits until the history is saved, for at most this time.
    pub fn flush(&self, limit: Duration) {
        self.0.writer.iter().for_each(|writer| writer.flush(limit));
    }

    pub fn record(&self, record: &Record) {
        self.record_at(Timestamp::now(), record);
    }

    fn record_at(&self, time: Timestamp, record: &Record) {
        let mut ring = lock(&self.0.ring);
        let sequence = ring.last_sequence() + 1;
        // This cannot fail: all keys are strings, and all numbers are finite.
        let Ok(document) = to_raw_value(&Entry { sequence, time, record }) else { return };
        let service = record.service.as_ref().map(|service| service.to_string().into());
        let line = Arc::new(Line { sequence, time, service, document });
        ring.push(line.clone());
        drop(ring);
        if let Some(writer) = &self.0.writer {
            writer.send(line);
        }
    }

    /// Records the liveness of HNS, if it has changed.
    pub fn record_liveness(&self, liveness: Liveness) {
        let mut last = lock(&self.0.liveness);
        if std::mem::replace(&mut *last, liveness) != liveness {
            self.record(&Record::liveness(liveness));
        }
    }

    /// Records a call that exceeds its budget and has not returned. The calling thread cannot record it, because it is blocked.
    pub fn record_overdue(&self, call: SlowCall) {
        self.record(&Record::call(call, false));
        let mut last = lock(&self.0.liveness);
        // A slow call does not make an unavailable or restarted HNS slow.
        if *last == Liveness::Up {
            *last = Liveness::Slow;
            self.record(&Record::liveness(*last));
        }
    }

    /// Records that an overdue call has returned, with the duration when it was last seen in flight.
    pub fn record_returned(&self, call: SlowCall) {
        self.record(&Record::call(call, true));
    }

    /// With `since`, the first entries after it; otherwise the last ones.
    pub fn find(&self, query: &Query) -> Found {
        let ring = lock(&self.0.ring);
        let found = ring.iter().filter(|line| query.has(line)).cloned();
        let lines = match query.since {
            Some(_) => found.take(query.limit).collect(),
            None => {
                let mut lines: Vec<_> = found.rev().take(query.limit).collect();
                lines.reverse();
                lines
            }
        };
        let saving = self.0.writer.as_ref();
        let saving = saving.map(|writer| Saving { lost_entries: writer.lost(), skipped_lines: self.0.skipped_lines });
        Found { lines, last_sequence: ring.last_sequence(), dropped: ring.dropped(), saving }
    }
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;
    use serde_json::{Value, json};

    use super::*;

    /// Five entries, a second apart. The second and the fourth one are of a Service.
    fn history() -> History {
        let history = History::default();
        for second in 1..=5 {
            let service = (second % 2 == 0).then(|| ServiceName::new("shop", "web"));
            let record = Record::condition("PortInUse", "in use", false).of_service(service);
            history.record_at(Timestamp::from_second(second).unwrap(), &record);
        }
        history
    }

    fn sequences(query: Query) -> Vec<u64> {
        let found = history().find(&query);
        let sequence =
            |document: &RawValue| serde_json::from_str::<Value>(document.get()).unwrap()["sequence"].as_u64();
        found.documents().filter_map(sequence).collect()
    }

    #[test]
    fn a_reader_continues_after_the_last_entry_that_it_has() {
        let since = |since, limit| sequences(Query { since: Some(since), limit, ..Query::default() });
        assert_eq!(since(Since::Sequence(0), 2), [1, 2]);
        assert_eq!(since(Since::Sequence(2), 2), [3, 4]);
        assert_eq!(since(Since::Sequence(5), MAX_LIMIT), [0; 0]);
        assert_eq!(since(Since::Time(Timestamp::from_second(4).unwrap()), MAX_LIMIT), [4, 5]);
    }

    #[test]
    fn a_call_that_hangs_is_recorded_before_it_returns_and_makes_hns_slow_once() {
        let history = History::default();
        let call = |seconds| SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(seconds) };
        history.record_liveness(Liveness::Up);
        history.record_overdue(call(6));
        history.record_overdue(call(6));
        history.record_returned(call(9));
        history.record_liveness(Liveness::Slow);
        history.record_liveness(Liveness::Up);
        let found = history.find(&Query::default());
        let entries = found.documents().map(|document| serde_json::from_str::<Value>(document.get()).unwrap());
        let names = ["kind", "returned", "duration_seconds", "liveness"];
        let entries: Vec<_> = entries.map(|entry| names.map(|name| entry[name].clone())).collect();
        let call = |returned, seconds| [json!("hns_call"), json!(returned), json!(seconds), Value::Null];
        let liveness = |liveness| [json!("hns_liveness"), Value::Null, Value::Null, json!(liveness)];
        let expected = [call(false, 6.0), liveness("slow"), call(false, 6.0), call(true, 9.0), liveness("up")];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_reader_without_a_start_gets_the_last_entries() {
        assert_eq!(sequences(Query::default()), [1, 2, 3, 4, 5]);
        assert_eq!(sequences(Query { limit: 2, ..Query::default() }), [4, 5]);
        assert_eq!(sequences(Query { limit: 1, service: Some("shop/web".to_owned()), ..Query::default() }), [4]);
    }
}
