//! A Service and the backends selected for it → the load balancers and endpoints that HNS should hold for it.
//!
//! The rules are those of the winkernel proxy (which load balancers, their flags, source addresses), with the selection of
//! [`select`](mod@select). Pure: one Service in, its wishes out.

pub mod backend_limit;
mod context;
mod desired;
pub mod select;
mod unsupported;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, Protocol};

use crate::condition::Problem;
use crate::frontend::{Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::{Family, Service, ServiceEntry, ServicePort};

use backend_limit::{Fit, LIMIT, LeftOut, fit};
use select::{Choice, Selection, select};
use unsupported::unsupported;

pub use context::Context;
pub use desired::{Desired, Owned};

/// What a Service wants of HNS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Load balancers, one a frontend, in the order of frontends.
    pub load_balancers: Vec<LoadBalancerSpec>,
    /// Addresses that overlay networks need an endpoint for.
    pub service_addresses: Vec<IpAddr>,
    /// What can't be had.
    pub problems: Vec<Problem>,
    /// For each port that a policy Local keeps traffic from all that serve: the policy, and the family.
    pub without_local: Vec<(TrafficPolicy, Family)>,
}

/// Whose traffic a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficPolicy {
    /// `internalTrafficPolicy`: that of pods.
    Internal,
    /// `externalTrafficPolicy`: that from outside the cluster.
    External,
}

impl TrafficPolicy {
    /// Both.
    pub const ALL: [TrafficPolicy; 2] = [TrafficPolicy::Internal, TrafficPolicy::External];

    /// A short name, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            TrafficPolicy::Internal => "internal",
            TrafficPolicy::External => "external",
        }
    }
}

