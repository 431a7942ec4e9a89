//! Checks new and modified load balancers.

use std::collections::HashSet;

use hcn::schema::{DistributionType, LoadBalancer, LoadBalancerFlags, Protocol};
use hcn::{Guid, Kind, Version};
use serde_json::Value;

use super::index::frontend_keys;
use super::members::typed;
use super::{Store, id_of, own_id, set, spelling};
use crate::rules::{self, Rule};

impl Store {
    /// Checks a load balancer that is new, or replaces the one with an id.
    pub(super) fn check_load_balancer(&self, in_place: Option<Guid>, document: &Value) -> Result<(), Rule> {
        let balancer: LoadBalancer = typed(document)?;
        self.check_mappings(&balancer)?;
        self.check_backends(&balancer)?;
        self.check_frontends(in_place, &balancer)
    }

    fn check_mappings(&self, balancer: &LoadBalancer) -> Result<(), Rule> {
        let features = self.features();
        if balancer.port_mappings.is_empty() {
            return Err(rules::NO_PORT_MAPPING);
        }
        for mapping in &balancer.port_mappings {
            if mapping.protocol != Protocol::TCP && mapping.protocol != Protocol::UDP {
                return Err(rules::UNBALANCED_PROTOCOL);
            }
            if mapping.internal_port == 0 {
                return Err(rules::NO_INTERNAL_PORT);
            }
            if mapping.distribution_type != DistributionType::CONNECTION && !features.session_affinity {
                return Err(rules::NO_AFFINITY);
            }
        }
        if balancer.flags.contains(LoadBalancerFlags::DSR) && !features.dsr {
            return Err(rules::NO_DSR);
        }
        if balancer.flags.contains(LoadBalancerFlags::IPV6) && !features.ipv6_dual_stack {
            return Err(rules::NO_IPV6);
        }
        Ok(())
    }

    fn check_backends(&self, balancer: &LoadBalancer) -> Result<(), Rule> {
        if balancer.host_compute_endpoints.is_empty() && !self.options.accepts_no_backend {
            return Err(rules::NO_BACKEND);
        }
        let mut networks = HashSet::new();
        for id in &balancer.host_compute_endpoints {
            let id: Guid = id.parse().map_err(|_| rules::BACKEND_NO_ID)?;
            let endpoint = self.table(Kind::Endpoint).get(id).ok_or(rules::UNKNOWN_BACKEND)?;
            if self.build.quirks.wants_attached_backends && self.unattached.contains(&id) {
                return Err(rules::UNATTACHED_BACKEND);
            }
            networks.extend(id_of(endpoint, "HostComputeNetwork"));
        }
        if networks.len() > 1 { Err(rules::BACKENDS_OF_NETWORKS) } else { Ok(()) }
    }

    fn check_frontends(&self, in_place: Option<Guid>, balancer: &LoadBalancer) -> Result<(), Rule> {
        let mut seen = HashSet::new();
        for key in frontend_keys(balancer) {
            let key = key.ok_or(rules::UNREADABLE_VIP)?;
            let holder = self.index.frontends.get(&key);
            if !seen.insert(key) {
                return Err(rules::FRONTEND_IN_USE);
            }
            if let Some(holder) = holder
                && Some(*holder) != in_place
            {
                let restored = self.restored.contains(holder);
                return Err(if restored { rules::FRONTEND_RESTORED } else { rules::FRONTEND_IN_USE });
            }
            let (_, vip, protocol, port) = key;
            let on_host = vip.is_none_or(|vip| self.node_ips.contains(&vip));
            // A load balancer that keeps its port cannot conflict with a reservation.
            if on_host && holder.is_none() && self.is_reserved(protocol.0, port) {
                return Err(rules::PORT_RESERVED);
            }
            if holder.is_none() && self.build.quirks.wildcard_listeners.contains(&(protocol.0, port)) {
                return Err(rules::PORT_LISTENED);
            }
        }
        Ok(())
    }

    /// Whether a process uses a port of the host, or it is leaked.
    pub(super) fn is_reserved(&self, protocol: u32, port: u16) -> bool {
        let port = (protocol, port);
        self.build.quirks.reserved_ports.contains(&port) || self.leaked_ports.contains(&port)
    }

    /// Modifies a load balancer by a whole document, or by a request to add or remove one endpoint.
    pub(crate) fn modify_load_balancer(&mut self, id: Guid, settings: Value) -> Result<(), Rule> {
        if self.build.version < Version::new(15, 4) {
            return Err(rules::NO_MODIFY);
        }
        let mut document = match settings.get("Settings") {
            Some(change) if settings.get("PortMappings").is_none() => self.with_endpoint(id, &settings, change)?,
            _ => settings,
        };
        if own_id(&document)?.is_some_and(|own| !own.is_nil() && own != id) {
            return Err(rules::OTHER_ID);
        }
        spelling::spell(Kind::LoadBalancer, &mut document)?;
        self.check_load_balancer(Some(id), &document)?;
        if !self.build.quirks.silent_modify {
            self.replace(Kind::LoadBalancer, id, document);
        }
        Ok(())
    }

    /// The document of a load balancer with one endpoint added or removed.
    fn with_endpoint(&self, id: Guid, request: &Value, change: &Value) -> Result<Value, Rule> {
        let mut document = self.get(Kind::LoadBalancer, id)?.clone();
        let endpoint = id_of(change, "EndpointId").ok_or(rules::BACKEND_NO_ID)?;
        let mut backends = document.get("HostComputeEndpoints").and_then(Value::as_array).cloned().unwrap_or_default();
        match spelling::request(request)? {
            "Add" => backends.push(endpoint.to_string().into()),
            "Remove" => {
                let before = backends.len();
                backends.retain(|backend| super::as_id(backend) != Some(endpoint));
                if backends.len() == before {
                    return Err(rules::UNKNOWN_BACKEND);
                }
            }
            _ => return Err(rules::NO_SUCH_RESOURCE),
        }
        set(&mut document, "HostComputeEndpoints", backends);
        Ok(document)
    }
}
