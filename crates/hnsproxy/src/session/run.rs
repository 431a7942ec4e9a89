//! A run: programs HNS, logs and counts what was done, and updates what the status shows.

use std::time::Duration;

use jiff::Timestamp;
use proxy::apply::{Interruption, Workers};
use proxy::{Action, Next, Report};
use tracing::{info, warn};

use super::Session;
use crate::log;

/// What a run leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// When to run again.
    pub next: Next,
    /// Whether to publish the status. It is not due after each of many short runs: see [`Report::is_status_due`].
    pub is_status_due: bool,
}

/// The minimum time of a run before a pending change interrupts it. Most runs are shorter, so they are not planned twice. One or two HNS calls
/// take longer.
const MIN_RUN: Duration = Duration::from_millis(10);
/// The maximum time of a run without a pending change. A status is due a second after the last one, at the end of a run that begins then: it is older than the
/// state of HNS by at most three seconds and the job in progress.
const MAX_RUN: Duration = Duration::from_secs(1);

impl Session {
    /// Programs HNS as far as is possible now: until shutdown is requested, a change has to be taken into account, or a second
    /// has passed.
    pub fn run(&mut self, change_waits: &(dyn Fn() -> bool + Sync)) -> Ran {
        let (now, start, hns) = (self.now(), self.start, &self.hns);
        let interrupt = || {
            if hns.is_stopped() {
                return Some(Interruption::Shutdown);
            }
            let limit = if change_waits() { MIN_RUN } else { MAX_RUN };
            (start.elapsed() > now + limit).then_some(Interruption::Change)
        };
        let clock = || start.elapsed();
        let workers = Workers::timed(self.threads, &clock);
        let Report { outcomes, next, is_status_due, .. } =
            self.reconciler.run_until(&self.client, now, &workers, &interrupt);
        self.report_drift();
        self.metrics.run(&self.reconciler, self.now().saturating_sub(now), &outcomes);
        if self.reconciler.audit_error().is_none() {
            self.metrics.programmed(&self.reconciler.take_triggers(), Timestamp::now());
        }
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        self.steps_done += outcomes.len() - failed;
        self.records.outcomes(&outcomes);
        if !outcomes.is_empty() {
            info!(done = outcomes.len() - failed, failed, "HNS updated");
        }
        let written =
            outcomes.iter().filter(|outcome| outcome.result.is_ok() && is_load_balancer(&outcome.step.action));
        let continues = matches!(next, Next::At(time) if time <= now);
        self.pace.record(now, self.now(), written.count(), continues);
        self.reservations.maintain(&self.reconciler, self.start.elapsed());
        self.report_programming(is_status_due);
        self.log_slow_calls();
        self.records.state(&self.reconciler);
        self.log_unreadable_members();
        let reconciler = &self.reconciler;
        let confirmed = || reconciler.is_in_sync().then(|| reconciler.observed().identified());
        self.state_file.record(self.start.elapsed(), confirmed);
        if is_status_due {
            self.update_status();
        }
        Ran { next, is_status_due }
    }

    /// Updates what the status shows and the reconciler does not store.
    fn update_status(&mut self) {
        self.update_services();
        let repaired = self.metrics.drift_repaired(&self.reconciler);
        self.records.repaired(&repaired, &|frontend| self.reconciler.owner(frontend));
        let mut conditions = self.reconciler.conditions();
        conditions.extend(self.probed.conditions());
        if *conditions != *self.conditions {
            self.records.conditions(&conditions);
            // One that begins can be about another Service than the one that has changed.
            let services = conditions.iter().chain(self.conditions.iter()).map(|one| one.service.clone());
            self.explanations.mark_outdated(services);
            self.conditions = conditions.into();
        }
    }

    /// Shows on a terminal how far a long programming is, and logs it elsewhere.
    fn report_programming(&mut self, is_status_due: bool) {
        let (now, is_live) = (self.now(), log::has_live_line());
        let is_due = if is_live { is_status_due } else { self.pace.take_report(now) };
        if !is_due {
            return;
        }
        let active = self.pace.is_active().then(|| self.pace.programming(now, &self.reconciler.progress())).flatten();
        match active {
            Some(programming) if is_live => log::show_live(&programming.to_string()),
            Some(programming) if programming.is_long() => info!("{programming}"),
            Some(_) => {}
            None => log::show_live(""),
        }
    }

    /// Logs the first document with each unreadable member.
    fn log_unreadable_members(&mut self) {
        for member in self.client.unreadable_members() {
            if self.logged_unreadable.insert((member.kind, member.member.clone())) {
                warn!("{member}; the member counts as absent");
            }
        }
    }

    /// Logs when calls begin to exceed their budget, and when that is resolved.
    fn log_slow_calls(&mut self) {
        let slowest = self.hns.take_slowest();
        self.reconciler.set_slow(slowest.is_some());
        match slowest {
            Some(call) if !self.calls_exceed_budget => warn!("HNS calls exceed their budget: {call}"),
            None if self.calls_exceed_budget => info!("HNS calls exceed their budget: resolved"),
            _ => {}
        }
        self.calls_exceed_budget = slowest.is_some();
    }
}

/// Whether an action gives a frontend its load balancer.
fn is_load_balancer(action: &Action) -> bool {
    matches!(action, Action::CreateLoadBalancer { .. } | Action::ModifyLoadBalancer { .. })
}
