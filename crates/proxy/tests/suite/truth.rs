//! Truth tables: every combination, each compared with the reference.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, RemoteSubnetRoute};
use hcn::{ApiVersion, Version};
use proxy::desire::{Context, DesiredService, desire};
use proxy::frontend::{LoadBalancerSpec, Target};
use proxy::model::{Family, Service, ServiceEntry, Slice, SliceBackend};
use proxy::settings::{Capabilities, Node};
use proxy::testing::{service, slice};
use proxy::{FrontendKind, Network, Networks};

use crate::reference::{Answer, Endpoint, Question, answer};
use crate::rig::{NETWORK, own_host, settings};

/// Every state that an endpoint can be in.
fn states(hints: bool) -> Vec<Endpoint> {
    let truths = [false, true];
    let zones: &[&[&str]] = if hints { &[&[], &["a"], &["b"], &["a", "b"]] } else { &[&[], &["a"], &["b"]] };
    let nodes: &[&[&str]] = if hints { &[&[], &["here"], &["there"]] } else { &[&[]] };
    let mut states = Vec::new();
    for ready in truths {
        for serving in truths {
            for terminating in truths {
                for local in truths {
                    for zones in zones {
                        for nodes in nodes {
                            let (zones, nodes) = (zones.to_vec(), nodes.to_vec());
                            states.push(Endpoint { id: 0, ready, serving, terminating, local, zones, nodes });
                        }
                    }
                }
            }
        }
    }
    states
}

fn address(id: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, 2, id).into()
}

fn slice_of(endpoints: &[Endpoint]) -> Slice {
    let mut slice = slice("ns/web-1", "ns/web").port(8080).build();
    slice.backends = endpoints
        .iter()
        .map(|endpoint| SliceBackend {
            address: address(endpoint.id),
            node: Some(if endpoint.local { "here" } else { "there" }.into()),
            zone: None,
            ready: endpoint.ready,
            serving: endpoint.serving,
            terminating: endpoint.terminating,
            for_zones: endpoint.zones.iter().map(|zone| (*zone).into()).collect(),
            for_nodes: endpoint.nodes.iter().map(|node| (*node).into()).collect(),
        })
        .collect();
    slice
}

/// A Service with a frontend of every kind.
fn every_kind(question: Question) -> Service {
    service("ns/web")
        .cluster_ip("10.96.0.1")
        .port(80)
        .node_port(30080)
        .external_ip("198.51.100.7")
        .ingress_ip("203.0.113.1")
        .with(|service| {
            service.internal_local = question.internal_local;
            service.external_local = question.external_local;
            service.preserve_destination = question.preserve_destination;
        })
        .build()
}

struct World {
    networks: Networks,
    capabilities: Capabilities,
    settings: proxy::Settings,
}

impl World {
    fn new(version: &str) -> Self {
        let version: Version = version.parse().unwrap();
        Self {
            networks: Networks::new(&settings().network_names, Family::V4),
            capabilities: Capabilities::of(version, ApiVersion::V2),
            settings: proxy::Settings { forward_health_check_vip: true, ..settings() },
        }
    }

    fn desired(&self, service: Service, slice: Slice, zone: Option<&str>) -> DesiredService {
        let node = Node { name: "here".into(), zone: zone.map(Into::into) };
        let (host, settings) = (own_host(), &self.settings);
        let (networks, capabilities) = (&self.networks, &self.capabilities);
        let source_vip = settings.source_vip_address();
        let context = Context { settings, source_vip, host: &host, node: &node, networks, capabilities };
        let entry = ServiceEntry { service: Some(service), slices: [slice].into_iter().collect() };
        desire(&entry, &context)
    }
}

fn of_kind(desired: &DesiredService, kind: FrontendKind) -> &LoadBalancerSpec {
    let mut of_kind = desired.load_balancers.iter().filter(|spec| spec.kind == kind);
    let spec = of_kind.next().unwrap();
    assert!(of_kind.next().is_none());
    spec
}

