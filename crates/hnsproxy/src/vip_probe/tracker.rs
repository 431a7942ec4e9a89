//! Decides from the results of probes which frontends do not forward, and when their load balancers are replaced.
//!
//! The tracker does no I/O. The current time is an argument: the duration since any fixed time.

use std::collections::BTreeMap;
use std::time::Duration;

use proxy::Frontend;
use proxy::model::ServiceName;

use crate::status::{Finding, ProbeReport, ProbedFrontend};

/// The number of consecutive probes that must fail. One or two can fail while backends change.
pub(super) const MIN_FAILURES: u32 = 3;
/// The time after a replacement until the next one, doubled for the second. A replacement cuts the connections of the frontend.
const FIRST_DELAY: Duration = Duration::from_secs(2 * 60);
/// After this number of replacements without success, each further one waits for [`LONG_DELAY`].
const QUICK_REPLACEMENTS: u32 = 3;
const LONG_DELAY: Duration = Duration::from_secs(60 * 60);
/// If a frontend forwards and has not been replaced for this time, its replacement count is reset.
const FORGET_AFTER: Duration = LONG_DELAY;

/// The number of backends that were probed directly, and the number that responded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) asked: usize,
    pub(super) answered: usize,
}

impl Sample {
    fn is_majority(self) -> bool {
        self.answered * 2 > self.asked
    }
}

/// The result of one probe of a frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) service: ServiceName,
    pub(super) frontend: Frontend,
    pub(super) answered: bool,
    /// `None` if no backend was probed.
    pub(super) backends: Option<Sample>,
}

#[derive(Debug, Default)]
pub(super) struct Tracker {
    frontends: BTreeMap<Frontend, Track>,
    /// Whether load balancers are replaced (`--probe-repair`).
    replaces: bool,
    /// Whether any frontend has ever answered.
    any_answered: bool,
}

#[derive(Debug)]
struct Track {
    service: ServiceName,
    failures: u32,
    finding: Finding,
    replacements: Replacements,
    /// Whether the last round has probed it.
    is_probed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Replacements {
    count: u32,
    last: Duration,
}

impl Replacements {
    fn is_due(self, now: Duration) -> bool {
        let delay = match self.count {
            0 => return true,
            count if count < QUICK_REPLACEMENTS => FIRST_DELAY * (1 << (count - 1)),
            _ => LONG_DELAY,
        };
        now >= self.last + delay
    }

    fn is_recent(self, now: Duration) -> bool {
        self.count > 0 && now < self.last + FORGET_AFTER
    }
}

impl Tracker {
    pub(super) fn new(replaces: bool) -> Self {
        Self { replaces, ..Self::default() }
    }

    /// Whether the backends must be probed if the next probe of the frontend fails.
    pub(super) fn needs_backends(&self, frontend: Frontend) -> bool {
        self.frontends.get(&frontend).is_some_and(|track| track.failures + 1 >= MIN_FAILURES)
    }

    /// Records a round of probes. Load balancers are replaced only if `may_replace`. A frontend that is not among the observations is not
    /// programmed, or has changed during the round.
    pub(super) fn record(&mut self, now: Duration, observations: Vec<Observation>, may_replace: bool) -> ProbeReport {
        self.any_answered |= observations.iter().any(|observation| observation.answered);
        // On some hosts, connections of the node itself do not go through load balancers. There no frontend ever responds, which is no
        // evidence that the virtual switch is wrong.
        let may_replace = self.replaces && may_replace && self.any_answered;
        self.frontends.values_mut().for_each(|track| track.is_probed = false);
        let mut replace = Vec::new();
        for observation in observations {
            let frontend = observation.frontend;
            let track = self.frontends.entry(frontend).or_insert_with(|| Track::of(observation.service.clone()));
            track.record(now, observation);
            if may_replace && track.take_replacement(now) {
                replace.push(frontend);
            }
        }
        self.frontends.retain(|_, track| {
            if !track.is_probed {
                (track.failures, track.finding) = (0, Finding::Unknown);
            }
            // The delay must not restart while the load balancer is being replaced.
            track.is_probed || track.replacements.is_recent(now)
        });
        ProbeReport { frontends: self.probed(), replace }
    }

    fn probed(&self) -> Vec<ProbedFrontend> {
        let probed = self.frontends.iter().filter(|(_, track)| track.is_probed);
        let probed = probed.map(|(frontend, track)| ProbedFrontend {
            service: track.service.clone(),
            frontend: *frontend,
            finding: track.finding,
            replacements: track.replacements.count,
        });
        probed.collect()
    }
}

impl Track {
    fn of(service: ServiceName) -> Self {
        let replacements = Replacements::default();
        Self { service, failures: 0, finding: Finding::Unknown, replacements, is_probed: false }
    }

