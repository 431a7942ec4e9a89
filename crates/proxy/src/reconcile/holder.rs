//! Finds out why HNS refuses a frontend: its owner, or the lack of ports.

use hcn::schema::Protocol;

use super::Reconciler;
use crate::condition::{Condition, Holder, ServiceCondition};
use crate::frontend::Frontend;
use crate::model::Family;
use crate::observe::Owner;

impl Reconciler {
    /// Adds the condition that a frontend is in use, with its owner if that is known.
    pub(super) fn add_port_in_use(&mut self, frontend: Frontend) {
        let Some(service) = self.desired.frontend(frontend).map(|owner| owner.service.clone()) else { return };
        let condition = Condition::PortInUse { frontend, holder: self.holder(frontend) };
        self.conditions.add(frontend, ServiceCondition { service, condition });
    }

    /// Adds the condition that HNS has no ports left for a frontend.
    pub(super) fn add_out_of_ports(&mut self, frontend: Frontend) {
        let Some(service) = self.desired.frontend(frontend).map(|owner| owner.service.clone()) else { return };
        let without_dsr = self.observed.load_balancers_without_dsr();
        let condition = Condition::OutOfPorts { frontend, without_dsr };
        self.conditions.add(frontend, ServiceCondition { service, condition });
    }

    fn holder(&self, frontend: Frontend) -> Holder {
        for same in self.overlapping(frontend) {
            if let Some((id, observed)) = self.observed.on(same).next() {
                let service = self.desired.frontend(same).map(|owner| owner.service.clone());
                return Holder::LoadBalancer {
                    id,
                    frontend: same,
                    // A foreign load balancer is not the Service's, even on a frontend that the Service claims.
                    service: service.filter(|_| observed.owner == Owner::Us),
                };
            }
        }
        // HNS lists its own objects only. Of the ports of processes, only those of hnsproxy are known.
        if self.is_on_host(frontend) && frontend.protocol == Protocol::TCP {
            if self.environment.settings.healthz_port == Some(frontend.port) {
                return Holder::OwnHealthCheck { service: None };
            }
            let mut services = self.inputs.cluster.iter().filter_map(|(_, entry)| entry.service.as_ref());
            // The health check server listens on all addresses of the node, so it takes the port of every node
            // address.
            if let Some(service) = services.find(|service| service.health_check_node_port == Some(frontend.port)) {
                return Holder::OwnHealthCheck { service: Some(service.name.clone()) };
            }
        }
        Holder::Unknown { without_dsr: self.observed.load_balancers_without_dsr() }
    }

    /// The frontend itself, and those that use the same port on the host. A frontend without an address uses the port
    /// on all addresses of the node.
    fn overlapping(&self, frontend: Frontend) -> Vec<Frontend> {
        let mut all = vec![frontend];
        if self.is_on_host(frontend) {
            let anywhere = Family::ALL.map(|family| Frontend { family, address: None, ..frontend });
            let own = self.environment.host.node_ips.iter();
            let own = own.map(|ip| Frontend { family: Family::of(*ip), address: Some(*ip), ..frontend });
            all.extend(anywhere.into_iter().chain(own).filter(|other| *other != frontend));
        }
        all
    }

    fn is_on_host(&self, frontend: Frontend) -> bool {
        frontend.address.is_none_or(|address| self.environment.host.node_ips.contains(&address))
    }
}
