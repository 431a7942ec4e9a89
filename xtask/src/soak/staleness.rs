//! For how long HNS has differed from the API server, for each entry.
//!
//! An entry of HNS is as old as the last expectation that it equals: a Service that changes each second, and is programmed each time, is
//! never old. An entry that equals no expectation is old since it was first seen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::{Entry, Key, State, describe};

#[derive(Debug, Default)]
pub(super) struct Staleness {
    items: BTreeMap<Key, Item>,
}

#[derive(Debug, Default)]
struct Item {
    expected: Option<Entry>,
    observed: Option<Entry>,
    /// Earlier expectations since the entry was last in sync, and when each ended.
    earlier: Vec<(Option<Entry>, Duration)>,
    /// When the first expectation that is not yet programmed began.
    changed: Option<Duration>,
    /// The time whose expectation HNS has; `None` if it has the current one.
    stale_since: Option<Duration>,
}

/// A change of the expectation that HNS now has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Programmed {
    pub(super) changed: Duration,
    pub(super) latency: Duration,
}

/// The oldest difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) key: Key,
    pub(super) since: Duration,
    pub(super) text: String,
}

impl Staleness {
    /// Compares, and returns the changes that were programmed since the last time.
    pub(super) fn update(&mut self, now: Duration, expected: &State, observed: &State) -> Vec<Programmed> {
        for key in expected.keys().chain(observed.keys()) {
            if !self.items.contains_key(key) {
                self.items.insert(key.clone(), Item::default());
            }
        }
        let mut programmed = Vec::new();
        self.items.retain(|key, item| {
            programmed.extend(item.update(now, expected.get(key), observed.get(key)));
            // An entry that is absent on both sides for the first time has no history.
            item.expected.is_some() || item.stale_since.is_some()
        });
        programmed
    }

    pub(super) fn differences(&self) -> usize {
        self.items.values().filter(|item| item.stale_since.is_some()).count()
    }

    /// The oldest difference among the entries that a condition selects.
    pub(super) fn oldest(&self, is_selected: impl Fn(&Key) -> bool) -> Option<Difference> {
        let stale = self.items.iter().filter(|(key, _)| is_selected(key));
        let (since, key, item) =
            stale.filter_map(|(key, item)| Some((item.stale_since?, key, item))).min_by_key(|(since, ..)| *since)?;
        let (observed, expected) = (describe(item.observed.as_ref()), describe(item.expected.as_ref()));
        let text = format!("{key}: HNS has: {observed}; expected: {expected}");
        Some(Difference { key: key.clone(), since, text })
    }

    /// Whether an entry is in sync.
    pub(super) fn is_in_sync(&self, key: &Key) -> bool {
        self.items.get(key).is_none_or(|item| item.stale_since.is_none())
    }
}

impl Item {
    fn update(&mut self, now: Duration, expected: Option<&Entry>, observed: Option<&Entry>) -> Option<Programmed> {
        if self.expected.as_ref() != expected {
            self.earlier.push((self.expected.take(), now));
            self.expected = expected.cloned();
            self.changed.get_or_insert(now);
        }
        self.observed = observed.cloned();
        if observed == expected {
            self.earlier.clear();
            self.stale_since = None;
            let changed = self.changed.take()?;
            return Some(Programmed { changed, latency: now.saturating_sub(changed) });
        }
        let equal = self.earlier.iter().rev().find(|(entry, _)| entry.as_ref() == observed);
        // Between two expectations, for example while a load balancer is replaced, an entry keeps its age.
        self.stale_since = equal.map(|(_, ended)| *ended).or(self.stale_since).or(Some(now));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const KEY: Key = Key::RemoteEndpoint(Ipv4Addr::LOCALHOST);

    fn state(text: &str) -> State {
        if text.is_empty() { State::new() } else { State::from([(KEY, Entry::Invalid(text.to_owned()))]) }
    }

    /// Updates once a second, and returns for how many seconds HNS was stale each time.
    fn ages(steps: &[(&str, &str)]) -> Vec<u64> {
        let mut staleness = Staleness::default();
        let mut ages = Vec::new();
        for (second, (expected, observed)) in (0..).zip(steps) {
            let now = Duration::from_secs(second);
            staleness.update(now, &state(expected), &state(observed));
            ages.push(staleness.oldest(|_| true).map_or(0, |found| second - found.since.as_secs()));
        }
        ages
    }

    #[test]
    fn an_entry_is_as_old_as_the_expectation_that_it_equals() {
        assert_eq!(ages(&[("a", "a"), ("b", "a"), ("c", "a"), ("c", "b"), ("c", "c")]), [0, 0, 1, 1, 0]);
        // Absence is an expectation, too.
        assert_eq!(
            ages(&[("", ""), ("a", ""), ("a", ""), ("a", "a"), ("", "a"), ("", "a"), ("", "")]),
            [0, 0, 1, 0, 0, 1, 0]
        );
    }

    #[test]
    fn an_entry_that_equals_no_expectation_is_old_since_it_was_seen() {
        assert_eq!(ages(&[("a", "a"), ("a", "x"), ("a", "x"), ("a", "y"), ("a", "a"), ("a", "")]), [0, 0, 1, 2, 0, 0]);
    }

    #[test]
    fn a_change_is_programmed_when_hns_has_it() {
        let mut staleness = Staleness::default();
        let mut at = |second, expected, observed| {
            staleness.update(Duration::from_secs(second), &state(expected), &state(observed))
        };
        assert_eq!(at(1, "a", ""), []);
        assert_eq!(at(2, "b", "a"), []);
        let programmed = Programmed { changed: Duration::from_secs(1), latency: Duration::from_secs(2) };
        assert_eq!(at(3, "b", "b"), [programmed]);
        // The repair of drift is no change.
        assert_eq!(at(4, "b", "x"), []);
        assert_eq!(at(5, "b", "b"), []);
    }
}
