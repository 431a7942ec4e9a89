//! Retry times: exponential backoff with a maximum delay and jitter.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::dirty::Subject;

/// The first delay. Most failures of HNS are short: a switch port that is not there yet, a service that restarts.
const INITIAL_DELAY: Duration = Duration::from_millis(500);
/// The longest delay: the default `syncPeriod` of kube-proxy, after which it retries everything.
const MAX_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attempts {
    count: u32,
    due: Duration,
}

/// The subjects that failed, and when the retry of each is due.
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    failures: BTreeMap<Subject, Attempts>,
}

/// The delays after a failed write.
impl Default for Backoff {
    fn default() -> Self {
        Self::between(INITIAL_DELAY, MAX_DELAY)
    }
}

impl Backoff {
    /// With the first and the longest delay, both without jitter.
    pub fn between(initial: Duration, max: Duration) -> Self {
        Self { initial, max, failures: BTreeMap::new() }
    }

    /// Records a failure, and doubles the delay.
    pub fn failed(&mut self, subject: Subject, now: Duration) {
        let (initial, max) = (self.initial, self.max);
        let entry = self.failures.entry(subject).or_insert(Attempts { count: 0, due: now });
        entry.due = now + delay(subject, entry.count, initial, max);
        entry.count = entry.count.saturating_add(1);
    }

    /// Removes a subject, after a success or when it is no longer desired.
    pub fn clear(&mut self, subject: Subject) {
        self.failures.remove(&subject);
    }

    /// Whether a subject has failed and its retry is not due.
    pub fn is_backing_off(&self, subject: Subject, now: Duration) -> bool {
        self.failures.get(&subject).is_some_and(|entry| entry.due > now)
    }

    /// When the retry of a subject is due. `None` if it has not failed.
    pub fn due_at(&self, subject: Subject) -> Option<Duration> {
        self.failures.get(&subject).map(|entry| entry.due)
    }

    pub fn contains(&self, subject: Subject) -> bool {
        self.failures.contains_key(&subject)
    }

    pub fn due(&self, now: Duration) -> Vec<Subject> {
        self.failures.iter().filter(|(_, entry)| entry.due <= now).map(|(subject, _)| *subject).collect()
    }

    pub fn next(&self) -> Option<Duration> {
        self.failures.values().map(|entry| entry.due).min()
    }

    pub fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        self.failures.keys().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

/// The delay before a retry. It doubles with each attempt up to the maximum. Jitter of up to a fifth keeps subjects
/// that failed together from being retried together.
fn delay(subject: Subject, attempts: u32, initial: Duration, max: Duration) -> Duration {
    let base = initial.saturating_mul(1 << attempts.min(16)).min(max);
    let mut hasher = rustc_hash::FxHasher::default();
    (subject, attempts).hash(&mut hasher);
    let spread = u32::try_from(hasher.finish() >> 48).unwrap_or_default();
    base + base / 5 * spread / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(last: u8) -> Subject {
        Subject::Address([10, 0, 0, last].into())
    }

    #[test]
    fn delays_double_up_to_a_maximum() {
        for last in 0..50 {
            for attempts in 0..40 {
                let base = INITIAL_DELAY.saturating_mul(1 << attempts.min(16)).min(MAX_DELAY);
                let delay = delay(subject(last), attempts, INITIAL_DELAY, MAX_DELAY);
                assert!(delay >= base && delay <= base + base / 5, "{attempts}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_failed_subject_backs_off_until_its_retry_is_due() {
        let mut backoff = Backoff::default();
        let now = Duration::from_secs(100);
        backoff.failed(subject(1), now);
        let due = backoff.next().unwrap();
        assert!(backoff.is_backing_off(subject(1), now) && !backoff.is_backing_off(subject(1), due));
        assert_eq!(backoff.due(due), [subject(1)]);
        backoff.clear(subject(1));
        assert!(backoff.is_empty() && backoff.next().is_none());
    }
}
