//! When pods are replaced: one after the other, each as by a Deployment that creates the new pod first.

use std::collections::VecDeque;
use std::time::Duration;

/// The steps of a replacement, each with its time after the step before.
const STEPS: [(Duration, Step); 3] = [
    (Duration::from_secs(1), Step::Create),
    (Duration::from_secs(1), Step::Terminate),
    // Until then a terminating pod serves, as with a `preStop` hook.
    (Duration::from_secs(3), Step::Remove),
];
/// How long requests go on after the last step.
const AFTERWARDS: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The new pod starts, and becomes ready.
    Create,
    /// The oldest pod is terminating.
    Terminate,
    /// The oldest pod ends.
    Remove,
}

/// The steps that are left. All times are since the begin of the run.
#[derive(Debug)]
pub(super) struct Rollout {
    steps: VecDeque<(Duration, Step)>,
    last: Duration,
}

impl Rollout {
    /// As many replacements as fit into a time.
    pub(super) fn new(time: Duration) -> Self {
        let length: Duration = STEPS.iter().map(|(gap, _)| *gap).sum();
        let count = time.saturating_sub(AFTERWARDS).as_secs() / length.as_secs();
        Self { steps: (0..count).flat_map(|_| STEPS).collect(), last: Duration::ZERO }
    }

    /// The next step, and when it is due.
    pub(super) fn next(&self) -> Option<(Duration, Step)> {
        self.steps.front().map(|(gap, step)| (self.last + *gap, *step))
    }

    /// The next step was carried out. On a slow computer, the times of later steps shift.
    pub(super) fn done(&mut self, now: Duration) {
        self.steps.pop_front();
        self.last = now;
    }

    /// When requests have gone on for long enough after the last step; `None` if there are more steps.
    pub(super) fn end(&self) -> Option<Duration> {
        let afterwards = if self.last.is_zero() { Duration::ZERO } else { AFTERWARDS };
        self.steps.is_empty().then_some(self.last + afterwards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_end_before_the_requests() {
        let of = |seconds| {
            let mut rollout = Rollout::new(Duration::from_secs(seconds));
            let mut times = Vec::new();
            while let Some((at, step)) = rollout.next() {
                assert_eq!(rollout.end(), None);
                rollout.done(at);
                times.push((at.as_secs(), step));
            }
            (times, rollout.end().map(|end| end.as_secs()))
        };
        assert_eq!(of(6), (vec![], Some(0)));
        assert_eq!(of(7), (vec![(1, Step::Create), (2, Step::Terminate), (5, Step::Remove)], Some(7)));
        let (times, end) = of(20);
        assert_eq!((times.len(), end), (9, Some(17)));
    }
}