/// The result of the code, in the types of the reference.
fn given(desired: &DesiredService) -> Answer {
    let ids = |kind| -> BTreeSet<u8> {
        let id = |target: &Target| match target {
            Target::Address { address: IpAddr::V4(address), .. } => address.octets()[3],
            other => panic!("{other:?}"),
        };
        of_kind(desired, kind).targets.iter().map(id).collect()
    };
    Answer {
        cluster_ip: ids(FrontendKind::ClusterIp),
        node_port: ids(FrontendKind::NodePort),
        external_ip: ids(FrontendKind::ExternalIp),
        ingress_ip: ids(FrontendKind::IngressIp),
        health: of_kind(desired, FrontendKind::HealthCheck).targets == [Target::Root],
    }
}

const ZONES: [Option<&str>; 2] = [None, Some("a")];

fn questions(internal_local: bool, external_local: bool) -> impl Iterator<Item = Question> {
    let preserve = [false, true];
    preserve.into_iter().flat_map(move |preserve_destination| {
        ZONES.map(|zone| Question { internal_local, external_local, preserve_destination, zone })
    })
}

fn check(world: &World, endpoints: &[Endpoint], question: Question) {
    let desired = world.desired(every_kind(question), slice_of(endpoints), question.zone);
    assert_eq!(given(&desired), answer(endpoints, question), "{question:?} of {endpoints:#?}");
}

/// Every two records of one address, in both orders, beside a backend that is ready on another node.
#[test]
fn every_pair_of_records_of_one_address() {
    let world = World::new("15.5");
    let other =
        Endpoint { id: 2, ready: true, serving: true, terminating: false, local: false, zones: vec![], nodes: vec![] };
    for (internal_local, external_local) in [(false, true), (true, false)] {
        for question in questions(internal_local, external_local) {
            let all: Vec<_> = states(true).into_iter().map(|state| Endpoint { id: 1, ..state }).collect();
            for first in &all {
                for second in &all {
                    check(&world, &[first.clone(), second.clone()], question);
                    check(&world, &[first.clone(), second.clone(), other.clone()], question);
                }
            }
        }
    }
}

/// None, every one, every two of all states; every three of the usual states without node hints and with one zone.
fn every_combination(internal_local: bool, external_local: bool) {
    let world = World::new("15.5");
    let numbered = |mut endpoints: Vec<Endpoint>| {
        endpoints.iter_mut().zip(1..).for_each(|(endpoint, id)| endpoint.id = id);
        endpoints
    };
    for question in questions(internal_local, external_local) {
        check(&world, &[], question);
        let all = states(true);
        for (place, first) in all.iter().enumerate() {
            check(&world, &numbered(vec![first.clone()]), question);
            for second in &all[place..] {
                check(&world, &numbered(vec![first.clone(), second.clone()]), question);
            }
        }
        let usual = [(true, true, false), (false, false, false), (false, true, true)];
        let is_usual = |e: &Endpoint| usual.contains(&(e.ready, e.serving, e.terminating));
        let few: Vec<_> = states(false).into_iter().filter(is_usual).collect();
        for (i, first) in few.iter().enumerate() {
            for (j, second) in few.iter().enumerate().skip(i) {
                for third in &few[j..] {
                    check(&world, &numbered(vec![first.clone(), second.clone(), third.clone()]), question);
                }
            }
        }
    }
}

#[test]
fn every_combination_of_backends_under_policies_cluster_and_cluster() {
    every_combination(false, false);
}

#[test]
fn every_combination_of_backends_under_policies_cluster_and_local() {
    every_combination(false, true);
}

#[test]
fn every_combination_of_backends_under_policies_local_and_cluster() {
    every_combination(true, false);
}

#[test]
fn every_combination_of_backends_under_policies_local_and_local() {
    every_combination(true, true);
}

#[test]
fn without_direct_server_return_external_policies_are_cluster() {
    let world = World::new("9.2");
    for endpoint in states(true) {
        let endpoints = [Endpoint { id: 1, ..endpoint }, Endpoint { id: 2, ..states(true).pop().unwrap() }];
        for internal_local in [false, true] {
            for question in questions(internal_local, true) {
                let desired = world.desired(every_kind(question), slice_of(&endpoints), question.zone);
                let taken = Question { external_local: false, preserve_destination: false, ..question };
                assert_eq!(given(&desired), answer(&endpoints, taken), "{question:?} of {endpoints:#?}");
            }
        }
    }
}

