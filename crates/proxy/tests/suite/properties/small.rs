//! Clusters and hosts in a few numbers, so that addresses and ports meet often.

use std::collections::BTreeSet;

use hcn::{Guid, Kind};
use proptest::prelude::*;
use proxy::model::{Protocol, Service, Slice};
use proxy::testing::{backend, service, slice};
use serde_json::json;

use crate::rig::{NETWORK, Rig, SECOND};

/// A Service in a few numbers, so that addresses and ports meet often.
#[derive(Debug, Clone)]
pub(super) struct SmallService {
    name: u8,
    created: i64,
    udp: bool,
    node_port: Option<u16>,
    external: Option<u8>,
    ingress: Option<u8>,
    dual: bool,
    internal_local: bool,
    external_local: bool,
    affinity: bool,
    preserve: bool,
    backends: Vec<SmallBackend>,
}

#[derive(Debug, Clone)]
struct SmallBackend {
    address: u8,
    here: bool,
    state: u8,
    other_port: bool,
    /// Whether it is in the subnet of the second network.
    second: bool,
}

pub(super) fn small_service() -> impl Strategy<Value = SmallService> {
    let backends = prop::collection::vec(
        (0..12u8, any::<bool>(), 0..4u8, prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
            |(address, here, state, other_port, second)| SmallBackend { address, here, state, other_port, second },
        ),
        0..6,
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let addresses = (prop::option::of(30000..30004u16), prop::option::of(0..3u8), prop::option::of(0..3u8));
    (0..6u8, 0..3i64, flags, addresses, backends).prop_map(
        |(name, created, (udp, dual, internal_local, external_local, affinity, preserve), addresses, backends)| {
            let (node_port, external, ingress) = addresses;
            SmallService {
                name,
                created,
                udp,
                node_port,
                external,
                ingress,
                dual,
                internal_local,
                external_local,
                affinity,
                preserve,
                backends,
            }
        },
    )
}

impl SmallService {
    fn build(&self) -> (Service, Vec<Slice>) {
        let name = format!("ns/s{}", self.name);
        let protocol = if self.udp { Protocol::UDP } else { Protocol::TCP };
        let mut builder = service(&name).cluster_ip(&format!("10.96.0.{}", self.name + 1)).named_port("", protocol, 80);
        if self.dual {
            builder = builder.cluster_ip(&format!("fd00:96::{}", self.name + 1));
        }
        if let Some(port) = self.node_port {
            builder = builder.node_port(port);
        }
        if let Some(external) = self.external {
            builder = builder.external_ip(&format!("198.51.100.{external}"));
        }
        if let Some(ingress) = self.ingress {
            builder = builder.ingress_ip(&format!("203.0.113.{ingress}"));
        }
        let service = builder
            .with(|s| {
                // No two are equally old: of those, the one that comes first keeps its frontends, so that order makes a difference.
                s.created = self.created * 16 + i64::from(self.name);
                s.internal_local = self.internal_local;
                s.external_local = self.external_local;
                s.client_ip_affinity = self.affinity;
                s.preserve_destination = self.preserve;
            })
            .build();
        let of = |suffix: &str, prefix: &str, port, which: &dyn Fn(&&SmallBackend) -> bool| {
            self.backends.iter().filter(which).fold(
                slice(&format!("{name}-{suffix}"), &name).named_port("", protocol, port),
                |slice, small| {
                    let node = if small.here { "here" } else { "there" };
                    let address = format!("{prefix}{}", small.address + 10);
                    let address = if small.second { address.replacen("244", "245", 1) } else { address };
                    let one = backend(&address).on(node);
                    slice.backend(match small.state {
                        0 => one.unready(),
                        1 => one.terminating(),
                        _ => one,
                    })
                },
            )
        };
        let mut slices = vec![
            of("a", "10.244.1.", 8080, &|b| !b.other_port).build(),
            of("b", "10.244.1.", 9090, &|b| b.other_port).build(),
        ];
        if self.dual {
            let mut six = of("c", "fd00:244::", 8080, &|b| !b.other_port).build();
            six.family = proxy::model::Family::V6;
            slices.push(six);
        }
        (service, slices)
    }
}

pub(super) fn build(services: &[SmallService]) -> (Vec<Service>, Vec<Slice>) {
    // Of several with one name, the last.
    let mut seen = BTreeSet::new();
    let last: Vec<_> = services.iter().rev().filter(|s| seen.insert(s.name)).collect();
    let (services, slices): (Vec<_>, Vec<_>) = last.into_iter().map(SmallService::build).unzip();
    (services, slices.into_iter().flatten().collect())
}

/// Foreign objects.
#[derive(Debug, Clone)]
pub(super) enum Litter {
    /// A pod's endpoint, in the second network or not.
    Local(u8, bool),
    /// A remote endpoint.
    Remote(u8),
    /// A load balancer on a Service's frontend.
    OnCluster { service: u8, udp: bool, internal: u16 },
    /// A load balancer on a frontend that no Service uses.
    Elsewhere(u8),
}

pub(super) fn litter() -> impl Strategy<Value = Vec<Litter>> {
    let one = prop_oneof![
        3 => (0..12u8, prop::bool::weighted(0.3)).prop_map(|(address, second)| Litter::Local(address, second)),
        2 => (0..12u8).prop_map(Litter::Remote),
        2 => (0..6u8, any::<bool>(), prop_oneof![Just(8080u16), Just(1)])
            .prop_map(|(service, udp, internal)| Litter::OnCluster { service, udp, internal }),
        1 => (0..5u8).prop_map(Litter::Elsewhere),
    ];
    prop::collection::vec(one, 0..10)
}

/// Adds foreign objects to HNS. Returns those that must stay.
pub(super) fn scatter(rig: &Rig, litter: &[Litter]) -> Vec<(Kind, Guid)> {
    let mut stays = Vec::new();
    let mut taken = BTreeSet::new();
    let anchor = rig.local("anchor", &["10.244.1.5"]);
    stays.push((Kind::Endpoint, anchor));
    let mut load_balancer = |vip: String, protocol: u8, internal: u16| {
        taken.insert((vip.clone(), protocol)).then(|| {
            rig.emulator.add(
                Kind::LoadBalancer,
                json!({
                    "HostComputeEndpoints": [anchor], "FrontendVIPs": [vip],
                    "PortMappings": [{"Protocol": protocol, "InternalPort": internal, "ExternalPort": 80}],
                    "SchemaVersion": {"Major": 2, "Minor": 0}
                }),
            )
        })
    };
    let mut locals = BTreeSet::new();
    for one in litter {
        match one {
            Litter::Local(address, second) => {
                if locals.insert((*address, *second)) {
                    let net = if *second { 245 } else { 244 };
                    let (four, six) = (format!("10.{net}.1.{}", address + 10), format!("fd00:{net}::{}", address + 10));
                    let network = if *second && rig.settings.network_names.len() > 1 { SECOND } else { NETWORK };
                    stays.push((Kind::Endpoint, rig.local_in(network, "pod", &[&four, &six])));
                }
            }
            Litter::Remote(address) => {
                // Half of them equal the desired ones.
                let last = if address % 2 == 0 { address + 10 } else { 0 };
                rig.emulator.add(
                    Kind::Endpoint,
                    json!({
                        "HostComputeNetwork": NETWORK, "Flags": 1, "MacAddress": format!("02-11-0A-F4-01-{last:02X}"),
                        "IpConfigurations": [{"IpAddress": format!("10.244.1.{}", address + 10)}],
                        "SchemaVersion": {"Major": 2, "Minor": 0}
                    }),
                );
            }
            Litter::OnCluster { service, udp, internal } => {
                load_balancer(format!("10.96.0.{}", service + 1), if *udp { 17 } else { 6 }, *internal);
            }
            Litter::Elsewhere(last) => {
                stays.extend(load_balancer(format!("172.16.0.{last}"), 6, 1).map(|id| (Kind::LoadBalancer, id)));
            }
        }
    }
    stays
}
