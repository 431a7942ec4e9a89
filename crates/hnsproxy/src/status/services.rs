//! All Services with their numbers and states. The control loop updates those that have changed, and other threads read them.
//!
//! They are not part of the status snapshot: a copy of 10 000 Services after each run would cost more than the run.

use std::collections::BTreeMap;
use std::sync::Mutex;

use proxy::model::ServiceName;
use proxy::{ServiceSummary, Unsettled};

use crate::mutex::lock;

/// Locked for as long as a page is read, at most milliseconds.
#[derive(Debug, Default)]
pub struct ServiceTable(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    services: BTreeMap<ServiceName, ServiceSummary>,
    unsettled: BTreeMap<ServiceName, Unsettled>,
    /// The number of Services that were updated or removed.
    updates: u64,
}

/// A Service in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    pub service: ServiceName,
    pub summary: ServiceSummary,
    pub unsettled: Unsettled,
}

impl ServiceRow {
    pub fn state(&self) -> &'static str {
        state(self.summary, self.unsettled)
    }
}

fn state(summary: ServiceSummary, unsettled: Unsettled) -> &'static str {
    match unsettled {
        Unsettled { failed: 1.., .. } => "failed",
        Unsettled { pending: 1.., .. } => "pending",
        // Its frontends are not known yet.
        Unsettled { .. } if summary.is_outdated => "pending",
        Unsettled { .. } => "in_sync",
    }
}

impl ServiceTable {
    pub fn is_empty(&self) -> bool {
        lock(&self.0).services.is_empty()
    }

    /// Replaces the table by all Services of another session, and those that are not in sync.
    pub fn replace(&self, all: BTreeMap<ServiceName, ServiceSummary>, unsettled: BTreeMap<ServiceName, Unsettled>) {
        let mut table = lock(&self.0);
        let updates = table.updates + all.len() as u64;
        *table = Table { services: all, unsettled, updates };
    }

    /// Sets the Services that have changed, where None is a deleted one, and all that are not in sync. Returns those for which the latter has changed.
    pub fn update(
        &self,
        changed: impl IntoIterator<Item = (ServiceName, Option<ServiceSummary>)>,
        unsettled: BTreeMap<ServiceName, Unsettled>,
    ) -> Vec<ServiceName> {
        let mut table = lock(&self.0);
        for (service, summary) in changed {
            table.updates += 1;
            match summary {
                Some(summary) => drop(table.services.insert(service, summary)),
                None => drop(table.services.remove(&service)),
            }
        }
        let before = std::mem::replace(&mut table.unsettled, unsettled);
        let differs = |(service, now): &(&ServiceName, &Unsettled)| before.get(*service) != Some(*now);
        let is_resolved = |service: &&ServiceName| !table.unsettled.contains_key(*service);
        let changed = table.unsettled.iter().filter(differs).map(|(service, _)| service);
        changed.chain(before.keys().filter(is_resolved)).cloned().collect()
    }

    /// The number of updates and removals of Services so far.
    pub fn updates(&self) -> u64 {
        lock(&self.0).updates
    }

    pub fn contains(&self, service: &ServiceName) -> bool {
        lock(&self.0).services.contains_key(service)
    }

    /// Returns the first Services after `after` that match by name and state, sorted by name, and the total number of matching Services.
    pub fn find(
        &self,
        after: Option<&ServiceName>,
        limit: usize,
        matches: impl Fn(&ServiceName, &'static str) -> bool,
    ) -> (Vec<ServiceRow>, usize) {
        let table = lock(&self.0);
        let (mut rows, mut total) = (Vec::new(), 0);
        for (service, summary) in &table.services {
            let unsettled = table.unsettled.get(service).copied().unwrap_or_default();
            if !matches(service, state(*summary, unsettled)) {
                continue;
            }
            total += 1;
            // Only the returned rows are copied, because the table is locked and the control loop may wait for it.
            if rows.len() < limit && after.is_none_or(|after| service > after) {
                rows.push(ServiceRow { service: service.clone(), summary: *summary, unsettled });
            }
        }
        (rows, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ServiceName {
        ServiceName::new("ns", format!("s{number:05}"))
    }

    fn summary(backends: usize) -> Option<ServiceSummary> {
        Some(ServiceSummary { frontends: 1, load_balancers: 1, backends, is_outdated: false })
    }

    #[test]
    fn a_change_updates_one_of_many_services() {
        let table = ServiceTable::default();
        table.update((0..10_000).map(|number| (name(number), summary(1))), BTreeMap::new());
        let before = table.updates();
        table.update([(name(17), summary(2))], BTreeMap::new());
        assert_eq!(table.updates() - before, 1);
        let (rows, total) = table.find(None, 100, |service, _| *service == name(17));
        assert_eq!((rows.len(), rows[0].summary.backends, total), (1, 2, 1));
        table.update([(name(17), None)], BTreeMap::new());
        assert_eq!(table.find(None, 1, |_, _| true).1, 9_999);
    }

    #[test]
    fn another_session_replaces_the_table() {
        let table = ServiceTable::default();
        let unsettled = BTreeMap::from([(name(1), Unsettled { pending: 1, failed: 0 })]);
        table.update((1..4).map(|number| (name(number), summary(1))), unsettled);
        let outdated = ServiceSummary { is_outdated: true, ..ServiceSummary::default() };
        table.replace(BTreeMap::from([(name(1), summary(2).unwrap()), (name(9), outdated)]), BTreeMap::new());
        let (rows, _) = table.find(None, 9, |_, _| true);
        let states: Vec<_> = rows.iter().map(|row| (row.service.clone(), row.state())).collect();
        assert_eq!(states, [(name(1), "in_sync"), (name(9), "pending")]);
    }

    #[test]
    fn the_next_page_begins_after_the_last_one() {
        let table = ServiceTable::default();
        let unsettled = BTreeMap::from([(name(1), Unsettled { pending: 2, failed: 1 })]);
        table.update((0..5).map(|number| (name(number), summary(1))), unsettled);
        let page = |after: Option<usize>| {
            let (rows, total) = table.find(after.map(name).as_ref(), 2, |_, _| true);
            (rows.iter().map(|row| (row.service.name.to_string(), row.state())).collect::<Vec<_>>(), total)
        };
        let row = |number: usize, state| (name(number).name.to_string(), state);
        assert_eq!(page(None), (vec![row(0, "in_sync"), row(1, "failed")], 5));
        assert_eq!(page(Some(3)), (vec![row(4, "in_sync")], 5));
    }
}
