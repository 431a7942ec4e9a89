//! How far a long programming of HNS is, and an estimate of the time that is left.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use proxy::{Progress, Tally};

/// The shortest time over which writes are measured. Audits, every 5 s by default, take a part of it.
const WINDOW: Duration = Duration::from_secs(60);
/// The minimum number of written load balancers that is measured, once there are that many. Where each takes seconds, a minute has too few.
const MIN_WRITTEN: usize = 20;
/// Runs can end many times a second, if changes interrupt them.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// The time before the first report, and between two of them.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Load balancers that are being programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Programming {
    pub load_balancers: Tally,
    /// The estimate of the time until all are in sync. None before the first one is written.
    pub left: Option<Duration>,
}

impl Programming {
    /// The part that is in sync, rounded down: 100 only if all are.
    pub fn percent(&self) -> usize {
        let Tally { desired, in_sync } = self.load_balancers;
        in_sync.saturating_mul(100).checked_div(desired).unwrap_or(100)
    }

    /// Whether the end is so far that a report before it is of use. Changes without end keep something pending, but not for long.
    pub fn is_long(&self) -> bool {
        self.left.is_none_or(|left| left >= REPORT_INTERVAL)
    }

    /// What is done and left, without the numbers of load balancers.
    pub fn estimate(&self) -> String {
        let done = format!("{} % done", self.percent());
        self.left.map_or(done.clone(), |left| format!("{done}, about {} left", about(left)))
    }
}

impl fmt::Display for Programming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { desired, in_sync } = self.load_balancers;
        let noun = if desired == 1 { "load balancer" } else { "load balancers" };
        write!(f, "programmed {in_sync} of {desired} {noun}, {}", self.estimate())
    }
}

/// How fast load balancers were written lately, in runs that each continue the one before.
#[derive(Debug, Default)]
pub struct Pace {
    /// The total number of written load balancers at a time, the oldest first. Empty unless the last run is continued.
    samples: VecDeque<(Duration, usize)>,
    written: usize,
    next_report: Duration,
}

impl Pace {
    /// Records a run that has written a number of load balancers. `continues` is whether more is to be programmed at once.
    pub fn record(&mut self, started: Duration, ended: Duration, written: usize, continues: bool) {
        if !continues {
            *self = Self::default();
            return;
        }
        if self.samples.is_empty() {
            self.samples.push_back((started, 0));
            self.next_report = started + REPORT_INTERVAL;
        }
        self.written += written;
        if self.samples.back().is_some_and(|(at, _)| ended.saturating_sub(*at) >= SAMPLE_INTERVAL) {
            self.samples.push_back((ended, self.written));
        }
        let is_enough = |(at, before): &(Duration, usize)| {
            ended.saturating_sub(*at) >= WINDOW && self.written - before >= MIN_WRITTEN
        };
        while self.samples.get(1).is_some_and(is_enough) {
            self.samples.pop_front();
        }
    }

