//! Foreign load balancers that no Service uses, reported to the operator.

use hcn::Guid;

use super::Reconciler;
use crate::frontend::Frontend;

/// A foreign load balancer on frontends that no Service claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignLoadBalancer {
    pub frontends: Vec<Frontend>,
    pub id: Guid,
    /// Whether it looks like a load balancer of kube-proxy, so that `--take-over` deletes it.
    pub resembles_kube_proxy: bool,
}

impl std::fmt::Display for ForeignLoadBalancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frontends: Vec<_> = self.frontends.iter().map(Frontend::to_string).collect();
        write!(f, "foreign load balancer {} on {}: no Service uses the frontend", self.id, frontends.join(", "))?;
        f.write_str(match self.resembles_kube_proxy {
            true => "; it looks like a load balancer of kube-proxy, which --take-over removes",
            false => "; it is not changed",
        })
    }
}

impl Reconciler {
    /// The foreign load balancers on frontends that no Service claims, sorted by frontend. One on a claimed frontend is
    /// reported as a condition, adopted or replaced.
    pub fn foreign_load_balancers(&self) -> Vec<ForeignLoadBalancer> {
        let is_desired = |frontend: &Frontend| self.desired.frontend(*frontend).is_some();
        // A load balancer with several addresses counts as used if a Service claims any of them.
        let undesired =
            self.observed.foreign_load_balancers().filter(|(_, foreign)| !foreign.frontends.iter().any(is_desired));
        let capabilities = self.environment.capabilities.as_ref();
        let mut all: Vec<_> = undesired
            .map(|(id, foreign)| ForeignLoadBalancer {
                frontends: foreign.frontends.to_vec(),
                id,
                resembles_kube_proxy: capabilities
                    .is_some_and(|capabilities| foreign.resembles_kube_proxy(capabilities)),
            })
            .collect();
        all.sort();
        all
    }
}
