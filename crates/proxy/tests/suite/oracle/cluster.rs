//! A cluster in a few numbers, so that addresses, ports and frontends meet often; how it changes, and its objects in the model.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proxy::model::{Family, Protocol, Service, ServiceName, ServicePort, Slice, SlicePort};
use proxy::testing::{backend, service, slice};

use super::random::Random;

/// The first is the DNS of the cluster. Its name sorts after the others, so that only its rank puts it first.
const NAMES: [&str; 7] = ["kube-system/kube-dns", "app/s1", "app/s2", "app/s3", "app/s4", "app/s5", "app/s6"];
/// Pods that can be on this node; those after them are on other nodes.
const MOVING: u8 = 6;
/// Addresses of pods, and after them: the node, another node, and an address outside the cluster.
const PODS: u8 = 10;
const ADDRESSES: u8 = PODS + 3;

/// The ports of a slice: the port of a backend is one of two.
pub(super) const TARGET_PORTS: [u16; 2] = [8080, 9090];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SmallBackend {
    /// Ready, unready, terminating and serving, terminating and not serving.
    pub(super) state: u8,
    pub(super) other_port: bool,
    /// No hint, a hint for zone `a`, for zone `b`, for this node.
    pub(super) hint: u8,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SmallService {
    pub(super) there: bool,
    pub(super) created: i64,
    pub(super) udp: bool,
    pub(super) second_port: bool,
    pub(super) port: u16,
    pub(super) node_port: Option<u16>,
    pub(super) external: Option<u8>,
    pub(super) ingress: Option<u8>,
    pub(super) dual: bool,
    pub(super) internal_local: bool,
    pub(super) external_local: bool,
    pub(super) health_check: bool,
    pub(super) affinity: bool,
    pub(super) preserve: bool,
    pub(super) backends: BTreeMap<u8, SmallBackend>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SmallCluster {
    pub(super) services: Vec<SmallService>,
    /// Whether each of the moving pods is on this node.
    pub(super) here: Vec<bool>,
    pub(super) zone: Option<&'static str>,
}

impl SmallCluster {
    pub(super) fn random(random: &mut Random) -> Self {
        let services = (0..NAMES.len()).map(|_| SmallService { port: 80, ..SmallService::default() }).collect();
        let mut cluster = Self { services, here: (0..MOVING).map(|pod| pod % 2 == 0).collect(), zone: None };
        for _ in 0..random.below(60) {
            cluster.change(random);
        }
        cluster
    }

    /// Makes one change; mostly of backends.
    pub(super) fn change(&mut self, random: &mut Random) {
        let index = random.index(self.services.len());
        let created = i64::try_from(random.below(1000)).unwrap();
        let Some(service) = self.services.get_mut(index) else { return };
        let small = |random: &mut Random| u8::try_from(random.below(2)).unwrap();
        match random.below(40) {
            0..3 => (service.there, service.created) = (!service.there, created),
            3 => service.port = 80 + u16::from(small(random)),
            4 => service.udp = !service.udp,
            5 => service.second_port = !service.second_port,
            6 => service.node_port = random.one_in(2).then(|| 30000 + u16::from(small(random)) * 2),
            7 => service.external = random.one_in(2).then(|| small(random)),
            8 => service.ingress = random.one_in(2).then(|| small(random)),
            9 => service.dual = !service.dual,
            10 => service.internal_local = !service.internal_local,
            11 => service.external_local = !service.external_local,
            12 => service.health_check = !service.health_check,
            13 => service.affinity = !service.affinity,
            14 => service.preserve = !service.preserve,
            15 => service.backends.clear(),
            16 => self.zone = *random.pick(&[None, Some("a"), Some("b")]).unwrap(),
            17 => {
                let pod = random.index(self.here.len());
                self.here[pod] = !self.here[pod];
            }
            18..24 => drop(service.backends.pop_first()),
            24..27 => {
                let state = u8::try_from(random.below(4)).unwrap();
                if let Some(mut last) = service.backends.last_entry() {
                    last.get_mut().state = state;
                }
            }
            _ => {
                let pod = u8::try_from(random.below(u64::from(ADDRESSES))).unwrap();
                let state = u8::try_from(random.below(8).saturating_sub(4)).unwrap();
                let hint = u8::try_from(random.below(12).saturating_sub(8)).unwrap();
                service.there |= random.one_in(2);
                service.backends.insert(pod, SmallBackend { state, other_port: random.one_in(5), hint });
            }
        }
    }

    /// Whether a backend is on this node.
    pub(super) fn is_local(&self, pod: u8) -> bool {
        pod == PODS || self.here.get(usize::from(pod)).copied().unwrap_or_default()
    }

    /// The pods of this node, whether a Service has them or not.
    pub(super) fn local_pods(&self) -> impl Iterator<Item = u8> + '_ {
        (0..MOVING).filter(|pod| self.is_local(*pod))
    }

    pub(super) fn build(&self) -> (Vec<Service>, Vec<Slice>) {
        let (mut services, mut slices) = (Vec::new(), Vec::new());
        for (index, small) in self.services.iter().enumerate() {
            if small.there {
                services.push(small.build(index));
            }
            for family in Family::ALL {
                if family == Family::V4 || small.dual {
                    let of = |other_port| self.slice(index, small, family, other_port);
                    slices.extend([of(false), of(true)]);
                }
            }
        }
        (services, slices)
    }

    fn slice(&self, index: usize, small: &SmallService, family: Family, other_port: bool) -> Slice {
        let name = NAMES[index];
        let suffix = if other_port { "b" } else { "a" };
        let mut built = slice(&format!("{name}-{family}-{suffix}").to_lowercase(), name);
        for (pod, one) in small.backends.iter().filter(|(_, one)| one.other_port == other_port) {
            let Some(address) = address(*pod, family) else { continue };
            let node = if self.is_local(*pod) { "here" } else { "there" };
            built = built.backend(backend(&address.to_string()).on(node).with(|built| {
                (built.ready, built.serving, built.terminating) = match one.state {
                    0 => (true, true, false),
                    1 => (false, false, false),
                    2 => (false, true, true),
                    _ => (false, false, true),
                };
                match one.hint {
                    0 => {}
                    1 => built.for_zones = vec!["a".into()],
                    2 => built.for_zones = vec!["b".into()],
                    _ => built.for_nodes = vec!["here".into()],
                }
            }));
        }
        let mut slice = built.build();
        slice.family = family;
        slice.ports = small
            .ports(index)
            .iter()
            .map(|port| SlicePort {
                name: port.name.clone(),
                protocol: port.protocol,
                port: target_port(&port.name, other_port),
            })
            .collect();
        slice
    }
}

impl SmallService {
    pub(super) fn name(index: usize) -> ServiceName {
        let (namespace, name) = NAMES[index].split_once('/').unwrap();
        ServiceName::new(namespace, name)
    }

    pub(super) fn ports(&self, index: usize) -> Vec<ServicePort> {
        let protocol = if self.udp { Protocol::UDP } else { Protocol::TCP };
        let one = |name: &str, port, node_port| ServicePort { name: name.into(), protocol, port, node_port };
        let mut ports = vec![one("p", self.port, self.node_port)];
        if self.second_port {
            ports.push(one("q", 443, self.node_port.map(|_| 30100 + u16::try_from(index).unwrap())));
        }
        ports
    }

    pub(super) fn cluster_ip(index: usize, family: Family) -> IpAddr {
        let text = match family {
            Family::V4 => format!("10.96.0.{}", index + 1),
            Family::V6 => format!("fd00:96::{}", index + 1),
        };
        text.parse().unwrap()
    }

    pub(super) fn external_ips(&self) -> Vec<IpAddr> {
        self.external.iter().map(|last| format!("198.51.100.{last}").parse().unwrap()).collect()
    }

    pub(super) fn ingress_ips(&self) -> Vec<IpAddr> {
        let all = |last| [format!("203.0.113.{last}"), format!("fd00:113::{last}")];
        self.ingress.iter().flat_map(all).map(|text| text.parse().unwrap()).collect()
    }

    /// The health check node port.
    pub(super) fn check_port(&self, index: usize) -> Option<u16> {
        (self.health_check && self.external_local).then(|| 32000 + u16::try_from(index % 2).unwrap())
    }

    fn build(&self, index: usize) -> Service {
        let families = if self.dual { &Family::ALL[..] } else { &[Family::V4] };
        service(NAMES[index])
            .with(|service| {
                service.created = self.created;
                service.cluster_ips = families.iter().map(|family| Self::cluster_ip(index, *family)).collect();
                service.ports = self.ports(index);
                service.external_ips = self.external_ips();
                service.ingress_ips = self.ingress_ips();
                service.internal_local = self.internal_local;
                service.external_local = self.external_local;
                service.client_ip_affinity = self.affinity;
                service.preserve_destination = self.preserve;
                service.health_check_node_port = self.check_port(index);
            })
            .build()
    }
}

pub(super) fn target_port(name: &str, other_port: bool) -> u16 {
    TARGET_PORTS[usize::from(other_port)] + u16::from(name == "q")
}

/// The address of a backend; some pods are in the subnet of the second network. The last two have no IPv6 address.
pub(super) fn address(pod: u8, family: Family) -> Option<IpAddr> {
    let net = if pod % 5 == 4 { 245 } else { 244 };
    let third = if pod < MOVING { 1 } else { 2 };
    let last = pod + 10;
    let text = match (pod, family) {
        (0..PODS, Family::V4) => format!("10.{net}.{third}.{last}"),
        (0..PODS, Family::V6) => format!("fd00:{net}::{last}"),
        (PODS, Family::V4) => "192.168.77.1".to_owned(),
        (PODS, Family::V6) => "fd00:77::1".to_owned(),
        (_, Family::V6) => return None,
        (11, Family::V4) => "192.168.77.2".to_owned(),
        (_, Family::V4) => "192.0.2.7".to_owned(),
    };
    Some(text.parse().unwrap())
}

/// Both addresses of a pod.
pub(super) fn addresses(pod: u8) -> Vec<IpAddr> {
    Family::ALL.into_iter().filter_map(|family| address(pod, family)).collect()
}
