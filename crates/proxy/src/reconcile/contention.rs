//! Recognizes objects that another program keeps writing: own objects that are lost, taken or modified again and again, although they
//! were programmed each time. Their repair is delayed, each time longer, since two programs that repair at once never end.
//!
//! Other losses must not count as that. What differs after a known restart of HNS is not an incident. Neither is an object that HNS lists late. If
//! most objects are lost at once, HNS has probably restarted too, and this is not an incident either, unless it happens again within a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::losses::Losses;
use crate::backoff::Backoff;
use crate::dirty::{Dirty, Subject};
use crate::foreign_writer::RepeatedLoss;
use crate::observe::{Cause, Drift};

/// The number of incidents after which an object is contended. One more than a restart of HNS that nothing shows can cause: a loss, and then
/// a modification that audits find later.
const INCIDENTS: usize = 3;
/// The time in which these incidents have to happen. Long enough for modifications in place, which audits find once a minute.
const WINDOW: Duration = Duration::from_secs(300);
/// The time without an incident after which an object is no longer contended. Another hnsproxy delays its repairs as long as this one, and
/// each waits for the write of the other: twice the longest delay with its jitter, and two audits, are 154 s.
const QUIET: Duration = Duration::from_secs(180);
/// The delay of the first repair of a contended object. The repairs before it, which may be after a restart of HNS, were not delayed.
const INITIAL_DELAY: Duration = Duration::from_secs(1);
/// The longest delay: the objects are still repaired about once a minute, in case the other program has stopped.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The time after a restart of HNS in which it may list objects late. Microsoft documents none; kubernetes issue 139519 has seconds.
const LATE_LISTS: Duration = Duration::from_secs(120);

/// The incidents of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The times of the incidents that still count.
    incidents: Vec<Duration>,
    pub(super) causes: BTreeSet<Cause>,
    contended: bool,
}

impl History {
    pub(super) fn times(&self) -> usize {
        self.incidents.len()
    }

    pub(super) fn within(&self) -> Duration {
        let (first, last) = (self.incidents.first(), self.incidents.last());
        last.zip(first).map_or(Duration::ZERO, |(last, first)| last.saturating_sub(*first))
    }

    fn add(&mut self, now: Duration) {
        // Bounded: a contended object only needs its last incident, another one at most as many as make it contended.
        if self.incidents.len() >= INCIDENTS {
            self.incidents.remove(0);
        }
        self.incidents.push(now);
        self.contended |= self.incidents.len() >= INCIDENTS;
    }

    /// Forgets incidents that no longer count.
    fn expire(&mut self, now: Duration) {
        if !self.contended {
            self.incidents.retain(|incident| *incident + WINDOW > now);
        } else if self.incidents.last().is_none_or(|last| *last + QUIET <= now) {
            // All at once: what is left of them must not make the next loss contended again.
            *self = Self::default();
        }
    }
}

#[derive(Debug)]
pub(super) struct Contention {
    /// The drift since the last run. The next run knows the time.
    found: BTreeMap<Subject, BTreeSet<Cause>>,
    histories: FxHashMap<Subject, History>,
    /// Until when the repairs of contended objects are delayed.
    backoff: Backoff,
    /// What would be dirty if its repair were not delayed.
    delayed: Dirty,
    restart: Restart,
    /// Whether the last audit found that most objects are lost.
    lost_most: bool,
    /// Such losses that counted as restarts.
    losses: Losses,
}

/// What is known of the last restart of HNS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Restart {
    #[default]
    None,
    /// HNS has disconnected: the next complete audit finds what it has lost.
    Announced,
    /// That audit is done. The next run knows the time.
    Audited,
    /// Until then, HNS may list objects late.
    Until(Duration),
}

impl Default for Contention {
    fn default() -> Self {
        Self {
            found: BTreeMap::new(),
            histories: FxHashMap::default(),
            backoff: Backoff::between(INITIAL_DELAY, MAX_DELAY),
            delayed: Dirty::default(),
            restart: Restart::None,
            lost_most: false,
            losses: Losses::default(),
        }
    }
}

