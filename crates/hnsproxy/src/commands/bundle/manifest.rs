//! The list of the parts of a bundle, and why some are missing.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

/// The version of the format. It changes when a part is renamed or its meaning changes.
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    format_version: u32,
    /// When the bundle was complete.
    created: Timestamp,
    hnsproxy: &'static str,
    parts: Vec<Entry>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Entry {
    name: String,
    result: Outcome,
    /// The size of the part before compression.
    bytes: Option<usize>,
    /// The reason why the part was not written.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Written,
    Missing,
    /// This node does not have it.
    NotApplicable,
}

impl Entry {
    pub(super) fn written(name: String, bytes: usize) -> Self {
        Self { name, result: Outcome::Written, bytes: Some(bytes), reason: None }
    }

    pub(super) fn missing(name: String, reason: String) -> Self {
        Self { name, result: Outcome::Missing, bytes: None, reason: Some(reason) }
    }

    pub(super) fn not_applicable(name: String, reason: String) -> Self {
        Self { name, result: Outcome::NotApplicable, bytes: None, reason: Some(reason) }
    }
}

impl Manifest {
    pub(super) fn of(created: Timestamp, parts: Vec<Entry>) -> Self {
        Self { format_version: FORMAT_VERSION, created, hnsproxy: env!("CARGO_PKG_VERSION"), parts }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.count(Outcome::Missing) == 0
    }

    fn count(&self, result: Outcome) -> usize {
        self.parts.iter().filter(|entry| entry.result == result).count()
    }
}

/// Formats the summary that the command prints. `bytes` is the size of the file.
pub(super) fn text(manifest: &Manifest, file: &Path, bytes: usize) -> String {
    let parts = manifest.count(Outcome::Written);
    let plural = if parts == 1 { "" } else { "s" };
    let written = format!("wrote {}: {parts} part{plural}, {} KiB\n", file.display(), bytes.div_ceil(1 << 10));
    let missing = manifest.parts.iter().filter(|entry| entry.result == Outcome::Missing);
    let line = |entry: &Entry| format!("missing {}: {}\n", entry.name, entry.reason.as_deref().unwrap_or_default());
    written + &missing.map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_what_is_missing() {
        let entry = |name: &str, make: fn(String, String) -> Entry| make(name.into(), "why".into());
        let complete = vec![Entry::written("a".into(), 7), entry("b", Entry::not_applicable)];
        let manifest = |parts| Manifest::of(Timestamp::UNIX_EPOCH, parts);
        assert!(manifest(complete).is_complete());
        let parts = vec![Entry::written("a".into(), 7), entry("b", Entry::not_applicable), entry("c", Entry::missing)];
        let manifest = manifest(parts);
        assert!(!manifest.is_complete());
        assert_eq!(text(&manifest, Path::new("f.zip"), 1025), "wrote f.zip: 1 part, 2 KiB\nmissing c: why\n");
    }
}
