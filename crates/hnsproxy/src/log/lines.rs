//! Writes the entries of the log in the styles klog and short, and counts repeated ones.

use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use jiff::Zoned;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::Context;

use super::record::Record;
use super::repeats::Repeats;
use crate::mutex::lock;

/// Formats an entry.
pub(super) type Format = fn(&Record, &Zoned) -> String;

pub(super) struct Lines {
    format: Format,
    writer: BoxMakeWriter,
    start: Instant,
    repeats: Mutex<Repeats>,
}

impl Lines {
    pub(super) fn new(format: Format, writer: BoxMakeWriter) -> Self {
        #[allow(clippy::disallowed_methods, reason = "the log has the time of each entry")]
        let start = Instant::now();
        Self { format, writer, start, repeats: Mutex::default() }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let records = lock(&self.repeats).admit(Record::of(event), self.start.elapsed());
        let now = Zoned::now();
        for record in records {
            let line = (self.format)(&record, &now);
            // A failed write cannot be logged here. The log file reports its own failures.
            let _ = self.writer.make_writer().write_all(line.as_bytes());
        }
    }
}
