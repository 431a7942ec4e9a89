//! Clusters whose packets can be followed: each address is a pod here or on one of two other nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proxy::model::{Family, Protocol, Service, Slice};
use proxy::testing::{backend, service, slice};

/// The last parts of the addresses of pods: `10.244.N.H` and `fd00:244::N:H`, where N is the node.
const HOSTS: std::ops::Range<u8> = 10..13;

/// The pods of this node.
pub(super) fn pods_here() -> impl Iterator<Item = [String; 2]> {
    HOSTS.map(|host| addresses(1, host))
}

fn addresses(node: u8, host: u8) -> [String; 2] {
    [format!("10.244.{node}.{host}"), format!("fd00:244::{node}:{host}")]
}

#[derive(Debug, Clone)]
pub(super) struct Small {
    number: u8,
    udp: bool,
    node_port: bool,
    external: bool,
    ingress: bool,
    dual: bool,
    internal_local: bool,
    external_local: bool,
    affinity: bool,
    preserve: bool,
    /// The node and the last part of the address, with the state.
    backends: BTreeMap<(u8, u8), u8>,
}

pub(super) fn small() -> impl Strategy<Value = Small> {
    let backends = prop::collection::btree_map((1_u8..4, HOSTS), 0_u8..5, 0..6);
    let addresses = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let policies = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (0_u8..4, prop::bool::weighted(0.2), addresses, policies, backends).prop_map(
        |(number, udp, (node_port, external, ingress, dual), policies, backends)| {
            let (internal_local, external_local, affinity, preserve) = policies;
            Small {
                number,
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

impl Small {
    /// The Service with the backends of another.
    pub(super) fn with_backends_of(&self, other: &Self) -> Self {
        Self { backends: other.backends.clone(), ..self.clone() }
    }

    fn build(&self) -> (Service, Vec<Slice>) {
        let name = format!("ns/s{}", self.number);
        let protocol = if self.udp { Protocol::UDP } else { Protocol::TCP };
        let number = u16::from(self.number);
        let mut builder = service(&name).cluster_ip(&format!("10.96.0.{}", number + 1)).named_port("", protocol, 80);
        if self.dual {
            builder = builder.cluster_ip(&format!("fd00:96::{}", number + 1));
        }
        if self.node_port {
            builder = builder.node_port(30000 + number);
        }
        if self.external {
            builder = builder.external_ip(&format!("198.51.100.{number}"));
        }
        if self.ingress {
            builder = builder.ingress_ip(&format!("203.0.113.{number}"));
        }
        let service = builder
            .with(|service| {
                service.internal_local = self.internal_local;
                service.external_local = self.external_local;
                service.client_ip_affinity = self.affinity;
                service.preserve_destination = self.preserve;
            })
            .build();
        let of_family = |family: usize| {
            let slice = slice(&format!("{name}-{family}"), &name).named_port("", protocol, 8080);
            self.backends.iter().fold(slice, |slice, (&(node, host), state)| {
                let one = backend(&addresses(node, host)[family]).on(if node == 1 { "here" } else { "there" });
                slice.backend(match state {
                    0 => one.unready(),
                    1 => one.terminating(),
                    _ => one,
                })
            })
        };
        let mut slices = vec![of_family(0).build()];
        if self.dual {
            let mut slice = of_family(1).build();
            slice.family = Family::V6;
            slices.push(slice);
        }
        (service, slices)
    }
}

/// Services and slices; of several Services with one name, the last.
pub(super) fn build(services: &[Small]) -> (Vec<Service>, Vec<Slice>) {
    let last: BTreeMap<_, _> = services.iter().map(|small| (small.number, small)).collect();
    let (services, slices): (Vec<_>, Vec<_>) = last.into_values().map(Small::build).unzip();
    (services, slices.into_iter().flatten().collect())
}
