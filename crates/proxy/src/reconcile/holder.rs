//! Who holds a frontend that HNS says is in use.

use hcn::schema::Protocol;

use super::Reconciler;
use crate::condition::{Condition, Holder, ServiceCondition};
use crate::frontend::Frontend;
use crate::model::Family;
use crate::observe::Owner;

impl Reconciler {
    /// Notes that a frontend is in use, and by whom as far as can be known.
    pub(super) fn note_port_in_use(&mut self, frontend: Frontend) {
        let Some(service) = self.desired.owned(frontend).map(|owned| owned.service.clone()) else { return };
        let condition = Condition::PortInUse { frontend, holder: self.holder(frontend) };
        self.notices.entry(frontend).or_default().push(ServiceCondition { service, condition });
    }

    fn holder(&self, frontend: Frontend) -> Holder {
        for same in self.overlapping(frontend) {
            if let Some((id, held)) = self.observed.on(same).next() {
                let service = self.desired.owned(same).map(|owned| owned.service.clone());
                return Holder::LoadBalancer {
                    id,
                    frontend: same,
                    service: service.filter(|_| held.owner == Owner::Us),
                };
            }
        }
        let on_host = frontend.address.is_none_or(|address| self.host.node_ips.contains(&address));
        if on_host && frontend.protocol == Protocol::TCP {
            if self.settings.healthz_port == Some(frontend.port) {
                return Holder::OwnHealthCheck { service: None };
            }
            let mut services = self.cluster.iter().filter_map(|(_, entry)| entry.service.as_ref());
            if let Some(service) = services.find(|service| service.health_check_node_port == Some(frontend.port)) {
                return Holder::OwnHealthCheck { service: Some(service.name.clone()) };
            }
        }
        Holder::Unknown
    }

    /// The frontend itself, and those that take the same port of the host.
    fn overlapping(&self, frontend: Frontend) -> Vec<Frontend> {
        let mut all = vec![frontend];
        if frontend.address.is_none_or(|address| self.host.node_ips.contains(&address)) {
            let anywhere = Family::ALL.map(|family| Frontend { family, address: None, ..frontend });
            let own = self.host.node_ips.iter();
            let own = own.map(|ip| Frontend { family: Family::of(*ip), address: Some(*ip), ..frontend });
            all.extend(anywhere.into_iter().chain(own).filter(|other| *other != frontend));
        }
        all
    }
}
