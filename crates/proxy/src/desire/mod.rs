//! Computes the desired load balancers and endpoints of a Service.
//!
//! Load balancers, their flags and source addresses follow the winkernel proxier of Kubernetes 1.36, so that its load balancers are
//! adopted and not replaced. The choice of backends follows [`select`](mod@select).

pub mod backend_limit;
mod context;
mod desired;
pub mod select;
mod unsupported;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, Protocol};

use crate::address_class::AddressClass;
use crate::condition::Condition;
use crate::frontend::{Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::{Family, Service, ServiceEntry, ServicePort};

use backend_limit::{LeftOut, Limited, MAX_BACKENDS, limit};
use select::{Backend, Selection, select};
use unsupported::unsupported;

pub use context::Context;
pub use desired::{Desired, DesiredFrontend};

/// The desired state of one Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredService {
    /// One for each frontend, in the order of frontends.
    pub load_balancers: Vec<LoadBalancerSpec>,
    /// Cluster IPs that need an endpoint, because an overlay network routes an address only if an endpoint has it.
    pub service_addresses: Vec<IpAddr>,
    pub conditions: Vec<Condition>,
    /// The policy and family of each port that has serving backends, but none that a policy `Local` allows.
    pub without_local: Vec<(TrafficPolicy, Family)>,
}

/// The policy that a metric of ports without local backends is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficPolicy {
    /// `internalTrafficPolicy`
    Internal,
    /// `externalTrafficPolicy`
    External,
}

impl TrafficPolicy {
    pub const ALL: [TrafficPolicy; 2] = [TrafficPolicy::Internal, TrafficPolicy::External];

    /// A short name, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            TrafficPolicy::Internal => "internal",
            TrafficPolicy::External => "external",
        }
    }
}

