//! The audit: compares the observed state with HNS, and marks differences as dirty.
//!
//! With one network, an audit makes two calls at any size of the cluster: one list of endpoints, one of load balancers.
//! The calls are few because ids identify the content of our objects; [`Cycle`] decides which audits list more than
//! ids. [`AuditState`] says what comes next and what an error means. [`Reconciler::take_drift`] returns the drift.

mod cycle;
mod findings;
mod lists;
mod recheck;
mod state;

use hcn::{Class, Client, Guid};

use super::{AuditError, AuditReport, Reconciler};
use crate::observe::{Drift, Extent, Findings};
use cycle::{AuditScope, Cycle};
use state::{Answer, AuditState};

/// The state of the audit, and what is kept between audits.
#[derive(Debug, Default)]
pub(super) struct Audit {
    state: AuditState,
    cycle: Cycle,
    /// The scope of an audit that has listed the endpoints, and not read all foreign ones. The next step continues it.
    part: Option<AuditScope>,
    /// Whether the endpoints were listed since the cluster last changed: listing them again at once would find nothing new.
    endpoints_current: bool,
    /// Whether the subnets of other nodes were read since the cluster last changed.
    subnets_current: bool,
    /// The id of the root endpoint in the last list.
    root: Option<Guid>,
    /// Drift that `take_drift` has not returned yet.
    drift: Vec<Drift>,
}

/// Whether an audit may pause, so that pending changes are programmed before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    Allowed,
    Never,
}

impl Audit {
    fn transition(&mut self, answer: Answer) {
        self.state = std::mem::take(&mut self.state).after(answer);
    }

    /// HNS did not answer a write, and may have carried it out: nothing more is written until an audit succeeds.
    pub(super) fn record_unanswered_write(&mut self, error: hcn::Error) {
        self.transition(Answer::Error(AuditError::Hns(error)));
    }

    /// A read between two audits failed. If HNS is unavailable, nothing is written until an audit succeeds; another error
    /// concerns this read only.
    fn record_failed_read(&mut self, error: hcn::Error) {
        if error.class() == Class::Unavailable {
            self.transition(Answer::Error(AuditError::Hns(error)));
        }
    }

    /// Why nothing is written at present.
    pub(super) fn error(&self) -> Option<&AuditError> {
        self.state.error()
    }

    /// Whether HNS was compared with the expected state as a whole since the start, or since a network was deleted.
    pub(super) fn is_first_done(&self) -> bool {
        !self.state.expects_nothing()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.error().is_some()
    }

    pub(super) fn is_hns_unavailable(&self) -> bool {
        matches!(self.error(), Some(AuditError::Hns(_)))
    }

    /// The cluster has changed: what a plan lacks may be found by listing endpoints and subnets again.
    pub(super) fn record_cluster_change(&mut self) {
        (self.endpoints_current, self.subnets_current) = (false, false);
    }

    /// A retry for missing local endpoints is due: the next plan that lacks one lists the endpoints.
    pub(super) fn mark_endpoints_outdated(&mut self) {
        self.endpoints_current = false;
    }

    pub(super) fn record_subnets_read(&mut self) {
        self.subnets_current = true;
    }
}

impl Reconciler {
    /// Runs a complete audit.
    ///
    /// | Calls | one network | n networks |
    /// |---|---|---|
    /// | first audit | 6: version, network (3), endpoints, load balancers | n + 3: version, v1 list of networks, endpoints (n), load balancers |
    /// | later audit | 2: endpoints, load balancers | n + 1: endpoints (n), load balancers |
    /// | more, if a network has no endpoint or is missing, or subnets of an overlay network are due | 1 | 1 |
    /// | more, for each new object whose id does not identify its content | 2 | 2 |
    /// | more, for each object that serves and is missing in the list | 1 | 1 |
    ///
    /// If there are many new objects, one v1 list reads them all; if many are missing, a second list and 8 reads confirm it.
    ///
    /// # Errors
    /// If a call fails, or no network can be used. Objects that were not read stay as observed before.
    pub fn audit(&mut self, client: &Client) -> Result<AuditReport, AuditError> {
        self.audit.state = std::mem::take(&mut self.audit.state).restarted();
        self.audit.part = None;
        self.run_audit(client, Pause::Never)
    }