/// The flags of each kind, by the table of the Windows proxy, section 2.3.
fn flags(kind: FrontendKind, enable_dsr: bool, local: bool, preserve: bool) -> (bool, u32) {
    match kind {
        FrontendKind::ClusterIp => (enable_dsr, 0),
        FrontendKind::NodePort => (local, 18),
        FrontendKind::ExternalIp => (local, 16),
        FrontendKind::IngressIp => (local || preserve, if preserve { 28 } else { 16 }),
        FrontendKind::HealthCheck => (false, if preserve { 12 } else { 0 }),
    }
}

#[test]
fn flags_of_every_kind_follow_the_table() {
    const KINDS: [FrontendKind; 5] = [
        FrontendKind::ClusterIp,
        FrontendKind::NodePort,
        FrontendKind::ExternalIp,
        FrontendKind::IngressIp,
        FrontendKind::HealthCheck,
    ];
    // The least version of each capability, and those without.
    for (version, has_dsr, has_affinity) in [("9.2", false, false), ("11.10", true, false), ("15.5", true, true)] {
        for bits in 0..32u8 {
            let bit = |n: u8| bits >> n & 1 == 1;
            let (enable_dsr, affinity) = (bit(3), bit(4));
            let question =
                Question { internal_local: bit(0), external_local: bit(1), preserve_destination: bit(2), zone: None };
            let mut world = World::new(version);
            world.settings.enable_dsr = enable_dsr;
            let mut service = every_kind(question);
            service.client_ip_affinity = affinity;
            let mut here = states(true).pop().unwrap();
            (here.id, here.terminating) = (1, false);
            let desired = world.desired(service, slice_of(&[here]), None);
            for kind in KINDS {
                let (local, preserve) = (question.external_local && has_dsr, question.preserve_destination && has_dsr);
                let (dsr, mapping) = flags(kind, enable_dsr && has_dsr, local, preserve);
                let spec = of_kind(&desired, kind);
                let sticky = affinity && has_affinity && kind != FrontendKind::HealthCheck;
                assert_eq!(
                    spec.flags,
                    LoadBalancerFlags::NONE.with(LoadBalancerFlags::DSR, dsr),
                    "{kind} {question:?}"
                );
                assert_eq!(spec.mapping_flags, PortMappingFlags(mapping), "{kind} {question:?}");
                assert_eq!(spec.distribution, DistributionType(if sticky { 2 } else { 0 }), "{kind} {question:?}");
                assert_eq!(spec.source_vip, None);
            }
        }
    }
}

#[test]
fn the_source_address_on_overlay_follows_where_the_backends_are() {
    let mut world = World::new("15.5");
    let remote = RemoteSubnetRoute {
        destination_prefix: "10.244.2.0/24".parse().unwrap(),
        isolation_id: 4096,
        provider_address: "192.168.77.2".parse().unwrap(),
        distributed_router_mac_address: String::new(),
    };
    let network = Network { id: NETWORK, overlay: true, subnets: Vec::new(), remote_subnets: vec![remote] };
    world.networks.named_mut(proxy::NetworkIndex::FIRST).unwrap().network = Some(network);
    // Here, in another node's subnet, another node itself, outside the cluster.
    let places = [("10.244.1.11", true), ("10.244.2.7", false), ("192.168.77.2", false), ("192.0.2.20", false)];
    for bits in 0..64u8 {
        let bit = |n: u8| bits >> n & 1 == 1;
        let question =
            Question { internal_local: bit(4), external_local: bit(5), preserve_destination: false, zone: None };
        let mut slice = slice_of(&[]);
        for (n, (address, here)) in (0..).zip(places) {
            if bit(n) {
                let backend = proxy::testing::backend(address).on(if here { "here" } else { "there" });
                slice.backends.extend(proxy::testing::slice("ns/x", "ns/web").backend(backend).build().backends);
            }
        }
        let desired = world.desired(every_kind(question), slice, None);
        // Where both policies keep traffic here, no remote backend counts.
        let remote_counts = !(question.internal_local && question.external_local);
        let node = remote_counts && (bit(2) || bit(3));
        let expected = if node { "192.168.77.1" } else { "10.244.1.250" };
        for spec in &desired.load_balancers {
            assert_eq!(spec.source_vip.unwrap().to_string(), expected, "{} {question:?} {bits:06b}", spec.kind);
        }
        assert_eq!(desired.service_addresses.len(), 1);
    }
}