/// The desired state of a Service; empty for slices without a Service.
pub fn desire(entry: &ServiceEntry, context: &Context<'_>) -> DesiredService {
    let mut desired = DesiredService::default();
    let Some(service) = &entry.service else { return desired };
    desired.conditions.extend(unsupported(service, context));
    let mut by_frontend = BTreeMap::new();
    // Load balancers, endpoints and backends have one family: a dual-stack Service is programmed like two Services.
    for family in Family::ALL {
        let Some(cluster_ip) = service.cluster_ip(family) else { continue };
        // Only this family is skipped. The other family of the Service is programmed.
        if !context.has_family(family) {
            desired.conditions.push(Condition::FamilyUnsupported { family });
            continue;
        }
        let networks = context.networks;
        if networks.overlay().is_some_and(|index| networks.supports(index, family)) {
            // An overlay network routes an address only if one of its endpoints has it.
            desired.service_addresses.extend(allowed(cluster_ip));
        }
        for port in &service.ports {
            // The virtual switch balances TCP and UDP only. The other ports of the Service are programmed.
            if port.protocol != Protocol::TCP && port.protocol != Protocol::UDP {
                desired.conditions.push(Condition::ProtocolUnsupported { port: port.port, protocol: port.protocol });
                continue;
            }
            let selection = select(port, family, entry.slices.values(), context.node);
            // As in kube-proxy on Linux, the metric counts ports that have backends, but none on this node.
            if selection.local.is_empty() && !selection.cluster.is_empty() {
                let local = [service.internal_local, service.external_local && service.is_external(family)];
                let policies = TrafficPolicy::ALL.into_iter().zip(local).filter(|(_, local)| *local);
                desired.without_local.extend(policies.map(|(policy, _)| (policy, family)));
            }
            let port = DesiredPort::new(service, port, family, &selection, context);
            for spec in port.load_balancers(allowed(cluster_ip), &mut desired.conditions) {
                // The ports of a Service share the health check of an ingress address, which answers for the node: one
                // port with a backend is enough. No other frontend occurs twice in a valid Service.
                match by_frontend.entry(spec.frontend) {
                    Entry::Vacant(free) => {
                        free.insert(spec);
                    }
                    Entry::Occupied(mut first) if first.get().targets.is_empty() => {
                        first.insert(spec);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
    }
    // Ports and families of a Service often have the same condition.
    let mut unique = Vec::with_capacity(desired.conditions.len());
    for condition in std::mem::take(&mut desired.conditions) {
        if !unique.contains(&condition) {
            unique.push(condition);
        }
    }
    desired.conditions = unique;
    desired.load_balancers = by_frontend.into_values().collect();
    desired
}

/// The address, unless no frontend may have it.
fn allowed(address: IpAddr) -> Option<IpAddr> {
    AddressClass::forbidden(address).is_none().then_some(address)
}

/// One port of a Service in one family.
struct DesiredPort<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    family: Family,
    selection: &'a Selection,
    context: &'a Context<'a>,
    /// `externalTrafficPolicy: Local`. Without DSR it is treated as `Cluster`, as in kube-proxy.
    external_local: bool,
    /// The annotation `preserve-destination`. It needs DSR too.
    preserve_destination: bool,
    source_vip: Option<IpAddr>,
}

impl<'a> DesiredPort<'a> {
    fn new(
        service: &'a Service,
        port: &'a ServicePort,
        family: Family,
        selection: &'a Selection,
        context: &'a Context<'a>,
    ) -> Self {
        let dsr = context.capabilities.dsr;
        let mut desired = Self {
            service,
            port,
            family,
            selection,
            context,
            external_local: service.external_local && dsr,
            preserve_destination: service.preserve_destination && dsr,
            source_vip: None,
        };
        desired.source_vip = desired.source_vip();
        desired
    }

    /// The source address of translated traffic. Overlay networks translate it to the source VIP, which other nodes
    /// reach through the tunnel. A backend that is a node, or outside all subnets of the cluster, is reached without
    /// the tunnel, and can reply only to the node IP. A load balancer has one source address, so one such backend
    /// decides for all.
    fn source_vip(&self) -> Option<IpAddr> {
        let networks = self.context.networks;
        let overlay = networks.overlay()?;
        let network = networks.known(overlay)?;
        let is_local_only = self.service.internal_local && self.external_local;
        let reachable = if is_local_only { &self.selection.local } else { &self.selection.cluster };
        // Local backends need no tunnel, and those of other networks are in other load balancers.
        let is_on_overlay = |address| networks.network_of(address) == overlay;
        let mut remote = reachable.iter().filter(|backend| !backend.local && is_on_overlay(backend.address));
        let outside = remote.any(|backend| {
            network.provider_address(backend.address).is_none_or(|provider| provider == backend.address)
        });
        if outside { self.context.host.node_ip(self.family) } else { self.context.source_vip }
    }

    /// Other networks than overlay have no source VIP, as in kube-proxy, except for an HNS that may then choose a wrong one. With DSR, no
    /// traffic is translated to it.
    fn source_vip_outside_overlay(&self, dsr: bool) -> Option<IpAddr> {
        let Context { settings, capabilities, host, .. } = self.context;
        let is_needed = settings.node_ip_as_source_vip && capabilities.empty_source_vip_can_be_wrong && !dsr;
        if is_needed { host.node_ip(self.family) } else { None }
    }

    fn serving(&self, local: bool) -> &'a [Backend] {
        if local { &self.selection.local } else { &self.selection.cluster }
    }

    /// The load balancers of the port. Flags and backends of each kind are those that kube-proxy programs.
    fn load_balancers(&self, cluster_ip: Option<IpAddr>, conditions: &mut Vec<Condition>) -> Vec<LoadBalancerSpec> {
        let service = self.service;
        let of_family = |ips: &[IpAddr]| -> Vec<IpAddr> {
            ips.iter().copied().filter(|ip| Family::of(*ip) == self.family).filter_map(allowed).collect()
        };
        let mut specs = Vec::new();
        // Frontends with the same backends leave out the same ones: one condition is enough.
        let (mut reported_of_all, mut reported_of_local) = (LeftOut::default(), LeftOut::default());
        let mut add = |spec: LoadBalancerSpec, left_out: LeftOut| {
            let (frontend, port) = (spec.frontend, spec.internal_port);
            let reported = if spec.local_only { &mut reported_of_local } else { &mut reported_of_all };
            if spec.kind != FrontendKind::HealthCheck && *reported != left_out {
                *reported = left_out;
                if left_out.other_port > 0 {
                    conditions.push(Condition::MixedTargetPorts { frontend, port, dropped: left_out.other_port });
                }
                if left_out.too_many > 0 {
                    conditions.push(Condition::TooManyBackends {
                        frontend,
                        limit: MAX_BACKENDS,
                        dropped: left_out.too_many,
                    });
                }
            }
            specs.push(spec);
        };
        // DSR of the cluster IP is the operator's choice (`--enable-dsr`). Other frontends need it if policy `Local` asks to keep the
        // client's address: without DSR the traffic is translated to the node's address.
        if let Some(cluster_ip) = cluster_ip {
            let (spec, left_out) = self.spec(
                FrontendKind::ClusterIp,
                Some(cluster_ip),
                self.port.port,
                service.internal_local,
                self.context.settings.enable_dsr && self.context.capabilities.dsr,
                PortMappingFlags::NONE,
            );
            add(spec, left_out);
        }
        let local_or_preserved = self.external_local || self.preserve_destination;
        // VIP_EXTERNAL_IP keeps existing connections on their backend when the backends change (kubernetes issue 113742).
        // LOCAL_ROUTED_VIP makes the node port reachable from the node itself.
        if let Some(node_port) = self.port.node_port {
            let (spec, left_out) = self.spec(
                FrontendKind::NodePort,
                None,
                node_port,
                local_or_preserved,
                self.external_local,
                PortMappingFlags::LOCAL_ROUTED_VIP | PortMappingFlags::VIP_EXTERNAL_IP,
            );
            add(spec, left_out);
        }
        let external_ips = if self.context.settings.external_ips { service.external_ips.as_slice() } else { &[] };
        // kube-proxy does not apply `preserve-destination` to external IPs.
        for address in of_family(external_ips) {
            let (spec, left_out) = self.spec(
                FrontendKind::ExternalIp,
                Some(address),
                self.port.port,
                self.external_local,
                self.external_local,
                PortMappingFlags::VIP_EXTERNAL_IP,
            );
            add(spec, left_out);
        }
        // The packet keeps the ingress address as destination, so the backend must own that address (annotation
        // `preserve-destination`).
        let preserved = PortMappingFlags::NONE
            .with(PortMappingFlags::USE_MUX | PortMappingFlags::PRESERVE_DIP, self.preserve_destination);
        for address in of_family(&service.ingress_ips) {
            let (spec, left_out) = self.spec(
                FrontendKind::IngressIp,
                Some(address),
                self.port.port,
                local_or_preserved,
                local_or_preserved,
                PortMappingFlags::VIP_EXTERNAL_IP | preserved,
            );
            add(spec, left_out);
            if let Some(spec) = self.health_check(address, preserved) {
                add(spec, LeftOut::default());
            }
        }
        specs
    }

    fn spec(
        &self,
        kind: FrontendKind,
        address: Option<IpAddr>,
        port: u16,
        local_only: bool,
        dsr: bool,
        mapping_flags: PortMappingFlags,
    ) -> (LoadBalancerSpec, LeftOut) {
        let serving = self.serving(local_only);
        let Limited { port: internal_port, targets, left_out } = limit(serving, &self.context.node.name);
        // Below HNS 12.0 affinity is unsupported: the Service is programmed without it, and has a condition.
        let affinity = self.service.client_ip_affinity && self.context.capabilities.affinity;
        let spec = LoadBalancerSpec {
            frontend: Frontend { family: self.family, address, protocol: self.port.protocol, port },
            kind,
            port_name: self.port.name.clone(),
            local_only,
            targets,
            internal_port,
            flags: self.flags(dsr),
            mapping_flags: mapping_flags.masked(self.context.capabilities.mapping_flags),
            distribution: if affinity { DistributionType::SOURCE_IP } else { DistributionType::CONNECTION },
            source_vip: self.source_vip,
            source_vip_outside_overlay: self.source_vip_outside_overlay(dsr),
        };
        (spec, left_out)
    }

    fn flags(&self, dsr: bool) -> LoadBalancerFlags {
        LoadBalancerFlags::NONE
            .with(LoadBalancerFlags::DSR, dsr)
            .with(LoadBalancerFlags::IPV6, self.family == Family::V6)
            // A flag that the API cannot express would make every document that is read back differ.
            .masked(self.context.capabilities.flags)
    }

    /// The load balancer that answers the health checks that arrive at an ingress address, with the host's own endpoint
    /// as backend (`--forward-healthcheck-vip`). Without it, the node drops them, because it does not have the address.
    fn health_check(&self, address: IpAddr, mapping_flags: PortMappingFlags) -> Option<LoadBalancerSpec> {
        if !self.context.settings.forward_health_check_vip {
            return None;
        }
        // Only policy `Local` has a port of its own. The health checks of other Services ask the healthz port of the
        // node.
        let port = self.service.health_check_node_port.or(self.context.settings.healthz_port)?;
        Some(LoadBalancerSpec {
            frontend: Frontend { family: self.family, address: Some(address), protocol: self.port.protocol, port },
            kind: FrontendKind::HealthCheck,
            port_name: self.port.name.clone(),
            local_only: true,
            // As long as the Service has any backend, as in kube-proxy. If none on this node is ready, the health check answers 503, on which
            // an external load balancer reacts at once. Without an answer, it would wait for its timeouts.
            targets: if self.selection.has_backends { vec![Target::Root] } else { Vec::new() },
            internal_port: port,
            // As in kube-proxy without DSR, but with the IPv6 flag in family IPv6, which kube-proxy leaves out by
            // mistake.
            flags: self.flags(false),
            mapping_flags: mapping_flags.masked(self.context.capabilities.mapping_flags),
            distribution: DistributionType::CONNECTION,
            source_vip: self.source_vip,
            source_vip_outside_overlay: self.source_vip_outside_overlay(false),
        })
    }
}