    /// Runs the next part of an audit: in the idle state one list, and at most [`DeferrableReads::STEP`] of the reads that can wait, so that pending
    /// changes need not wait for the rest; otherwise a complete audit. [`AuditReport::paused`] says whether there is a rest.
    ///
    /// [`DeferrableReads::STEP`]: crate::observe::DeferrableReads::STEP
    ///
    /// # Errors
    /// As [`audit`](Self::audit).
    pub fn audit_step(&mut self, client: &Client) -> Result<AuditReport, AuditError> {
        self.run_audit(client, Pause::Allowed)
    }

    /// Returns the drift found since the last call: differences that hnsproxy did not cause. Findings of a first audit
    /// are not drift.
    pub fn take_drift(&mut self) -> Vec<Drift> {
        std::mem::take(&mut self.audit.drift)
    }

    fn run_audit(&mut self, client: &Client, pause: Pause) -> Result<AuditReport, AuditError> {
        // In other states the observed state may be out of date: pending changes wait for the whole audit, and are planned once.
        let is_current =
            matches!(self.audit.state, AuditState::Idle | AuditState::EndpointsListed { first: false, .. });
        let pause = if is_current { pause } else { Pause::Never };
        let was_unavailable = self.audit.is_hns_unavailable();
        let (mut findings, mut network_changed) = (Findings::default(), false);
        let answer = loop {
            let answer = self.next_calls(client, pause, &mut findings);
            match answer {
                Answer::Endpoints { network_changed: changed, .. } | Answer::Part { network_changed: changed } => {
                    network_changed |= changed;
                }
                _ => {}
            }
            match answer {
                // If anything differs, HNS may have lost load balancers too, so they are listed without a pause.
                Answer::Endpoints { .. } if network_changed || !findings.is_empty() || pause == Pause::Never => {
                    self.audit.transition(answer);
                }
                _ => break answer,
            }
        };
        let report = AuditReport {
            frontends: findings.dirty.frontends.len(),
            addresses: findings.dirty.addresses.len(),
            network_changed,
            paused: matches!(answer, Answer::Endpoints { .. } | Answer::Part { .. }),
        };
        if answer == Answer::LoadBalancers && self.audit.state.expects_nothing() {
            self.keep_owners();
        }
        let lost_most = self.observed.lost_most(&findings.drift);
        // Findings before an error are valid. They are applied before the transition, since findings of a first audit are not drift.
        self.apply_findings(findings);
        if answer == Answer::LoadBalancers {
            self.contention.audited(was_unavailable, lost_most);
        }
        self.audit.transition(answer);
        self.health.record_availability(was_unavailable, self.audit.is_hns_unavailable());
        self.environment.note_ids(client);
        match self.audit.error() {
            Some(error) => Err(error.clone()),
            None => Ok(report),
        }
    }

    /// Makes the next calls for the current state.
    fn next_calls(&mut self, client: &Client, pause: Pause, findings: &mut Findings) -> Answer {
        match &self.audit.state {
            AuditState::EndpointsListed { scope, .. } => {
                match self.audit_load_balancers(client, *scope, pause, findings) {
                    Ok(Extent::All) => Answer::LoadBalancers,
                    Ok(Extent::Part) => Answer::Part { network_changed: false },
                    Err(error) => Answer::Error(error.into()),
                }
            }
            AuditState::Unknown { .. } | AuditState::Idle | AuditState::Failed { .. } => {
                self.audit_networks_and_endpoints(client, pause, findings).unwrap_or_else(Answer::Error)
            }
        }
    }
}
