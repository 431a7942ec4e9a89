//! How every frontend stands, for people.

use std::net::IpAddr;

use super::{Plan, Planner};
use crate::desire::Owned;
use crate::frontend::{Frontend, FrontendKind, Target};
use crate::model::ServiceName;

/// How a frontend stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontendStatus {
    /// The Service that has it.
    pub service: ServiceName,
    /// The Service's port.
    pub port_name: smol_str::SmolStr,
    /// What it is to the Service.
    pub kind: FrontendKind,
    /// The frontend.
    pub frontend: Frontend,
    /// The addresses of its backends.
    pub backends: Vec<IpAddr>,
    /// The port of its backends.
    pub internal_port: u16,
    /// Whether its traffic stays on this node.
    pub local_only: bool,
    /// Whether it keeps a client on its backend.
    pub affinity: bool,
    /// Whether HNS holds what it should, as far as that can be had: nothing is left to do.
    pub confirmed: bool,
}

impl Planner<'_> {
    /// How every frontend stands, in the order of Services.
    pub fn statuses(&self) -> Vec<FrontendStatus> {
        let mut statuses: Vec<_> = self.desired.iter().map(|owned| self.status(owned)).collect();
        statuses.sort_by(|a, b| (&a.service, a.kind, a.frontend).cmp(&(&b.service, b.kind, b.frontend)));
        statuses
    }

    fn status(&self, owned: &Owned) -> FrontendStatus {
        let spec = &owned.spec;
        let mut plan = Plan::default();
        self.plan_frontend(spec.frontend, &mut plan);
        FrontendStatus {
            service: owned.service.clone(),
            port_name: spec.port_name.clone(),
            kind: spec.kind,
            frontend: spec.frontend,
            backends: spec.targets.iter().flat_map(|target| self.addresses_of(target)).collect(),
            internal_port: spec.internal_port,
            local_only: spec.local_only,
            affinity: !spec.distribution.is_default(),
            confirmed: plan.steps.is_empty() && plan.report.waiting.is_empty(),
        }
    }

    fn addresses_of(&self, target: &Target) -> Vec<IpAddr> {
        match target {
            Target::Address { address, .. } => vec![*address],
            Target::Root => self
                .observed
                .named(&self.settings.root_endpoint_name)
                .and_then(|id| self.observed.endpoint(id))
                .map(|held| held.addresses.to_vec())
                .unwrap_or_default(),
        }
    }
}
