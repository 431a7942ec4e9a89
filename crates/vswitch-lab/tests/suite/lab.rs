//! Histories that a test writes, under chosen assumptions.

use std::net::IpAddr;
use std::time::Duration;

use hcn::{Guid, Kind};
use hcn_emulator::{Change, ChangeFeed, Emulator, testing};
use serde_json::{Value, json};
use vswitch::assumptions::{Gap, Recreation, ServiceDown};
use vswitch::{Assumptions, DropReason, Node};
use vswitch_lab::{Frontend, Held, Host, LabError, New, Place, Setup, Span, Tally, Traffic, Transport, run};

pub(crate) const SERVER_PORT: u16 = 8080;

/// An emulator on a virtual clock, and its changes.
struct History {
    emulator: Emulator,
    feed: ChangeFeed,
}

impl History {
    fn new() -> Self {
        Self::of("L2Bridge")
    }

    /// With a network of a type.
    fn of(network_type: &str) -> Self {
        let emulator = Emulator::from_host(&testing::host("15.5", &[network_type])).unwrap().on_virtual_clock();
        let feed = emulator.follow(1000);
        Self { emulator, feed }
    }

    /// Lets time pass until a moment, in milliseconds.
    fn until(&self, millis: u64) {
        self.emulator.advance(Duration::from_millis(millis) - self.emulator.age());
    }

    fn changes(&self) -> Vec<Change> {
        std::iter::from_fn(|| self.feed.try_recv().unwrap()).collect()
    }

    fn pod(&self, address: &str) -> Guid {
        self.emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &[ip(address)])
    }

    /// A load balancer with direct server return.
    fn balancer(&self, vip: &str, backends: &[Guid]) -> Guid {
        self.emulator.add(Kind::LoadBalancer, balancer(vip, backends))
    }
}

