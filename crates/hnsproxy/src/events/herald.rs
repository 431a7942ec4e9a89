//! What is told when: each thing once while it lasts, what comes again as a series, and never more than the API server should bear.
//!
//! Pure: time is an argument, the duration since any fixed moment.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::occurrence::{Occurrence, Regarding};

/// What lasts shorter is not told: a pod whose endpoint is a moment late, a port that is free at the second try.
const LASTING: Duration = Duration::from_secs(10);
/// What comes again within this time continues a series.
const QUIET: Duration = Duration::from_secs(6 * 60);
/// So many may be told at once.
const BURST: u32 = 25;
/// After these, one each time.
const EVERY: Duration = Duration::from_secs(60);
/// So many wait at most that happened; more are dropped.
const WAITING: usize = 100;

type Key = (Regarding, &'static str);

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tale {
    /// What.
    pub(super) occurrence: Occurrence,
    /// The name of the Event, behind that of what it is about.
    pub(super) number: u64,
    /// The how manieth time it is, where the Event is there already.
    pub(super) again: Option<u32>,
}

/// What is to be told, and was.
#[derive(Debug, Default)]
pub(super) struct Herald {
    lasting: BTreeMap<Key, Lasting>,
    happened: VecDeque<Occurrence>,
    series: BTreeMap<Key, Series>,
    /// Until when what was told has used up the budget.
    spent: Duration,
    dropped: u64,
}

#[derive(Debug)]
struct Lasting {
    since: Duration,
    told: bool,
    occurrence: Occurrence,
}

#[derive(Debug, Clone, Copy)]
struct Series {
    number: u64,
    count: u32,
    last: Duration,
}

impl Herald {
    /// Takes all that is not as it should be now. What is no longer among it is over.
    pub(super) fn conditions(&mut self, conditions: Vec<Occurrence>, now: Duration) {
        let mut before = std::mem::take(&mut self.lasting);
        self.lasting = conditions
            .into_iter()
            .map(|occurrence| {
                let key = (occurrence.regarding.clone(), occurrence.reason);
                let known = before.remove(&key).map(|known| (known.since, known.told));
                let (since, told) = known.unwrap_or((now, false));
                (key, Lasting { since, told, occurrence })
            })
            .collect();
    }

    /// Takes what happened.
    pub(super) fn happened(&mut self, occurrence: Occurrence) {
        if self.happened.len() < WAITING {
            self.happened.push_back(occurrence);
        } else {
            self.dropped += 1;
        }
    }

    /// Hands over how many were dropped.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// What may be told now, if anything. `number` names a new Event.
    pub(super) fn next(&mut self, now: Duration, number: u64) -> Option<Tale> {
        self.series.retain(|_, series| now.saturating_sub(series.last) < QUIET);
        if !self.may_tell(now) {
            return None;
        }
        let occurrence = self.happened.pop_front().or_else(|| {
            let ripe = |lasting: &&mut Lasting| !lasting.told && now.saturating_sub(lasting.since) >= LASTING;
            let lasting = self.lasting.values_mut().find(ripe)?;
            lasting.told = true;
            Some(lasting.occurrence.clone())
        })?;
        self.spent = self.spent.max(now) + EVERY;
        let key = (occurrence.regarding.clone(), occurrence.reason);
        let series = self.series.entry(key).or_insert(Series { number, count: 0, last: now });
        (series.count, series.last) = (series.count + 1, now);
        let again = (series.count > 1).then_some(series.count);
        Some(Tale { occurrence, number: series.number, again })
    }

    /// When there may be something to tell.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        let waits = self.lasting.values().filter(|lasting| !lasting.told);
        let first = if self.happened.is_empty() { waits.map(|lasting| lasting.since + LASTING).min()? } else { now };
        Some(first.max(self.spent.saturating_sub(EVERY * (BURST - 1))).max(now))
    }

    fn may_tell(&self, now: Duration) -> bool {
        self.spent <= now + EVERY * (BURST - 1)
    }
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;

    use super::super::occurrence::Severity;
    use super::*;

    fn problem(service: u32) -> Occurrence {
        Occurrence {
            regarding: Regarding::Service(ServiceName::new("ns", format!("s{service}")), None),
            severity: Severity::Warning,
            reason: "PortInUse",
            action: "SyncHNS",
            note: String::new(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The numbers of what is told at a time, and the how manieth time it is.
    fn told(herald: &mut Herald, seconds: u64) -> Vec<(u64, Option<u32>)> {
        std::iter::from_fn(|| herald.next(at(seconds), seconds)).map(|tale| (tale.number, tale.again)).collect()
    }

    #[test]
    fn what_lasts_is_told_once_and_what_passes_is_not() {
        let mut herald = Herald::default();
        herald.conditions(vec![problem(1), problem(2)], at(0));
        assert_eq!((told(&mut herald, 9), herald.due(at(9))), (vec![], Some(at(10))));
        herald.conditions(vec![problem(2)], at(9));
        assert_eq!(told(&mut herald, 10), [(10, None)]);
        herald.conditions(vec![problem(2)], at(5000));
        assert_eq!((told(&mut herald, 5000), herald.due(at(5000))), (vec![], None));
    }

    #[test]
    fn what_comes_again_soon_continues_a_series() {
        let mut herald = Herald::default();
        for seconds in [100, 200, 400] {
            herald.happened(problem(1));
            let again = if seconds == 100 { None } else { Some(if seconds == 200 { 2 } else { 3 }) };
            assert_eq!(told(&mut herald, seconds), [(100, again)]);
        }
        herald.happened(problem(1));
        assert_eq!(told(&mut herald, 760), [(760, None)]);
    }

    #[test]
    fn what_ends_and_lasts_again_continues_a_series() {
        let mut herald = Herald::default();
        herald.conditions(vec![problem(1)], at(0));
        assert_eq!(told(&mut herald, 10), [(10, None)]);
        herald.conditions(vec![], at(20));
        herald.conditions(vec![problem(1)], at(30));
        assert_eq!((told(&mut herald, 39), told(&mut herald, 40)), (vec![], vec![(10, Some(2))]));
    }

    #[test]
    fn many_are_told_one_by_one_and_none_is_forgotten() {
        let mut herald = Herald::default();
        herald.conditions((0..30).map(problem).collect(), at(0));
        assert_eq!(told(&mut herald, 10).len(), 25);
        assert_eq!(herald.due(at(10)), Some(at(70)));
        assert_eq!((told(&mut herald, 69).len(), told(&mut herald, 70).len()), (0, 1));
        assert_eq!(told(&mut herald, 70 + 60 * 10).len(), 4);
        assert_eq!(herald.due(at(680)), None);
    }

    #[test]
    fn what_happens_faster_than_it_can_be_told_is_dropped_and_counted() {
        let mut herald = Herald::default();
        (0..150).for_each(|service| herald.happened(problem(service)));
        assert_eq!((herald.take_dropped(), herald.take_dropped()), (50, 0));
        assert_eq!(told(&mut herald, 0).len(), 25);
        assert_eq!(herald.due(at(0)), Some(at(60)));
    }
}
