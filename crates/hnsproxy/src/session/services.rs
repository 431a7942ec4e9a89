//! Keeps the table of Services up to date, and records changes of their backends.

use super::Session;

impl Session {
    /// Takes what has changed of Services since the last run.
    pub(super) fn update_services(&mut self) {
        let changed = self.reconciler.take_changed_services().into_iter();
        let reconciler = &self.reconciler;
        let changed = changed.map(|service| {
            let summary = reconciler.summary(&service);
            (service, summary)
        });
        if std::mem::replace(&mut self.has_services, true) {
            self.services.update(changed, reconciler.unsettled());
        } else {
            // All Services of a complete cluster have changed since the session began.
            let all = changed.filter_map(|(service, summary)| Some((service, summary?))).collect();
            self.services.replace(all, reconciler.unsettled());
        }
        self.records.backend_changes(&self.reconciler.take_backend_changes());
    }
}
