//! The explanation of each Service, as the control loop saw it last: other threads show it, also while an HNS call blocks the loop.
//!
//! Explanations are kept as compressed text: those of 10 000 Services with 5 backends have 4 MB. As values, they would need half of what the
//! core needs for these Services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use proxy::Explanation;
use proxy::model::ServiceName;
use serde::{Deserialize, Serialize};

use crate::mutex::lock;

/// An explanation like most: what a text has in common with it needs almost no space.
const SAMPLE: &[u8] = include_bytes!("explanation_sample.json");

/// Beyond this number, requests are explained in the order of the others.
const MAX_REQUESTED: usize = 64;

/// An explanation that was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedExplanation {
    #[serde(flatten)]
    pub explanation: Explanation,
    /// How long ago this was the state. None if it is that of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
}

/// Locked only while an entry is set or copied. All times are since the start of the process.
#[derive(Debug, Default)]
pub struct ExplanationTable(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<ServiceName, Entry>,
    /// The Services that may have changed since they were explained.
    outdated: BTreeSet<ServiceName>,
    /// Those of them that a page has requested, at most [`MAX_REQUESTED`].
    requested: BTreeSet<ServiceName>,
    /// When all entries but those of outdated Services were up to date.
    checked: Duration,
}

#[derive(Debug, Clone)]
struct Entry {
    at: Duration,
    text: Box<[u8]>,
}

impl ExplanationTable {
    /// Marks Services that may have changed, or are new or deleted.
    pub fn mark_outdated(&self, services: impl IntoIterator<Item = ServiceName>) {
        lock(&self.0).outdated.extend(services);
    }

    /// Removes the Services of another session that `is_known` does not know.
    pub fn retain(&self, is_known: impl Fn(&ServiceName) -> bool) {
        lock(&self.0).entries.retain(|service, _| is_known(service));
    }

    /// The number of Services that may have changed since they were explained.
    pub fn outdated(&self) -> usize {
        lock(&self.0).outdated.len()
    }

    /// Explains outdated Services: those that pages have requested, and up to `limit` others. `explain` returns None for a deleted one.
    pub fn update(&self, now: Duration, limit: usize, mut explain: impl FnMut(&ServiceName) -> Option<Explanation>) {
        // One for all of them: each has large buffers.
        let mut compress = Compress::new(Compression::fast(), false);
        let mut left = limit;
        loop {
            let service = lock(&self.0).take_outdated(&mut left);
            // The lock is free meanwhile, so that a page does not wait.
            let Some(service) = service else { break };
            let text = explain(&service).and_then(|explanation| compressed(&mut compress, &explanation));
            let mut table = lock(&self.0);
            match text {
                Some(text) => drop(table.entries.insert(service, Entry { at: now, text })),
                None => drop(table.entries.remove(&service)),
            }
        }
        lock(&self.0).checked = now;
    }

    /// Whether there is an explanation of a Service. If not, it is the next to be explained.
    pub fn is_explained(&self, service: &ServiceName) -> bool {
        let mut table = lock(&self.0);
        table.request(service);
        table.entries.contains_key(service)
    }

    /// The last explanation of a Service. None if the Service does not exist, or was not explained yet.
    pub fn get(&self, service: &ServiceName, now: Duration) -> Option<PublishedExplanation> {
        let (Entry { at, text }, right) = {
            let mut table = lock(&self.0);
            let is_outdated = table.request(service);
            let entry = table.entries.get(service)?.clone();
            let right = if is_outdated { entry.at } else { table.checked };
            (entry, right)
        };
        let explanation = serde_json::from_slice(&decompressed(&text)?).ok()?;
        let age = now.saturating_sub(right.max(at));
        Some(PublishedExplanation { explanation, age_seconds: Some(age.as_secs_f64()) })
    }
}

impl Table {
    /// Returns whether a Service is outdated. If so, it is explained before others.
    fn request(&mut self, service: &ServiceName) -> bool {
        let is_outdated = self.outdated.contains(service);
        if is_outdated && self.requested.len() < MAX_REQUESTED {
            self.requested.insert(service.clone());
        }
        is_outdated
    }

    /// A Service to explain: one that was requested, or if `left` is not 0 another one, which counts.
    fn take_outdated(&mut self, left: &mut usize) -> Option<ServiceName> {
        while let Some(requested) = self.requested.pop_first() {
            if self.outdated.remove(&requested) {
                return Some(requested);
            }
        }
        *left = left.checked_sub(1)?;
        self.outdated.pop_first()
    }
}

/// None only if the explanation cannot be written as JSON, or the algorithm fails.
fn compressed(compress: &mut Compress, explanation: &Explanation) -> Option<Box<[u8]>> {
    let text = serde_json::to_vec(explanation).ok()?;
    compress.reset();
    compress.set_dictionary(SAMPLE).ok()?;
    let mut compressed = Vec::with_capacity(text.len() + 1024);
    let status = compress.compress_vec(&text, &mut compressed, FlushCompress::Finish).ok()?;
    (status == Status::StreamEnd).then(|| compressed.into())
}

