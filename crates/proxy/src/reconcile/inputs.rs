//! The cluster state received so far, and whether it is complete.

use crate::health_check::HealthChecks;
use crate::model::{Cluster, ServiceName};

#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) cluster: Cluster,
    pub(super) health_checks: HealthChecks,
    /// Whether a list of all Services was received.
    pub(super) services_listed: bool,
    /// Whether a list of all slices was received.
    pub(super) slices_listed: bool,
}

impl Inputs {
    /// Whether the cluster is known as a whole. Before that nothing is planned: load balancers of Services that are not known yet
    /// would seem unused, and would be deleted at each start.
    pub(super) fn is_complete(&self) -> bool {
        self.services_listed && self.slices_listed
    }

    pub(super) fn update_health_check(&mut self, service: &ServiceName, node: &str) {
        self.health_checks.update(service, &self.cluster, node);
    }

    pub(super) fn service_names(&self) -> impl Iterator<Item = &ServiceName> {
        self.cluster.iter().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_lists_does_not_complete_a_cluster() {
        for (services_listed, slices_listed) in [(false, false), (true, false), (false, true), (true, true)] {
            let inputs = Inputs { services_listed, slices_listed, ..Inputs::default() };
            assert_eq!(inputs.is_complete(), services_listed && slices_listed);
        }
    }
}