impl Contention {
    /// Records what an audit or a recheck found.
    pub(super) fn found<'a>(&mut self, drift: impl IntoIterator<Item = &'a Drift>) {
        for Drift { subject, cause } in drift {
            self.found.entry(*subject).or_default().insert(*cause);
        }
    }

    /// HNS has disconnected, so it restarts.
    pub(super) fn announce_restart(&mut self) {
        self.restart = Restart::Announced;
    }

    /// An audit is complete. `was_unavailable` is whether HNS was unavailable before, so that it has probably restarted; `lost_most` whether most
    /// objects are lost.
    pub(super) fn audited(&mut self, was_unavailable: bool, lost_most: bool) {
        if was_unavailable || self.restart == Restart::Announced {
            self.found.clear();
            self.restart = Restart::Audited;
        } else {
            self.lost_most |= lost_most;
        }
    }

    /// Counts what was found as one incident for each subject, and delays the repair of those that are contended. Returns whether any is
    /// contended.
    pub(super) fn judge(&mut self, now: Duration) -> bool {
        // A program that is known explains the loss. It would otherwise be forgotten while it goes on.
        let is_known = self.contended().next().is_some();
        self.losses.expire(now);
        if std::mem::take(&mut self.lost_most) && !is_known && self.losses.may_count(now) {
            self.found.clear();
            self.restart = Restart::Audited;
            self.losses.add(now);
        }
        match self.restart {
            Restart::Audited => self.restart = Restart::Until(now + LATE_LISTS),
            Restart::Until(end) if now >= end => self.restart = Restart::None,
            Restart::None | Restart::Announced | Restart::Until(_) => {}
        }
        let may_be_late = matches!(self.restart, Restart::Until(_));
        for (subject, mut causes) in std::mem::take(&mut self.found) {
            causes.retain(|cause| !(may_be_late && cause.is_reappearance()));
            if causes.is_empty() {
                continue;
            }
            let history = self.histories.entry(subject).or_default();
            history.expire(now);
            history.add(now);
            history.causes.extend(causes);
            if history.contended {
                self.backoff.failed(subject, now);
            }
        }
        let backoff = &mut self.backoff;
        self.histories.retain(|subject, history| {
            history.expire(now);
            if !history.contended {
                // Its delayed repair is due then.
                backoff.clear(*subject);
            }
            !history.incidents.is_empty()
        });
        self.contended().next().is_some()
    }

    /// Removes and returns the delayed repairs that are due now.
    pub(super) fn release(&mut self, now: Duration) -> Dirty {
        let all = std::mem::take(&mut self.delayed);
        let (delayed, due) = self.split(all, now);
        self.delayed = delayed;
        due
    }

    /// Moves what must not be repaired yet from the dirty set to the delayed one, and returns it.
    pub(super) fn delay(&mut self, dirty: &mut Dirty, now: Duration) -> Dirty {
        if self.backoff.is_empty() {
            return Dirty::default();
        }
        let (delayed, due) = self.split(std::mem::take(dirty), now);
        *dirty = due;
        self.delayed.merge(delayed.clone());
        delayed
    }

    /// The delayed part of a set, and the rest.
    fn split(&self, all: Dirty, now: Duration) -> (Dirty, Dirty) {
        let (delayed_frontends, frontends) =
            all.frontends.into_iter().partition(|frontend| self.is_delayed(Subject::Frontend(*frontend), now));
        let (delayed_addresses, addresses) =
            all.addresses.into_iter().partition(|address| self.is_delayed(Subject::Address(*address), now));
        let delayed = Dirty { frontends: delayed_frontends, addresses: delayed_addresses };
        (delayed, Dirty { frontends, addresses })
    }

    /// When the next delayed repair is due, or an object is no longer contended, or repeated losses are forgotten.
    pub(super) fn next(&self) -> Option<Duration> {
        let ends = self.contended().filter_map(|(_, history)| Some(*history.incidents.last()? + QUIET)).min();
        self.next_due().into_iter().chain(ends).chain(self.losses.end()).min()
    }

    fn next_due(&self) -> Option<Duration> {
        let frontends = self.delayed.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        let addresses = self.delayed.addresses.iter().map(|address| Subject::Address(*address));
        // Without an entry, the object is no longer contended.
        frontends.chain(addresses).map(|subject| self.backoff.due_at(subject).unwrap_or_default()).min()
    }

    /// The addresses whose endpoints must not be created yet.
    pub(super) fn delayed_addresses(&self, now: Duration) -> impl Iterator<Item = IpAddr> {
        self.backoff.subjects().filter(move |subject| self.is_delayed(*subject, now)).filter_map(Subject::address)
    }

    /// What would be dirty if its repair were not delayed.
    pub(super) fn delayed(&self) -> &Dirty {
        &self.delayed
    }

    pub(super) fn is_delayed(&self, subject: Subject, now: Duration) -> bool {
        self.backoff.is_backing_off(subject, now)
    }

    /// Whether no incident counts any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.histories.is_empty()
    }

    /// Repeated losses of most objects.
    pub(super) fn repeated_loss(&self) -> Option<&RepeatedLoss> {
        self.losses.repeated()
    }

    /// The objects that another program keeps writing.
    pub(super) fn contended(&self) -> impl Iterator<Item = (Subject, &History)> {
        self.histories.iter().filter(|(_, history)| history.contended).map(|(subject, history)| (*subject, history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject::Address(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn dirty() -> Dirty {
        Dirty { addresses: SUBJECT.address().into_iter().collect(), ..Dirty::default() }
    }

    /// Loses the object, and returns whether it is contended then.
    fn lose(contention: &mut Contention, now: Duration) -> bool {
        contention.found([&Drift { subject: SUBJECT, cause: Cause::EndpointLost }]);
        contention.judge(now)
    }

    #[test]
    fn an_object_is_contended_after_three_incidents_in_five_minutes() {
        for (incidents, expected) in [
            (vec![0, 5], false),
            (vec![0, 5, 10], true),
            (vec![0, 150, 299], true),
            (vec![0, 150, 300], false),
            (vec![0, 200, 400, 600, 800], false),
        ] {
            let mut contention = Contention::default();
            let mut contended = false;
            incidents.iter().for_each(|now| contended = lose(&mut contention, seconds(*now)));
            assert_eq!(contended, expected, "{incidents:?}");
        }
    }

    #[test]
    fn what_differs_after_a_restart_of_hns_is_no_incident() {
        for announced in [true, false] {
            let mut contention = Contention::default();
            for now in 0..10 {
                if announced {
                    contention.announce_restart();
                }
                contention.found([&Drift { subject: SUBJECT, cause: Cause::EndpointLost }]);
                contention.audited(!announced, false);
                assert!(!contention.judge(seconds(2 * now)));
                contention.found([&Drift { subject: SUBJECT, cause: Cause::EndpointReappeared }]);
                contention.audited(false, false);
                assert!(!contention.judge(seconds(2 * now + 1)));
            }
        }
    }

    #[test]
    fn a_loss_of_most_objects_is_a_restart_once_a_minute() {
        for (pause, expected) in [(60, false), (59, true)] {
            let mut contention = Contention::default();
            let contended = (0..6).map(|loss| {
                contention.found([&Drift { subject: SUBJECT, cause: Cause::EndpointLost }]);
                contention.audited(false, true);
                contention.judge(seconds(loss * pause))
            });
            assert_eq!(contended.last(), Some(expected), "each {pause} s");
        }
    }

    #[test]
    fn each_repair_is_delayed_longer_up_to_a_limit() {
        let mut contention = Contention::default();
        let (mut now, mut delays) = (seconds(0), Vec::new());
        for _ in 0..12 {
            lose(&mut contention, now);
            let mut dirty = dirty();
            contention.delay(&mut dirty, now);
            let due = contention.next_due().unwrap_or(now);
            delays.push((due - now).as_secs());
            assert_eq!(dirty.is_empty(), due > now);
            now = due;
            assert_eq!(contention.release(now).is_empty(), !dirty.is_empty(), "the delayed repair is due");
        }
        for (delay, base) in delays.iter().zip([0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]) {
            assert!((base..=base + base / 5).contains(delay), "{delays:?}");
        }
    }

    #[test]
    fn contention_ends_three_minutes_after_the_last_incident() {
        let mut contention = Contention::default();
        assert_eq!([0, 1, 2].map(|now| lose(&mut contention, seconds(now))), [false, false, true]);
        let mut dirty = dirty();
        contention.delay(&mut dirty, seconds(2));
        assert!(contention.judge(seconds(181)) && !contention.judge(seconds(182)));
        assert_eq!(contention.release(seconds(182)), self::dirty(), "nothing stays delayed");
        assert!(!lose(&mut contention, seconds(182)), "incidents are counted from the start again");
        assert!(contention.histories.len() == 1 && !contention.judge(seconds(1000)) && contention.histories.is_empty());
    }
}
