//! Decides which Events are sent, and when: one for each condition while it lasts, a series for what happens again soon, and never more than
//! the rate limit.
//!
//! Pure: time is an argument, the duration since any fixed moment.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::event::{Event, ObjectReference};

/// A condition that is resolved sooner gets no Event. For example, HNS gets the endpoint of a new pod a moment later, or a port is free
/// at the second attempt.
const MIN_DURATION: Duration = Duration::from_secs(10);
/// What happens again within this time continues its series. The recorder of client-go ends a series after 6 minutes, too.
const SERIES_TIMEOUT: Duration = Duration::from_secs(6 * 60);
/// The burst of the rate limit, which is that of the spam filter of client-go.
const BURST: u32 = 25;
/// After a burst, one Event in this time. client-go allows one in 5 minutes, but for each object; this limit is for all objects.
const REFILL: Duration = Duration::from_secs(60);
/// The number of Events that may wait for the rate limit. Further ones are dropped.
const MAX_PENDING: usize = 100;

type Key = (ObjectReference, &'static str);

/// An Event to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Correlated {
    pub(super) event: Event,
    /// The suffix of the name of the Event.
    pub(super) number: u64,
    /// How often it has happened in the series. None for the first, which creates the Event.
    pub(super) series_count: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Correlator {
    conditions: BTreeMap<Key, ActiveCondition>,
    pending: VecDeque<Event>,
    series: BTreeMap<Key, Series>,
    /// The rate limiter's theoretical arrival time (GCRA). Each Event advances it by [`REFILL`], starting at now at the earliest. No Event is
    /// sent while it is more than `(BURST - 1) × REFILL` ahead of now.
    spent: Duration,
    dropped: u64,
}

#[derive(Debug)]
struct ActiveCondition {
    since: Duration,
    sent: bool,
    event: Event,
}

#[derive(Debug, Clone, Copy)]
struct Series {
    number: u64,
    count: u32,
    last: Duration,
}

impl Correlator {
    /// Replaces the conditions that hold. Those that are missing are resolved.
    pub(super) fn set_conditions(&mut self, conditions: Vec<Event>, now: Duration) {
        let mut before = std::mem::take(&mut self.conditions);
        self.conditions = conditions
            .into_iter()
            .map(|event| {
                let key = (event.regarding.clone(), event.reason);
                let known = before.remove(&key).map(|known| (known.since, known.sent));
                let (since, sent) = known.unwrap_or((now, false));
                (key, ActiveCondition { since, sent, event })
            })
            .collect();
    }

    /// Adds an Event about something that has no duration.
    pub(super) fn add(&mut self, event: Event) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// The number of Events that were dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The next Event to send now, if any. `number` is for the name of a new Event.
    pub(super) fn next(&mut self, now: Duration, number: u64) -> Option<Correlated> {
        self.series.retain(|_, series| now.saturating_sub(series.last) < SERIES_TIMEOUT);
        if !self.is_within_rate_limit(now) {
            return None;
        }
        // Conditions come second: they are still there at the next call.
        let event = self.pending.pop_front().or_else(|| {
            let due = |condition: &&mut ActiveCondition| {
                !condition.sent && now.saturating_sub(condition.since) >= MIN_DURATION
            };
            let condition = self.conditions.values_mut().find(due)?;
            condition.sent = true;
            Some(condition.event.clone())
        })?;
        self.spent = self.spent.max(now) + REFILL;
        let key = (event.regarding.clone(), event.reason);
        let series = self.series.entry(key).or_insert(Series { number, count: 0, last: now });
        (series.count, series.last) = (series.count + 1, now);
        let series_count = (series.count > 1).then_some(series.count);
        Some(Correlated { event, number: series.number, series_count })
    }

    /// When [`next`](Self::next) may have an Event.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        let conditions = self.conditions.values().filter(|condition| !condition.sent);
        let first = if self.pending.is_empty() {
            conditions.map(|condition| condition.since + MIN_DURATION).min()?
        } else {
            now
        };
        Some(first.max(self.spent.saturating_sub(REFILL * (BURST - 1))).max(now))
    }

    fn is_within_rate_limit(&self, now: Duration) -> bool {
        self.spent <= now + REFILL * (BURST - 1)
    }
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;

    use super::super::event::EventType;
    use super::*;

    fn condition(service: u32) -> Event {
        Event {
            regarding: ObjectReference::Service(ServiceName::new("ns", format!("s{service}")), None),
            event_type: EventType::Warning,
            reason: "PortInUse",
            action: "SyncHNS",
            note: String::new(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The numbers and series counts of the Events that are sent at a time.
    fn sent(correlator: &mut Correlator, seconds: u64) -> Vec<(u64, Option<u32>)> {
        std::iter::from_fn(|| correlator.next(at(seconds), seconds))
            .map(|event| (event.number, event.series_count))
            .collect()
    }

    #[test]
    fn a_condition_gets_one_event_once_it_has_lasted() {
        let mut correlator = Correlator::default();
        correlator.set_conditions(vec![condition(1), condition(2)], at(0));
        assert_eq!((sent(&mut correlator, 9), correlator.due(at(9))), (vec![], Some(at(10))));
        correlator.set_conditions(vec![condition(2)], at(9));
        assert_eq!(sent(&mut correlator, 10), [(10, None)]);
        correlator.set_conditions(vec![condition(2)], at(5000));
        assert_eq!((sent(&mut correlator, 5000), correlator.due(at(5000))), (vec![], None));
    }

    #[test]
    fn an_event_that_happens_again_soon_continues_a_series() {
        let mut correlator = Correlator::default();
        for seconds in [100, 200, 400] {
            correlator.add(condition(1));
            let series_count = if seconds == 100 { None } else { Some(if seconds == 200 { 2 } else { 3 }) };
            assert_eq!(sent(&mut correlator, seconds), [(100, series_count)]);
        }
        correlator.add(condition(1));
        assert_eq!(sent(&mut correlator, 760), [(760, None)]);
    }

    #[test]
    fn a_condition_that_comes_back_soon_continues_a_series() {
        let mut correlator = Correlator::default();
        correlator.set_conditions(vec![condition(1)], at(0));
        assert_eq!(sent(&mut correlator, 10), [(10, None)]);
        correlator.set_conditions(vec![], at(20));
        correlator.set_conditions(vec![condition(1)], at(30));
        assert_eq!((sent(&mut correlator, 39), sent(&mut correlator, 40)), (vec![], vec![(10, Some(2))]));
    }

    #[test]
    fn conditions_beyond_the_burst_are_sent_one_by_one() {
        let mut correlator = Correlator::default();
        correlator.set_conditions((0..30).map(condition).collect(), at(0));
        assert_eq!(sent(&mut correlator, 10).len(), 25);
        assert_eq!(correlator.due(at(10)), Some(at(70)));
        assert_eq!((sent(&mut correlator, 69).len(), sent(&mut correlator, 70).len()), (0, 1));
        assert_eq!(sent(&mut correlator, 70 + 60 * 10).len(), 4);
        assert_eq!(correlator.due(at(680)), None);
    }

    #[test]
    fn events_beyond_the_limit_are_dropped_and_counted() {
        let mut correlator = Correlator::default();
        (0..150).for_each(|service| correlator.add(condition(service)));
        assert_eq!((correlator.take_dropped(), correlator.take_dropped()), (50, 0));
        assert_eq!(sent(&mut correlator, 0).len(), 25);
        assert_eq!(correlator.due(at(0)), Some(at(60)));
    }
}
