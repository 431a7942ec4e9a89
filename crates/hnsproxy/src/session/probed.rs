//! The part of the session for the VIP probe: it publishes the targets, and receives the reports.

use std::sync::Arc;

use proxy::{Reconciler, ServiceCondition};

use super::Session;
use crate::cli::ProbedService;
use crate::status::{ProbeReport, ProbedFrontend, Status};
use crate::vip_probe::targets;

#[derive(Debug, Default)]
pub(super) struct Probed {
    services: Vec<ProbedService>,
    /// The frontends of the last report.
    frontends: Arc<[ProbedFrontend]>,
}

impl Probed {
    /// Takes the findings of the previous session: the probe outlives a session, and sends a report only if it has changed.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.frontends = before.frontends.clone();
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = ServiceCondition> {
        self.frontends.iter().filter_map(ProbedFrontend::condition)
    }

    /// Adds the targets and the findings to a status.
    pub(super) fn complete(&self, status: Status, reconciler: &Reconciler) -> Status {
        let probed = (!self.services.is_empty()).then(|| self.frontends.clone());
        Status { probe_targets: targets(&self.services, reconciler), probed, ..status }
    }
}

impl Session {
    /// Publishes the frontends of these Services as targets of the probe.
    #[must_use]
    pub fn with_probed_services(mut self, services: Vec<ProbedService>) -> Self {
        self.probed.services = services;
        self
    }

    /// Stores the findings of the VIP probe, and adds the requested replacements to the next run.
    pub fn record_probe(&mut self, report: ProbeReport) {
        report.replace.into_iter().for_each(|frontend| self.reconciler.replace_load_balancer(frontend));
        self.probed.frontends = report.frontends.into();
    }
}
