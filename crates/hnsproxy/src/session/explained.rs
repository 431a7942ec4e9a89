//! What the session knows of a Service, and of the objects that a packet depends on.

use proxy::Explanation;
use proxy::model::ServiceName;
use vswitch::Node;

use super::Session;
use crate::packet::Observation;

impl Session {
    /// None if the Service does not exist.
    pub fn explain(&mut self, service: &ServiceName) -> Option<Explanation> {
        let now = self.now();
        self.reconciler.explain(service, now)
    }

    /// What was observed in HNS so far, to explain a packet.
    ///
    /// # Errors
    /// Why nothing is known yet.
    pub fn observation(&self) -> Result<Observation, &'static str> {
        let (networks, observed) = (self.reconciler.networks(), self.reconciler.observed());
        if !networks.any_known() || !observed.has_listed_load_balancers() {
            return Err("HNS has not been read yet; see /readyz\n");
        }
        if self.host.node_ips.is_empty() {
            return Err("the addresses of the node are not known yet; see /readyz\n");
        }
        let node = Node {
            addresses: self.host.node_ips.clone(),
            host_endpoints: vec![self.settings.root_endpoint_name.clone()],
        };
        Ok(Observation { networks: networks.clone(), observed: observed.clone(), node })
    }
}