    /// Whether the last run is continued.
    pub fn is_active(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Whether a report is due. The next one is due later.
    pub fn take_report(&mut self, now: Duration) -> bool {
        let is_due = self.is_active() && now >= self.next_report;
        if is_due {
            self.next_report = now + REPORT_INTERVAL;
        }
        is_due
    }

    /// None if nothing is being programmed.
    pub fn programming(&self, now: Duration, progress: &Progress) -> Option<Programming> {
        let (since, before) = self.samples.front()?;
        let Progress { load_balancers, deferred, .. } = *progress;
        let open = load_balancers.desired.saturating_sub(load_balancers.in_sync);
        let remaining = open.saturating_sub(deferred);
        let left = time_left(self.written - before, remaining, now.saturating_sub(*since));
        (open > 0).then_some(Programming { load_balancers, left })
    }
}

/// The time for what remains, if it takes as long as what was done in the time that has elapsed. None if nothing was done.
fn time_left(done: usize, remaining: usize, elapsed: Duration) -> Option<Duration> {
    let nanoseconds = elapsed.as_nanos().saturating_mul(remaining as u128).checked_div(done as u128)?;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
}

/// A time with the precision of an estimate.
fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    let minutes = (seconds + 30) / 60;
    match seconds {
        0..=54 => format!("{} s", (seconds + 5) / 5 * 5),
        _ if minutes < 60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn progress(in_sync: usize, desired: usize) -> Progress {
        Progress { load_balancers: Tally { desired, in_sync }, ..Progress::default() }
    }

    #[test]
    fn the_time_left_is_that_of_what_was_done_times_what_remains() {
        assert_eq!(time_left(10, 30, at(5)), Some(at(15)));
        assert_eq!(time_left(3, 1, at(1)), Some(Duration::from_nanos(333_333_333)));
        assert_eq!(time_left(10, 0, at(5)), Some(at(0)));
        assert_eq!(time_left(0, 30, at(5)), None);
        assert_eq!(time_left(1, usize::MAX, Duration::MAX), Some(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn times_are_rounded_as_an_estimate() {
        let cases = [
            (0, "5 s"),
            (12, "15 s"),
            (54, "55 s"),
            (55, "1 min"),
            (89, "1 min"),
            (90, "2 min"),
            (3569, "59 min"),
            (3570, "1 h 0 min"),
            (12_000, "3 h 20 min"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(about(at(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn progress_is_described_in_one_line() {
        let programming = |in_sync, desired, left| Programming { load_balancers: Tally { desired, in_sync }, left };
        let expected = "programmed 1024 of 8013 load balancers, 12 % done, about 4 min left";
        assert_eq!(programming(1024, 8013, Some(at(245))).to_string(), expected);
        assert_eq!(programming(0, 1, None).to_string(), "programmed 0 of 1 load balancer, 0 % done");
        assert_eq!(programming(7999, 8000, None).percent(), 99);
        assert_eq!(programming(0, 0, None).percent(), 100);
    }

    #[test]
    fn load_balancers_that_take_three_seconds_each_are_estimated_from_the_first_one_on() {
        let mut pace = Pace::default();
        assert_eq!(pace.programming(at(0), &progress(0, 2000)), None);
        for done in 1..=2000 {
            let now = at(3 * done);
            pace.record(at(3 * (done - 1)), now, 1, true);
            let in_sync = usize::try_from(done).unwrap();
            let left = pace.programming(now, &progress(in_sync, 2001)).unwrap().left;
            assert_eq!(left, Some(at(3 * (2001 - done))));
            assert!(pace.samples.len() <= MIN_WRITTEN + 2);
        }
        pace.record(at(6000), at(6001), 1, false);
        assert_eq!(pace.programming(at(6001), &progress(2000, 2001)), None);
    }

    #[test]
    fn the_estimate_follows_the_speed_of_the_last_minute() {
        let mut pace = Pace::default();
        (0..600).for_each(|second| pace.record(at(second), at(second + 1), 1, true));
        (600..660).for_each(|second| pace.record(at(second), at(second + 1), 10, true));
        let load_balancers = Tally { desired: 11_200, in_sync: 1200 };
        let found = pace.programming(at(660), &Progress { load_balancers, deferred: 1000, ..Progress::default() });
        assert_eq!(found, Some(Programming { load_balancers, left: Some(at(900)) }));
    }

    #[test]
    fn interrupted_runs_leave_one_sample_a_second() {
        let mut pace = Pace::default();
        let at = |number: u64| Duration::from_millis(10 * number);
        (0..10_000).for_each(|number| pace.record(at(number), at(number + 1), 1, true));
        assert!(pace.samples.len() <= 62, "{}", pace.samples.len());
        assert_eq!(pace.programming(at(10_000), &progress(10_000, 20_000)).unwrap().left, Some(at(10_000)));
    }

    #[test]
    fn reports_are_due_after_ten_seconds_and_then_every_ten_seconds() {
        let mut pace = Pace::default();
        let reports = |pace: &mut Pace, from: u64| {
            (from..from + 35)
                .filter(|second| {
                    pace.record(at(*second), at(second + 1), 1, true);
                    pace.take_report(at(second + 1))
                })
                .map(|second| second + 1)
                .collect::<Vec<_>>()
        };
        assert_eq!(reports(&mut pace, 0), [10, 20, 30]);
        pace.record(at(35), at(36), 1, false);
        assert!(!pace.take_report(at(100)));
        assert_eq!(reports(&mut pace, 100), [110, 120, 130]);
    }
}