pub(crate) fn balancer(vip: &str, backends: &[Guid]) -> Value {
    let mapping = |protocol: u8| json!({"Protocol": protocol, "InternalPort": SERVER_PORT, "ExternalPort": 80});
    json!({"HostComputeEndpoints": backends, "FrontendVIPs": [vip], "Flags": 1,
           "PortMappings": [mapping(6), mapping(17)], "SchemaVersion": {"Major": 2, "Minor": 0}})
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two servers and three clients: a pod, the node, and a computer outside.
fn setup(changes: Vec<Change>) -> Setup {
    let server = |address| Host::new(ip(address), Place::Pod, &[SERVER_PORT]);
    let hosts = vec![
        server("10.244.1.7"),
        server("10.244.1.8"),
        Host::new(ip("10.244.1.9"), Place::Pod, &[]),
        Host::new(ip("192.168.77.1"), Place::Node, &[]),
        Host::new(ip("198.51.100.1"), Place::Outside, &[]),
    ];
    let frontend = |transport| Frontend { transport, address: "10.96.0.10:80".parse().unwrap() };
    let traffic = Traffic {
        clients: vec![ip("10.244.1.9"), ip("192.168.77.1"), ip("198.51.100.1")],
        frontends: vec![frontend(Transport::Tcp), frontend(Transport::Udp)],
        held: 60,
        new_per_second: 100,
        begin: Duration::ZERO,
        end: Duration::from_secs(10),
    };
    let node = Node { addresses: vec![ip("192.168.77.1")], host_endpoints: Vec::new() };
    Setup { node, changes, hosts, traffic }
}

/// A history in which nothing happens after the begin, and what it has.
fn quiet() -> (History, Guid, [Guid; 2]) {
    let history = History::new();
    history.pod("10.244.1.9");
    let pods = ["10.244.1.7", "10.244.1.8"].map(|address| history.pod(address));
    let balancer = history.balancer("10.96.0.10", &pods);
    (history, balancer, pods)
}

fn of(setup: &Setup, assumptions: Assumptions) -> Tally {
    run(setup, assumptions, 1).unwrap()
}

#[test]
fn without_a_change_all_connections_succeed_under_every_assumption() {
    let setup = setup(quiet().0.changes());
    let tallies: Vec<Tally> = Assumptions::variations().into_iter().map(|one| of(&setup, one)).collect();
    for tally in &tallies {
        assert_eq!(tally.held, Held { kept: 60, ..Held::default() }, "{tally:?}");
        let New { ok, slow: 0, failed: 0 } = tally.new else { panic!("{tally:?}") };
        assert!((900..1100).contains(&ok), "{tally:?}");
        assert_eq!((tally.packets.lost, tally.packets.drops.len()), (0, 0), "{tally:?}");
    }
    let span = Span::of(&tallies).unwrap();
    assert_eq!((span.failed.to_string(), span.kept.to_string()), ("0".to_owned(), "60".to_owned()));
}

#[test]
fn the_same_seed_gives_the_same_tally() {
    let (history, balancer, _) = quiet();
    history.until(4321);
    history.emulator.remove(Kind::LoadBalancer, balancer);
    let setup = setup(history.changes());
    let all: Vec<Tally> = [1, 1, 2].map(|seed| run(&setup, Assumptions::default(), seed).unwrap()).to_vec();
    assert_eq!(all[0], all[1]);
    assert_ne!(all[0], all[2]);
}

#[test]
fn a_load_balancer_that_is_replaced_delays_or_breaks_connections() {
    let (history, id, pods) = quiet();
    history.until(5000);
    history.emulator.remove(Kind::LoadBalancer, id);
    history.until(5100);
    history.balancer("10.96.0.10", &[pods[1], pods[0]]);
    let setup = setup(history.changes());
    let dropped = Assumptions { gap: Gap::Drop, recreation: Recreation::Stays, ..Assumptions::default() };
    let tally = of(&setup, dropped);
    // Packets of the gap are sent again.
    assert_eq!((tally.held.kept, tally.new.failed), (60, 0), "{tally:?}");
    assert!(tally.new.slow > 0, "{tally:?}");
    let tally = of(&setup, Assumptions { gap: Gap::Reset, ..dropped });
    assert!(tally.held.broken > 0 && tally.new.failed > 0 && tally.held.ended == 0, "{tally:?}");
}

#[test]
fn a_stopped_service_breaks_nothing_if_its_rules_stay() {
    let history = quiet().0;
    history.until(4000);
    history.emulator.stop(&[]);
    history.until(6000);
    history.emulator.start();
    let setup = setup(history.changes());
    let tally = of(&setup, Assumptions { service_down: ServiceDown::RulesStay, ..Assumptions::default() });
    assert_eq!((tally.new.slow, tally.new.failed, tally.held.kept), (0, 0, 60), "{tally:?}");
    let tally = of(&setup, Assumptions { service_down: ServiceDown::RulesLost, ..Assumptions::default() });
    assert!(tally.new.slow + tally.new.failed > 0, "{tally:?}");
}

#[test]
fn a_removed_backend_breaks_only_its_own_connections() {
    let (history, id, pods) = quiet();
    history.until(5000);
    history.emulator.replace(Kind::LoadBalancer, id, balancer("10.96.0.10", &pods[1..]));
    let mut setup = setup(history.changes());
    setup.hosts[0].ready_until = Some(Duration::from_millis(4990));
    setup.hosts[0].serves_until = Some(Duration::from_millis(7000));
    for assumptions in Assumptions::variations() {
        let tally = of(&setup, assumptions);
        assert_eq!((tally.held.broken, tally.held.unopened), (0, 0), "{assumptions}: {tally:?}");
        assert!(tally.held.ended > 10 && tally.held.kept > 10, "{assumptions}: {tally:?}");
        assert_eq!(tally.new.failed, 0, "{assumptions}: {tally:?}");
    }
}

#[test]
fn a_server_that_ends_before_its_backend_is_removed_refuses_connections() {
    let (history, id, pods) = quiet();
    history.until(6000);
    history.emulator.replace(Kind::LoadBalancer, id, balancer("10.96.0.10", &pods[1..]));
    let mut setup = setup(history.changes());
    setup.hosts[0].ready_until = Some(Duration::from_millis(5000));
    setup.hosts[0].serves_until = Some(Duration::from_millis(5000));
    let tally = of(&setup, Assumptions::default());
    assert!(tally.new.failed > 10 && tally.held.ended > 10 && tally.held.broken == 0, "{tally:?}");
}

#[test]
fn ipv6_is_forwarded_too() {
    let history = History::new();
    history.pod("fd00:244:1::9");
    let pods = ["fd00:244:1::7", "fd00:244:1::8"].map(|address| history.pod(address));
    let mut document = balancer("fd00:10:96::10", &pods);
    document["Flags"] = json!(3);
    history.emulator.add(Kind::LoadBalancer, document);
    let mut setup = setup(history.changes());
    let host = |last: u8, ports: &[u16]| Host::new(ip(&format!("fd00:244:1::{last}")), Place::Pod, ports);
    setup.hosts = vec![host(7, &[SERVER_PORT]), host(8, &[SERVER_PORT]), host(9, &[])];
    setup.traffic.clients = vec![ip("fd00:244:1::9")];
    setup.traffic.frontends.iter_mut().for_each(|one| one.address = "[fd00:10:96::10]:80".parse().unwrap());
    let tally = of(&setup, Assumptions::default());
    assert_eq!((tally.held.kept, tally.new.slow + tally.new.failed), (60, 0), "{tally:?}");
}

#[test]
fn pods_of_other_nodes_are_reached_through_the_tunnel() {
    let history = History::of("Overlay");
    history.pod("10.244.1.9");
    let remote = |last: u8| {
        let provider = json!({"Type": "ProviderAddress", "Settings": {"ProviderAddress": "192.168.77.2"}});
        let document = json!({
            "HostComputeNetwork": testing::NETWORKS[0], "Flags": 1, "Policies": [provider],
            "IpConfigurations": [{"IpAddress": format!("10.244.2.{last}")}], "MacAddress": format!("02-11-0a-f4-02-{last:02}"),
        });
        history.emulator.add(Kind::Endpoint, document)
    };
    let pods = [7, 8].map(remote);
    history.balancer("10.96.0.10", &pods);
    let mut setup = setup(history.changes());
    let server = |address| Host::new(ip(address), Place::Tunnel, &[SERVER_PORT]);
    setup.hosts = vec![server("10.244.2.7"), server("10.244.2.8"), Host::new(ip("10.244.1.9"), Place::Pod, &[])];
    setup.traffic.clients = vec![ip("10.244.1.9")];
    let tally = of(&setup, Assumptions::default());
    assert_eq!((tally.held.kept, tally.new.slow + tally.new.failed), (60, 0), "{tally:?}");
    // Without a provider address, nothing is known of the other node.
    history.emulator.replace(
        Kind::Endpoint,
        pods[0],
        json!({
            "HostComputeNetwork": testing::NETWORKS[0], "Flags": 1, "IpConfigurations": [{"IpAddress": "10.245.9.7"}],
        }),
    );
    setup.changes.extend(history.changes());
    let tally = of(&setup, Assumptions::default());
    assert!(tally.new.failed > 0 && tally.packets.drops.contains_key(&DropReason::NoProviderAddress), "{tally:?}");
}

#[test]
fn a_setup_that_does_not_fit_is_an_error() {
    let mut setup = setup(quiet().0.changes());
    setup.traffic.clients.push(ip("203.0.113.1"));
    let unknown = run(&setup, Assumptions::default(), 1);
    assert!(matches!(unknown, Err(LabError::UnknownClient(_))), "{unknown:?}");
    setup.traffic.clients.clear();
    let nobody = run(&setup, Assumptions::default(), 1);
    assert!(matches!(nobody, Err(LabError::NoTraffic)), "{nobody:?}");
}
