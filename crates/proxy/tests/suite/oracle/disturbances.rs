//! What others changed in HNS and the process cannot know yet: until the next lists have shown it, a difference is not the fault of the
//! process.

use std::collections::HashMap;

use super::difference::Subject;

/// A change of existing objects is found within a cycle of audits: 60 s at the default interval.
pub(super) const CONTENTS_BOUND: u32 = 12;
/// As [`CONTENTS_BOUND`], if the v1 list is distrusted: 16 objects are read in each cycle, and a world has at most 64 of a kind.
pub(super) const SAMPLES_BOUND: u32 = 5 * CONTENTS_BOUND;
/// An object that appears or disappears is found by the next audit, or by the one after it: one of twelve lists no endpoints.
pub(super) const IDS_BOUND: u32 = 2;

/// What a disturbance changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// Which objects there are.
    Ids,
    /// The content of an object, which keeps its id.
    Contents,
}

/// Which lists an audit made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lists {
    pub(super) endpoints: bool,
    pub(super) load_balancers: bool,
    pub(super) load_balancer_contents: bool,
    /// Whether no list shows the contents of endpoints, of load balancers.
    pub(super) blind: (bool, bool),
}

#[derive(Debug, Clone, Copy)]
struct Disturbance {
    /// The number of the call before which it happened.
    at: u64,
    /// The number of audits in a row, begun since, in which HNS made no mistake.
    audits: u32,
}

#[derive(Debug, Default)]
pub(super) struct Disturbances(HashMap<(Subject, What), Disturbance>);

impl Disturbances {
    pub(super) fn add(&mut self, subject: Subject, what: What, at: u64) {
        self.0.insert((subject, what), Disturbance { at, audits: 0 });
    }

    /// Records an audit that succeeded and that began before a call; `clean` if HNS made no mistake during it.
    pub(super) fn audited(&mut self, begun: u64, clean: bool, lists: Lists) {
        for disturbance in self.0.values_mut().filter(|one| one.at < begun) {
            disturbance.audits = if clean { disturbance.audits + 1 } else { 0 };
        }
        let is_found = |(subject, what): &(Subject, What), one: &Disturbance| {
            let listed = match (what, subject) {
                (What::Ids, _) => lists.endpoints && lists.load_balancers,
                (What::Contents, Subject::Frontend(_)) => lists.load_balancer_contents,
                (What::Contents, _) => false,
            };
            let is_blind = match subject {
                _ if *what == What::Ids => false,
                Subject::Frontend(_) => lists.blind.0 || lists.blind.1,
                _ => lists.blind.0,
            };
            let bound = match what {
                What::Ids => IDS_BOUND,
                What::Contents if is_blind => SAMPLES_BOUND,
                What::Contents => CONTENTS_BOUND,
            };
            one.at < begun && (clean && listed && !is_blind || one.audits >= bound)
        };
        self.0.retain(|key, one| !is_found(key, one));
    }

    /// Records a failed audit. What it did not read is read in the next cycle, so the count of audits starts again.
    pub(super) fn audit_failed(&mut self) {
        self.0.values_mut().for_each(|one| one.audits = 0);
    }

    pub(super) fn is_disturbed(&self, subject: Subject) -> bool {
        [What::Ids, What::Contents].iter().any(|what| self.0.contains_key(&(subject, *what)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A new process lists everything at its start, and trusts the ids of its objects until it compares their contents.
    pub(super) fn restarted(&mut self) {
        self.0.retain(|(_, what), _| *what == What::Contents);
        self.0.values_mut().for_each(|one| one.audits = 0);
    }
}
