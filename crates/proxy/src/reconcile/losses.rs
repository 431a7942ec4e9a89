//! Counts losses of most objects at once that no restart of HNS explains. A single one is probably an undetected restart; several
//! are probably a script that deletes all load balancers.

use std::time::Duration;

use crate::foreign_writer::RepeatedLoss;

/// The shortest time between two losses that both count. If a program deletes everything more often, the objects become contended; if
/// less often, delayed repairs would save no writes.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// The number of losses that are repeated ones. HNS rarely restarts so often without a notification and without a failed call.
const MIN_LOSSES: usize = 3;
/// The time in which they have to happen, and after which the last one is forgotten.
const WINDOW: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Losses {
    /// The times of the losses that still count, the oldest first: at most [`MIN_LOSSES`].
    times: Vec<Duration>,
    repeated: Option<RepeatedLoss>,
}

impl Losses {
    /// Whether a loss now is long enough after the last one to count.
    pub(super) fn may_count(&self, now: Duration) -> bool {
        self.times.last().is_none_or(|last| *last + MIN_INTERVAL <= now)
    }

    pub(super) fn add(&mut self, now: Duration) {
        if self.times.len() == MIN_LOSSES {
            self.times.remove(0);
        }
        self.times.push(now);
        self.expire(now);
        if self.times.len() == MIN_LOSSES && self.repeated.is_none() {
            let within = self.times.first().map_or(Duration::ZERO, |first| now.saturating_sub(*first));
            // Not updated by further losses: a condition whose text changes would be reported again and again.
            self.repeated = Some(RepeatedLoss { times: MIN_LOSSES, within });
        }
    }

    /// Forgets losses that no longer count.
    pub(super) fn expire(&mut self, now: Duration) {
        self.times.retain(|time| *time + WINDOW > now);
        if self.times.is_empty() {
            self.repeated = None;
        }
    }

    /// When the repeated losses are forgotten, if no other follows.
    pub(super) fn end(&self) -> Option<Duration> {
        self.repeated.as_ref().and(self.times.last()).map(|last| *last + WINDOW)
    }

    pub(super) fn repeated(&self) -> Option<&RepeatedLoss> {
        self.repeated.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn three_losses_within_an_hour_are_repeated_ones() {
        for (times, expected) in [
            (vec![0, 20], None),
            (vec![0, 20, 59], Some(minutes(59))),
            (vec![0, 30, 60], None),
            (vec![0, 50, 70, 90], Some(minutes(40))),
            (vec![0, 1, 2, 3], Some(minutes(2))),
        ] {
            let mut losses = Losses::default();
            times.iter().for_each(|time| losses.add(minutes(*time)));
            assert_eq!(losses.repeated().map(|loss| loss.within), expected, "{times:?}");
        }
    }

    #[test]
    fn repeated_losses_are_forgotten_an_hour_after_the_last_one() {
        let mut losses = Losses::default();
        [0, 1, 2, 10].iter().for_each(|time| losses.add(minutes(*time)));
        assert_eq!(losses.end(), Some(minutes(70)));
        losses.expire(minutes(69));
        assert!(losses.repeated().is_some());
        losses.expire(minutes(70));
        assert_eq!((losses.repeated(), losses.end()), (None, None));
    }
}
