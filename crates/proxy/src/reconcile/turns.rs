//! Decides after an interruption how much the next run plans, and which frontend it must not leave out.
//!
//! After an interruption, a run carries out the most urgent job, then one of the frontend that is next in turn, and only then may a change
//! interrupt it again. Each dirty frontend has its turn, so changes without end delay the rest, but do not stop it. Endpoints that no load
//! balancer uses are deleted after the load balancers, and may wait longer: no client is affected by them.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::frontend::Frontend;

/// The maximum number of frontends that one run plans. Steps hold documents, and a large cluster has many: a start on a
/// cluster of 10 000 Services would need them all at once. The next run plans the rest.
pub(super) const MAX_FRONTENDS: usize = 256;
/// The minimum after an interruption. Replacing one backend of a few Services still fits in one plan.
const MIN_FRONTENDS: usize = 16;

#[derive(Debug)]
pub(super) struct Turns {
    /// Whether a change interrupted the last run.
    interrupted: bool,
    /// The frontend that had the last turn.
    last: Option<Frontend>,
    /// The number of frontends that the next run plans.
    batch: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self { interrupted: false, last: None, batch: MAX_FRONTENDS }
    }
}

impl Turns {
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Whether a change interrupted the last run.
    pub(super) fn is_after_interruption(&self) -> bool {
        self.interrupted
    }

    /// The dirty frontend that is next in turn, if the last run was interrupted.
    pub(super) fn next(&mut self, dirty: &BTreeSet<Frontend>) -> Option<Frontend> {
        if !self.interrupted {
            return None;
        }
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        self.last = dirty.range((after, Bound::Unbounded)).next().or(dirty.first()).copied();
        self.last
    }

    /// Records the end of a run with this number of planned steps that were carried out.
    pub(super) fn run_ended(&mut self, interrupted: bool, done: usize) {
        self.interrupted = interrupted;
        // What an interruption leaves is planned again. A run that plans about twice what the last one carried out plans each frontend a few
        // times, however often it is interrupted.
        let batch = if interrupted { done.saturating_mul(2) } else { self.batch.saturating_mul(2) };
        self.batch = batch.clamp(MIN_FRONTENDS, MAX_FRONTENDS);
    }
}

#[cfg(test)]
mod tests {
    use hcn::schema::Protocol;

    use super::*;
    use crate::model::Family;

    fn frontend(port: u16) -> Frontend {
        Frontend { family: Family::V4, address: None, protocol: Protocol::TCP, port }
    }

    #[test]
    fn each_dirty_frontend_has_its_turn_after_interruptions() {
        let mut turns = Turns::default();
        let dirty: BTreeSet<_> = [1, 2, 3].map(frontend).into();
        assert_eq!(turns.next(&dirty), None);
        turns.run_ended(true, 1);
        let ports: Vec<_> = (0..4).map(|_| turns.next(&dirty).unwrap().port).collect();
        assert_eq!(ports, [1, 2, 3, 1]);
        assert_eq!(turns.next(&BTreeSet::new()), None);
        turns.run_ended(false, 1);
        assert_eq!(turns.next(&dirty), None);
    }

    #[test]
    fn an_interrupted_run_makes_the_next_batch_smaller_until_runs_complete() {
        let mut turns = Turns::default();
        turns.run_ended(true, 40);
        assert_eq!(turns.batch(), 80);
        turns.run_ended(true, 1);
        assert_eq!(turns.batch(), MIN_FRONTENDS);
        let batches = [(); 5].map(|()| {
            turns.run_ended(false, 0);
            turns.batch()
        });
        assert_eq!(batches, [32, 64, 128, 256, 256]);
    }
}
