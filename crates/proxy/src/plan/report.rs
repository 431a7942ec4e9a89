//! The results of planning other than steps.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::condition::ServiceCondition;
use crate::frontend::Frontend;

/// The results of planning other than steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanReport {
    /// Backends on this node whose endpoint the CNI has not created yet.
    pub missing_local: BTreeSet<IpAddr>,
    /// Frontends whose load balancer was replaced less than a second ago, and that needs another replacement.
    pub postponed: BTreeSet<Frontend>,
    /// Frontends whose backends are in networks that are missing.
    pub waiting: BTreeSet<Frontend>,
    /// Backends that a load balancer does not use, because they are in another network.
    pub left_out: BTreeSet<IpAddr>,
    /// The conditions of Services, with the frontend that they are about.
    pub conditions: Vec<(Frontend, ServiceCondition)>,
}

impl PlanReport {
    pub(super) fn append(&mut self, other: PlanReport) {
        let PlanReport { missing_local, postponed, waiting, left_out, conditions } = other;
        self.missing_local.extend(missing_local);
        self.postponed.extend(postponed);
        self.waiting.extend(waiting);
        self.left_out.extend(left_out);
        self.conditions.extend(conditions);
    }
}
