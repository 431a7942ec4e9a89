//! Whatever the cluster and whatever HNS holds: it converges, a second run is empty, order makes no difference, others' objects stay.

use std::collections::BTreeSet;

use hcn::{Generation, Guid, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proptest::prelude::*;
use proxy::Tally;
use proxy::model::{Protocol, Service, Slice};
use proxy::testing::{backend, service, slice};
use serde_json::{Value, json};

use crate::rig::{NETWORK, Rig};

/// A Service in a few numbers, so that addresses and ports meet often.
#[derive(Debug, Clone)]
struct SmallService {
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
}

fn small_service() -> impl Strategy<Value = SmallService> {
    let backends = prop::collection::vec(
        (0..12u8, any::<bool>(), 0..4u8, prop::bool::weighted(0.2))
            .prop_map(|(address, here, state, other_port)| SmallBackend { address, here, state, other_port }),
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
                s.created = self.created;
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
                    let one = backend(&format!("{prefix}{}", small.address + 10)).on(node);
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

fn build(services: &[SmallService]) -> (Vec<Service>, Vec<Slice>) {
    // Of several with one name, the last.
    let mut seen = BTreeSet::new();
    let last: Vec<_> = services.iter().rev().filter(|s| seen.insert(s.name)).collect();
    let (services, slices): (Vec<_>, Vec<_>) = last.into_iter().map(SmallService::build).unzip();
    (services, slices.into_iter().flatten().collect())
}

/// What others have put into HNS.
#[derive(Debug, Clone)]
enum Litter {
    /// A pod's endpoint.
    Local(u8),
    /// A remote endpoint.
    Remote(u8),
    /// A load balancer on a Service's frontend.
    OnCluster { service: u8, udp: bool, internal: u16 },
    /// A load balancer on a frontend that nobody wants.
    Elsewhere(u8),
}

fn litter() -> impl Strategy<Value = Vec<Litter>> {
    let one = prop_oneof![
        3 => (0..12u8).prop_map(Litter::Local),
        2 => (0..12u8).prop_map(Litter::Remote),
        2 => (0..6u8, any::<bool>(), prop_oneof![Just(8080u16), Just(1)])
            .prop_map(|(service, udp, internal)| Litter::OnCluster { service, udp, internal }),
        1 => (0..5u8).prop_map(Litter::Elsewhere),
    ];
    prop::collection::vec(one, 0..10)
}

/// Puts litter into HNS; answers with the objects that must stay.
fn scatter(rig: &Rig, litter: &[Litter]) -> Vec<(Kind, Guid)> {
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
            Litter::Local(address) => {
                if locals.insert(*address) {
                    let four = format!("10.244.1.{}", address + 10);
                    let six = format!("fd00:244::{}", address + 10);
                    stays.push((Kind::Endpoint, rig.local("pod", &[&four, &six])));
                }
            }
            Litter::Remote(address) => {
                // Half of them are just what we would make.
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

fn rig(overlay: bool, version: &str) -> Rig {
    Rig::new(if overlay { "Overlay" } else { "L2Bridge" }, version, Generation::V2)
}

/// What must be true of what HNS holds, whatever led there.
fn check(rig: &Rig, before: &[Value], stays: &[(Kind, Guid)]) {
    let documents = |kind| rig.emulator.documents(kind);
    for (kind, id) in stays {
        let now = rig.emulator.document(*kind, *id);
        assert!(now.is_some() && before.contains(now.as_ref().unwrap()), "{kind:?} {id} of others was touched");
    }
    let balancers = documents(Kind::LoadBalancer);
    let used: BTreeSet<&str> = balancers
        .iter()
        .flat_map(|lb| lb["HostComputeEndpoints"].as_array().unwrap())
        .map(|id| id.as_str().unwrap())
        .collect();
    let services: BTreeSet<String> = rig
        .proxy
        .cluster()
        .iter()
        .filter_map(|(_, entry)| entry.service.as_ref())
        .flat_map(|s| s.cluster_ips.iter().map(ToString::to_string))
        .collect();
    let endpoints = documents(Kind::Endpoint);
    let address = |e: &Value| e["IpConfigurations"][0]["IpAddress"].as_str().unwrap().to_owned();
    let locals: BTreeSet<String> =
        endpoints.iter().filter(|e| e["Flags"].as_u64().unwrap_or(0) & 1 == 0).map(address).collect();
    for endpoint in endpoints.iter().filter(|e| e["Flags"].as_u64().unwrap_or(0) & 1 == 1) {
        let id: Guid = endpoint["ID"].as_str().unwrap().parse().unwrap();
        assert!(!locals.contains(&address(endpoint)), "{} is remote and local", address(endpoint));
        if proxy::identity::is_ours(id) {
            let needed = used.contains(id.to_string().as_str()) || services.contains(&address(endpoint));
            assert!(needed, "remote endpoint {} serves nobody", address(endpoint));
        }
    }
    // What is counted as it changes is what counting anew would give.
    let (progress, statuses) = (rig.proxy.progress(), rig.proxy.frontends());
    let served = statuses.iter().filter(|status| !status.backends.is_empty()).count();
    assert_eq!(progress.load_balancers, Tally { desired: served, confirmed: served });
    assert_eq!((progress.without_backends, progress.backlog, progress.failed), (statuses.len() - served, 0, 0));
    // Each frontend's backends are those of its own Service.
    for status in statuses {
        assert!(status.confirmed, "{} is not confirmed", status.frontend);
        let entry = rig.proxy.cluster().get(&status.service).unwrap();
        let own: BTreeSet<_> = entry.slices.values().flat_map(|s| &s.backends).map(|b| b.address).collect();
        assert!(status.backends.iter().all(|b| own.contains(b)), "{}: a backend of another Service", status.frontend);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_cluster_on_any_hns_converges_and_a_second_run_is_empty(
        services in prop::collection::vec(small_service(), 0..8),
        litter in litter(),
        overlay in any::<bool>(),
        modify in any::<bool>(),
    ) {
        let mut rig = rig(overlay, if modify { "15.5" } else { "14.0" });
        let stays = scatter(&rig, &litter);
        let mut before = rig.emulator.documents(Kind::Endpoint);
        before.extend(rig.emulator.documents(Kind::LoadBalancer));
        let (services, slices) = build(&services);
        rig.cluster(services, slices);
        rig.settle();
        check(&rig, &before, &stays);
        rig.calls();
        rig.sync();
        prop_assert_eq!(rig.calls().1, 0, "a second run writes");
        rig.restart();
        rig.sync();
        prop_assert_eq!(rig.calls().1, 0, "a restart writes");
    }

    #[test]
    fn the_order_of_events_and_the_way_there_make_no_difference(
        first in prop::collection::vec(small_service(), 0..6),
        last in prop::collection::vec(small_service(), 0..6),
        litter in litter(),
        overlay in any::<bool>(),
        stepwise in any::<bool>(),
    ) {
        // Litter of load balancers on frontends differs by history on purpose (adopted or replaced): pods only.
        let litter: Vec<_> = litter.into_iter().filter(|l| matches!(l, Litter::Local(_))).collect();
        let mut direct = rig(overlay, "15.5");
        scatter(&direct, &litter);
        let (services, slices) = build(&last);
        direct.cluster(services.clone(), slices.clone());
        direct.settle();

        let mut winding = rig(overlay, "15.5");
        scatter(&winding, &litter);
        let (old_services, old_slices) = build(&first);
        winding.cluster(old_services, old_slices);
        winding.settle();
        if stepwise {
            for slice in slices.iter().rev() {
                winding.proxy.apply_slice(slice.clone());
                winding.run();
            }
            for service in &services {
                winding.proxy.apply_service(service.clone());
                winding.run();
            }
        }
        winding.cluster(services, slices);
        winding.settle();
        prop_assert_eq!(winding.held(), direct.held());
        check(&winding, &{
            let mut all = winding.emulator.documents(Kind::Endpoint);
            all.extend(winding.emulator.documents(Kind::LoadBalancer));
            all
        }, &[]);
    }

    #[test]
    fn failing_calls_delay_but_do_not_confuse(
        first in prop::collection::vec(small_service(), 0..6),
        last in prop::collection::vec(small_service(), 0..6),
        pods in prop::collection::vec((0..12u8).prop_map(Litter::Local), 0..6),
        every in 2..9u64,
        carried_out in any::<bool>(),
        code in prop_oneof![
            Just(hcn::Hresult::HCN_E_PORT_NOT_FOUND),
            Just(hcn::Hresult::RPC_S_CALL_FAILED),
            Just(hcn::Hresult::HCN_E_PORT_ALREADY_EXISTS),
            Just(hcn::Hresult::ELEMENT_NOT_FOUND),
        ],
    ) {
        let mut rig = rig(false, "15.5");
        scatter(&rig, &pods);
        let effect = if carried_out { Effect::FailAfter(code) } else { Effect::Fail(code) };
        rig.emulator.inject(Fault { which: Which::Writes, from: every, every, effect });
        let (services, slices) = build(&first);
        rig.cluster(services, slices);
        for _ in 0..5 {
            let _ = rig.proxy.observe(&rig.client);
            rig.run();
            rig.now += std::time::Duration::from_secs(5);
        }
        let (services, slices) = build(&last);
        rig.cluster(services.clone(), slices.clone());
        rig.run();
        rig.emulator.clear_faults();
        rig.now += std::time::Duration::from_secs(60);
        rig.settle();

        let mut calm = self::rig(false, "15.5");
        scatter(&calm, &pods);
        calm.cluster(services, slices);
        calm.settle();
        prop_assert_eq!(rig.held(), calm.held());
    }
}
