//! A log entry: the level, source position, message and fields of a `tracing` event.

use std::fmt::Debug;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) level: Level,
    /// The name of the source file, without its folder.
    pub(super) file: &'static str,
    pub(super) line: u32,
    pub(super) message: String,
    /// In the order of the event.
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let path = metadata.file().unwrap_or("unknown");
        let mut record = Self {
            level: *metadata.level(),
            file: path.rsplit(['/', '\\']).next().unwrap_or(path),
            line: metadata.line().unwrap_or_default(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // Kubernetes components log errors with this key.
            ("error", value) => self.fields.push(("err", value)),
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}
