//! Keeps the tables of Services up to date, and records changes of their backends.

use std::time::Duration;

use super::Session;

impl Session {
    /// Lists the Services, unless this was done before. The first audit may hang, and comes before the first run.
    pub fn list_services(&mut self) {
        if self.services.is_empty() {
            self.update_services();
        }
    }

    /// Takes from the reconciler which Services have changed. The table of Services gets them with the next status.
    pub fn take_changes(&mut self) {
        let changed = self.reconciler.take_changed_services();
        self.explanations.mark_outdated(changed.iter().cloned());
        self.explanations.mark_outdated(self.reconciler.take_replanned_services());
        self.changed_services.extend(changed);
    }

    /// Updates the table of Services, and records changes of backends.
    pub(super) fn update_services(&mut self) {
        self.take_changes();
        let changed = std::mem::take(&mut self.changed_services);
        let reconciler = &self.reconciler;
        let changed = changed.into_iter().map(|service| {
            let summary = reconciler.summary(&service);
            (service, summary)
        });
        if std::mem::replace(&mut self.has_services, true) {
            self.explanations.mark_outdated(self.services.update(changed, reconciler.unsettled()));
        } else {
            // In the first update of a session, all Services of the cluster count as changed.
            let all = changed.filter_map(|(service, summary)| Some((service, summary?))).collect();
            self.services.replace(all, reconciler.unsettled());
            self.explanations.retain(|service| self.services.contains(service));
        }
        self.records.backend_changes(&self.reconciler.take_backend_changes());
    }

    /// Explains the Services that may have changed, unless they are more than `limit`; `now` is since the start of the process.
    pub fn explain_changed(&mut self, now: Duration, limit: usize) {
        let limit = if self.explanations.outdated() > limit { 0 } else { limit };
        self.explain_some(now, limit);
    }

    /// Explains up to `limit` Services that may have changed, once the cluster is complete.
    pub fn explain_some(&mut self, now: Duration, limit: usize) {
        if !self.has_complete_cluster() {
            return;
        }
        let explanations = self.explanations.clone();
        explanations.update(now, limit, |service| self.explain(service));
    }

    /// Whether Services that can be explained may have changed since.
    pub fn has_outdated_explanations(&self) -> bool {
        self.has_complete_cluster() && self.explanations.outdated() > 0
    }
}