/// What a Service wants. Nothing, where there are only slices.
pub fn desire(entry: &ServiceEntry, context: &Context<'_>) -> Wishes {
    let mut wishes = Wishes::default();
    let Some(service) = &entry.service else { return wishes };
    wishes.problems.extend(unsupported(service, context));
    let mut by_frontend = BTreeMap::new();
    for family in Family::ALL {
        let Some(cluster_ip) = service.cluster_ip(family) else { continue };
        if !context.has_family(family) {
            wishes.problems.push(Problem::FamilyUnsupported { family });
            continue;
        }
        let networks = context.networks;
        if networks.overlay().is_some_and(|index| networks.supports(index, family)) {
            wishes.service_addresses.push(cluster_ip);
        }
        for port in &service.ports {
            if port.protocol != Protocol::TCP && port.protocol != Protocol::UDP {
                wishes.problems.push(Problem::ProtocolUnsupported { port: port.port, protocol: port.protocol });
                continue;
            }
            let selection = select(port, family, entry.slices.values(), context.node);
            if selection.local.backends.is_empty() && !selection.cluster.backends.is_empty() {
                let local = [service.internal_local, service.external_local && service.is_external(family)];
                let policies = TrafficPolicy::ALL.into_iter().zip(local).filter(|(_, local)| *local);
                wishes.without_local.extend(policies.map(|(policy, _)| (policy, family)));
            }
            let port = PortWishes::new(service, port, family, &selection, context);
            for spec in port.load_balancers(cluster_ip, &mut wishes.problems) {
                // Ports of one Service share a health check, for which one port that serves is enough; no other frontend can be met
                // twice in a valid Service.
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
    let mut said = Vec::with_capacity(wishes.problems.len());
    wishes.problems.retain(|problem| {
        let new = !said.contains(problem);
        if new {
            said.push(problem.clone());
        }
        new
    });
    wishes.load_balancers = by_frontend.into_values().collect();
    wishes
}

/// One port of a Service in one family.
struct PortWishes<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    family: Family,
    selection: &'a Selection,
    context: &'a Context<'a>,
    /// `externalTrafficPolicy: Local`, where HNS can do what it takes.
    external_local: bool,
    /// The annotation `preserve-destination`, where HNS can do what it takes.
    preserve_destination: bool,
    source_vip: Option<IpAddr>,
}

impl<'a> PortWishes<'a> {
    fn new(
        service: &'a Service,
        port: &'a ServicePort,
        family: Family,
        selection: &'a Selection,
        context: &'a Context<'a>,
    ) -> Self {
        let dsr = context.capabilities.dsr;
        let mut wishes = Self {
            service,
            port,
            family,
            selection,
            context,
            external_local: service.external_local && dsr,
            preserve_destination: service.preserve_destination && dsr,
            source_vip: None,
        };
        wishes.source_vip = wishes.source_vip();
        wishes
    }

    /// The source address of translated traffic (winkernel 2.4): on overlay networks the source VIP, but the node's own address as
    /// soon as one backend is another node's address or outside all subnets of the cluster.
    fn source_vip(&self) -> Option<IpAddr> {
        let networks = self.context.networks;
        let overlay = networks.overlay()?;
        let network = networks.known(overlay)?;
        let stays_here = self.service.internal_local && self.external_local;
        let reachable = if stays_here { &self.selection.local } else { &self.selection.cluster };
        let there = |address| networks.network_of(address) == overlay;
        let mut remote = reachable.backends.iter().filter(|backend| !backend.local && there(backend.address));
        let outside = remote.any(|backend| {
            network.provider_address(backend.address).is_none_or(|provider| provider == backend.address)
        });
        if outside { self.context.host.node_ip(self.family) } else { self.context.settings.source_vip }
    }

    fn choice(&self, local: bool) -> &'a Choice {
        if local { &self.selection.local } else { &self.selection.cluster }
    }

    /// The load balancers of the port; winkernel 2.3.
    fn load_balancers(&self, cluster_ip: IpAddr, problems: &mut Vec<Problem>) -> Vec<LoadBalancerSpec> {
        let service = self.service;
        let of_family = |ips: &[IpAddr]| -> Vec<IpAddr> {
            ips.iter().copied().filter(|ip| Family::of(*ip) == self.family).collect()
        };
        let mut specs = Vec::new();
        // Frontends with the same backends have the same problems, which are said once.
        let (mut said_of_all, mut said_of_local) = (LeftOut::default(), LeftOut::default());
        let mut add = |spec: LoadBalancerSpec, left_out: LeftOut| {
            let (frontend, port) = (spec.frontend, spec.internal_port);
            let said = if spec.local_only { &mut said_of_local } else { &mut said_of_all };
            if spec.kind != FrontendKind::HealthCheck && *said != left_out {
                *said = left_out;
                if left_out.other_port > 0 {
                    problems.push(Problem::MixedTargetPorts { frontend, port, dropped: left_out.other_port });
                }
                if left_out.too_many > 0 {
                    problems.push(Problem::TooManyBackends { frontend, limit: LIMIT, dropped: left_out.too_many });
                }
            }
            specs.push(spec);
        };
        let (spec, left_out) = self.spec(
            FrontendKind::ClusterIp,
            Some(cluster_ip),
            self.port.port,
            service.internal_local,
            self.context.settings.enable_dsr && self.context.capabilities.dsr,
            PortMappingFlags::NONE,
        );
        add(spec, left_out);
        let local_or_preserved = self.external_local || self.preserve_destination;
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
        let choice = self.choice(local_only);
        let Fit { port: internal_port, targets, left_out } = fit(&choice.backends, &self.context.node.name);
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
        };
        (spec, left_out)
    }

    fn flags(&self, dsr: bool) -> LoadBalancerFlags {
        LoadBalancerFlags::NONE
            .with(LoadBalancerFlags::DSR, dsr)
            .with(LoadBalancerFlags::IPV6, self.family == Family::V6)
            .masked(self.context.capabilities.flags)
    }

    /// By which a load balancer asks this node whether it serves: the host's own endpoint behind the address.
    fn health_check(&self, address: IpAddr, mapping_flags: PortMappingFlags) -> Option<LoadBalancerSpec> {
        if !self.context.settings.forward_health_check_vip {
            return None;
        }
        let port = self.service.health_check_node_port.or(self.context.settings.healthz_port)?;
        let choice = self.choice(self.external_local);
        let available = !choice.backends.is_empty() && !choice.terminating;
        Some(LoadBalancerSpec {
            frontend: Frontend { family: self.family, address: Some(address), protocol: self.port.protocol, port },
            kind: FrontendKind::HealthCheck,
            port_name: self.port.name.clone(),
            local_only: true,
            targets: if available { vec![Target::Root] } else { Vec::new() },
            internal_port: port,
            flags: self.flags(false),
            mapping_flags: mapping_flags.masked(self.context.capabilities.mapping_flags),
            distribution: DistributionType::CONNECTION,
            source_vip: self.source_vip,
        })
    }
}