    fn record(&mut self, now: Duration, Observation { service, answered, backends, .. }: Observation) {
        (self.service, self.is_probed) = (service, true);
        if answered {
            (self.failures, self.finding) = (0, Finding::Forwards);
            if !self.replacements.is_recent(now) {
                self.replacements = Replacements::default();
            }
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // Until then, the previous finding is kept, because a single lost packet is not evidence.
        let Some(sample) = backends.filter(|_| self.failures >= MIN_FAILURES) else { return };
        let Sample { asked, answered } = sample;
        self.finding = match self.finding {
            // The numbers are part of the message, which would be logged again with each change of a number.
            known @ Finding::DoesNotForward { .. } if sample.is_majority() => known,
            _ if sample.is_majority() => Finding::DoesNotForward { probes: self.failures, answered, asked },
            _ => Finding::BackendsDoNotAnswer { answered, asked },
        };
    }

    /// Whether the load balancer must be replaced now. The next replacement needs the same number of failures, and has a longer delay.
    fn take_replacement(&mut self, now: Duration) -> bool {
        let is_found = self.failures >= MIN_FAILURES && matches!(self.finding, Finding::DoesNotForward { .. });
        if !is_found || !self.replacements.is_due(now) {
            return false;
        }
        self.failures = 0;
        self.replacements = Replacements { count: self.replacements.count.saturating_add(1), last: now };
        true
    }
}

#[cfg(test)]
mod tests {
    use hcn::schema::Protocol;
    use proxy::model::Family;

    use super::*;

    const PERIOD: u64 = 10;
    const BOTH: Option<Sample> = Some(Sample { asked: 2, answered: 2 });
    const NONE: Option<Sample> = Some(Sample { asked: 2, answered: 0 });

    fn frontend(last: u8) -> Frontend {
        let address = Some([10, 96, 0, last].into());
        Frontend { family: Family::V4, address, protocol: Protocol::TCP, port: 53 }
    }

    fn observation(last: u8, answered: bool, backends: Option<Sample>) -> Observation {
        Observation { service: ServiceName::new("ns", "web"), frontend: frontend(last), answered, backends }
    }

    /// A tracker, with a counter of rounds as its clock.
    struct Rounds {
        tracker: Tracker,
        round: u64,
    }

    impl Rounds {
        /// Creates a tracker after a first round in which another frontend has responded.
        fn new(replaces: bool) -> Self {
            let mut rounds = Self { tracker: Tracker::new(replaces), round: 0 };
            rounds.next(vec![observation(9, true, None)]);
            rounds
        }

        fn next(&mut self, observations: Vec<Observation>) -> ProbeReport {
            self.round += 1;
            self.tracker.record(Duration::from_secs(self.round * PERIOD), observations, true)
        }

        /// Runs a round with one frontend, like the task. Returns the finding, and whether the load balancer must be replaced.
        fn one(&mut self, answered: bool, backends: Option<Sample>) -> (Finding, bool) {
            let asks = !answered && self.tracker.needs_backends(frontend(1));
            let report = self.next(vec![observation(1, answered, backends.filter(|_| asks))]);
            (report.frontends[0].finding, report.replace == [frontend(1)])
        }

        fn times(&mut self, count: u32, answered: bool, backends: Option<Sample>) {
            for _ in 0..count {
                self.one(answered, backends);
            }
        }
    }

    fn does_not_forward() -> Finding {
        Finding::DoesNotForward { probes: 3, answered: 2, asked: 2 }
    }

    #[test]
    fn three_consecutive_failures_are_a_finding_if_backends_respond() {
        let mut rounds = Rounds::new(false);
        let mut findings = |answers: &[bool]| -> Vec<Finding> {
            answers.iter().map(|answered| rounds.one(*answered, BOTH).0).collect()
        };
        assert_eq!(findings(&[false, false]), [Finding::Unknown; 2]);
        assert_eq!(findings(&[true, false, false, true]), [Finding::Forwards; 4]);
        assert_eq!(findings(&[false, false, false]), [Finding::Forwards, Finding::Forwards, does_not_forward()]);
        assert_eq!(findings(&[false, false, true]), [does_not_forward(), does_not_forward(), Finding::Forwards]);
    }

