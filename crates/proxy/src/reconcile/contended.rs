//! Delays the repair of contended objects, and describes the program that writes them.

use std::time::Duration;

use super::Reconciler;
use super::contention::History;
use crate::dirty::Subject;
use crate::foreign_writer::{ForeignWriter, Writer};
use crate::observe::{ObservedLoadBalancer, Owner};

/// The number of ids that a condition names.
const MAX_IDS: usize = 3;

impl Reconciler {
    /// Counts the drift since the last run, and leaves only those objects dirty whose repair is not delayed.
    pub(super) fn delay_contended(&mut self, now: Duration) {
        if !self.contention.judge(now) {
            self.foreign_writer = None;
        } else if self.foreign_writer.as_ref().is_none_or(|known| !known.writer.is_program()) {
            // Only until the program is known: a condition whose text changes with each incident would be reported again and again.
            self.foreign_writer = self.evidence();
        }
        if self.contention.is_quiet() {
            self.observed.forget_lost();
        }
        let released = self.contention.release(now);
        for address in &released.addresses {
            // Their load balancers were programmed without the endpoint.
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        self.dirty.merge(released);
        let delayed = self.contention.delay(&mut self.dirty, now);
        for frontend in delayed.frontends {
            // They would be due at once, and delayed again at once.
            self.retries.failed.clear(Subject::Frontend(frontend));
            self.pacing.planned(frontend, false);
        }
        for address in delayed.addresses {
            self.retries.failed.clear(Subject::Address(address));
        }
    }

    /// What is known about the other program. If that is nothing new, the evidence stays as it was.
    fn evidence(&self) -> Option<ForeignWriter> {
        let mut contended: Vec<(Subject, &History)> = self.contention.contended().collect();
        contended.sort_unstable_by_key(|(subject, _)| *subject);
        let (subject, history) = contended.first()?;
        let object = match subject {
            Subject::Frontend(frontend) => frontend.to_string(),
            Subject::Address(address) => format!("endpoint {address}"),
        };
        let others = contended.len() - 1;
        let writer = self.writer(&contended);
        if let Some(known) = self.foreign_writer.as_ref().filter(|known| known.writer == writer) {
            return Some(known.clone());
        }
        Some(ForeignWriter { object, times: history.times(), within: history.within(), others, writer })
    }

    /// Whether HNS should have an object of this process for a frontend or an address.
    fn is_desired(&self, subject: Subject) -> bool {
        match subject {
            Subject::Frontend(frontend) => {
                self.desired.frontend(frontend).is_some_and(|owner| !owner.spec.targets.is_empty())
            }
            Subject::Address(address) => self.desired.purpose(address).is_some(),
        }
    }

    fn writer(&self, contended: &[(Subject, &History)]) -> Writer {
        let frontends = contended.iter().filter_map(|(subject, _)| subject.frontend());
        let foreign = frontends.flat_map(|frontend| self.observed.on(frontend));
        let foreign: Vec<_> = foreign.filter(|(_, observed)| observed.owner == Owner::Foreign).collect();
        let capabilities = self.environment.capabilities.as_ref();
        let ids = |only_kube_proxy: bool| {
            let is_of_kube_proxy = |observed: &ObservedLoadBalancer| {
                capabilities.is_some_and(|capabilities| observed.resembles_kube_proxy(capabilities))
            };
            let chosen = foreign.iter().filter(|(_, observed)| !only_kube_proxy || is_of_kube_proxy(observed));
            let ids: Vec<_> = chosen.map(|(id, _)| *id).take(MAX_IDS).collect();
            (!ids.is_empty()).then_some(ids)
        };
        if let Some(load_balancers) = ids(true) {
            return Writer::KubeProxy { load_balancers };
        }
        // Objects with our mark that this process did not write. Its own objects that HNS lists late are not among them.
        if contended.iter().any(|(_, history)| history.causes.iter().any(|cause| cause.is_reappearance())) {
            // Another hnsproxy also deletes, or creates what is desired. HNS may report the deletion of a remote endpoint as a success and
            // keep it (microsoft/Windows-Containers 631).
            let is_kept = |(subject, history): &(Subject, &History)| {
                !self.is_desired(*subject) && history.causes.iter().all(|cause| cause.is_reappearance())
            };
            return if contended.iter().all(is_kept) { Writer::KeptByHns } else { Writer::Hnsproxy };
        }
        ids(false).map_or(Writer::Unknown, |load_balancers| Writer::Other { load_balancers })
    }
}