fn decompressed(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut decompress = Decompress::new(false);
    decompress.set_dictionary(SAMPLE).ok()?;
    let mut text = Vec::with_capacity(compressed.len() * 8);
    loop {
        let rest = usize::try_from(decompress.total_in()).ok().and_then(|read| compressed.get(read..))?;
        match decompress.decompress_vec(rest, &mut text, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => return Some(text),
            // It has no more space.
            Ok(Status::Ok | Status::BufError) if text.len() == text.capacity() => text.reserve(text.len().max(1024)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> ServiceName {
        ServiceName::new("ns", format!("service-{number:05}"))
    }

    /// The sample with other addresses and ids.
    fn explanation(number: u32) -> Explanation {
        let mut state = number;
        // Digits of ids and addresses are as good as random.
        let mut random = |digits: &str| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            digits.chars().nth((state >> 16) as usize % digits.len()).unwrap()
        };
        let text = std::str::from_utf8(SAMPLE).unwrap();
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        for part in text.split('"') {
            let new = match part.split('.').count() {
                4 => format!(
                    "10.{}{}.{}{}.{}",
                    random("12"),
                    random("0123456789"),
                    random("12"),
                    random("0123456789"),
                    random("123456789")
                ),
                _ if part.len() == 36 && part.contains('-') => {
                    part.chars().map(|one| if one == '-' { one } else { random("0123456789abcdef") }).collect()
                }
                _ => continue,
            };
            ids.entry(part.to_owned()).or_insert(new);
        }
        let text = ids.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new));
        Explanation { service: name(number), ..serde_json::from_str(&text).unwrap() }
    }

    #[test]
    fn ten_thousand_services_need_a_few_bytes_each() {
        let table = ExplanationTable::default();
        table.mark_outdated((0..500).map(name));
        table.update(Duration::ZERO, 500, |service| Some(explanation(service.name[8..].parse().unwrap())));
        assert_eq!(table.outdated(), 0);
        let published = |number| table.get(&name(number), Duration::ZERO).map(|published| published.explanation);
        assert_eq!(published(17), Some(explanation(17)));
        let bytes: usize = lock(&table.0).entries.values().map(|entry| entry.text.len()).sum();
        assert!(bytes < 500 * 400, "{} bytes of each", bytes / 500);
    }

    #[test]
    fn an_explanation_of_any_size_is_read_again() {
        let table = ExplanationTable::default();
        let large = Explanation { steps: (0..10_000).map(|step| format!("step {step}")).collect(), ..explanation(1) };
        let small = Explanation::before_audit(name(2));
        table.mark_outdated([name(1), name(2)]);
        table
            .update(Duration::ZERO, 2, |service| Some(if *service == name(1) { large.clone() } else { small.clone() }));
        let published = |number| table.get(&name(number), Duration::ZERO).unwrap().explanation;
        assert_eq!((published(1), published(2)), (large, small));
    }

    #[test]
    fn an_explanation_is_as_old_as_the_last_time_that_it_was_right() {
        let table = ExplanationTable::default();
        let seconds = Duration::from_secs;
        let update =
            |now, limit| table.update(seconds(now), limit, |service| Some(Explanation::before_audit(service.clone())));
        let age = |number, now| table.get(&name(number), seconds(now)).and_then(|published| published.age_seconds);
        table.mark_outdated([name(1), name(2), name(3)]);
        update(10, 2);
        assert_eq!(table.outdated(), 1);
        assert_eq!([1, 2, 3].map(|number| age(number, 11)), [Some(1.0), Some(1.0), None]);
        update(20, 2);
        // Nothing has changed: all are right.
        update(30, 2);
        assert_eq!([1, 2, 3].map(|number| age(number, 31)), [Some(1.0); 3]);
        // While the control loop hangs, what has changed is not known, and nothing is newer.
        table.mark_outdated([name(3)]);
        assert_eq!([1, 3].map(|number| age(number, 40)), [Some(10.0), Some(20.0)]);
        // The page has requested it.
        update(41, 0);
        assert_eq!([1, 3].map(|number| age(number, 41)), [Some(0.0); 2]);
    }

    #[test]
    fn a_service_that_was_requested_is_explained_before_others() {
        let table = ExplanationTable::default();
        table.mark_outdated((1..=4).map(name));
        assert_eq!(table.get(&name(3), Duration::ZERO), None);
        // One that does not exist is not explained for that.
        assert_eq!(table.get(&name(9), Duration::ZERO), None);
        let mut explained = Vec::new();
        let mut update = |limit| {
            table.update(Duration::ZERO, limit, |service| {
                explained.push(service.clone());
                Some(Explanation::before_audit(service.clone()))
            });
        };
        update(0);
        update(1);
        assert_eq!(explained, [name(3), name(1)]);
    }

    #[test]
    fn a_deleted_service_is_not_explained() {
        let table = ExplanationTable::default();
        table.mark_outdated([name(1), name(2)]);
        table.update(Duration::ZERO, 2, |service| Some(Explanation::before_audit(service.clone())));
        table.mark_outdated([name(1)]);
        table.update(Duration::ZERO, 1, |_| None);
        let is_explained = |number| table.get(&name(number), Duration::ZERO).is_some();
        assert_eq!([1, 2].map(is_explained), [false, true]);
        table.retain(|_| false);
        assert!(!is_explained(2));
    }
}