    #[test]
    fn nothing_is_replaced_if_the_backends_do_not_respond_either() {
        for (asked, answered) in [(2, 0), (2, 1), (0, 0), (5, 2)] {
            let mut rounds = Rounds::new(true);
            let found: Vec<_> = (0..10).map(|_| rounds.one(false, Some(Sample { asked, answered }))).collect();
            assert_eq!(
                found[1..3],
                [(Finding::Unknown, false), (Finding::BackendsDoNotAnswer { answered, asked }, false)]
            );
            assert!(found.iter().all(|(_, replaced)| !replaced));
        }
    }

    #[test]
    fn a_finding_changes_when_its_backends_change() {
        let mut rounds = Rounds::new(false);
        let silent = Finding::BackendsDoNotAnswer { answered: 0, asked: 2 };
        let found: Vec<_> =
            [BOTH, BOTH, NONE, BOTH, NONE].into_iter().map(|sample| rounds.one(false, sample).0).collect();
        let late = Finding::DoesNotForward { probes: 4, answered: 2, asked: 2 };
        assert_eq!(found[2..], [silent, late, silent]);
    }

    #[test]
    fn the_numbers_of_a_finding_do_not_change() {
        let mut rounds = Rounds::new(false);
        rounds.times(3, false, BOTH);
        assert_eq!(rounds.one(false, Some(Sample { asked: 3, answered: 2 })).0, does_not_forward());
    }

    /// Returns the times of the replacements of a frontend that never forwards, in seconds after the first replacement.
    fn replacements(rounds: &mut Rounds, seconds: u64) -> Vec<u64> {
        let first = rounds.round;
        let mut times = Vec::new();
        while (rounds.round - first) * PERIOD < seconds {
            if rounds.one(false, BOTH).1 {
                times.push(rounds.round * PERIOD);
            }
        }
        let start = times.first().copied().unwrap_or_default();
        times.into_iter().map(|time| time - start).collect()
    }

    #[test]
    fn replacements_have_growing_delays() {
        let mut rounds = Rounds::new(true);
        assert_eq!(replacements(&mut rounds, 4 * 3600), [0, 120, 360, 3960, 7560, 11_160]);
        assert_eq!(replacements(&mut Rounds::new(false), 3600), [0; 0]);
    }

    #[test]
    fn a_frontend_that_forwards_for_a_short_time_keeps_its_delay() {
        let mut rounds = Rounds::new(true);
        assert_eq!(replacements(&mut rounds, 600), [0, 120, 360]);
        rounds.times(100, true, None);
        assert_eq!(replacements(&mut rounds, 600), [0; 0]);
        // The last replacement is now more than an hour ago.
        rounds.times(360, true, None);
        assert_eq!(replacements(&mut rounds, 100), [0]);
    }

    #[test]
    fn a_replacement_needs_a_frontend_that_has_ever_answered() {
        let mut tracker = Tracker::new(true);
        for round in 1..=10 {
            let report = tracker.record(Duration::from_secs(round), vec![observation(1, false, BOTH)], true);
            assert_eq!(report.replace, []);
        }
        let report = tracker.record(
            Duration::from_secs(11),
            vec![observation(1, false, BOTH), observation(2, true, None)],
            true,
        );
        assert_eq!(report.replace, [frontend(1)]);
    }

    #[test]
    fn nothing_is_replaced_while_replacements_are_not_allowed() {
        let mut rounds = Rounds::new(true);
        let now = Duration::from_secs(100);
        for _ in 0..5 {
            assert_eq!(rounds.tracker.record(now, vec![observation(1, false, BOTH)], false).replace, []);
        }
        assert_eq!(rounds.tracker.record(now, vec![observation(1, false, BOTH)], true).replace, [frontend(1)]);
    }

    #[test]
    fn a_frontend_that_is_not_probed_keeps_only_its_replacements() {
        let mut rounds = Rounds::new(true);
        rounds.times(2, false, BOTH);
        assert_eq!(rounds.next(Vec::new()), ProbeReport::default());
        assert_eq!(rounds.one(false, BOTH), (Finding::Unknown, false), "counted from the start");
        assert_eq!(replacements(&mut rounds, 30).len(), 1);
        rounds.next(Vec::new());
        assert_eq!(rounds.tracker.frontends.len(), 1);
        assert_eq!(replacements(&mut rounds, 60), [0; 0], "the delay goes on");
        rounds.round += FORGET_AFTER.as_secs() / PERIOD;
        rounds.next(Vec::new());
        assert_eq!(rounds.tracker.frontends.len(), 0);
    }
}
