//! What happens to a node, in one row each: the events, the film of hnsproxy, and the traffic.

use std::net::IpAddr;
use std::time::Duration;

use hcn::{Guid, Hresult, Kind};
use hcn_emulator::Entry;
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::model::{Protocol, Slice};
use proxy::testing::{ServiceBuilder, backend, service, slice};
use vswitch_lab::{Frontend, Host, Place, Setup, Traffic, Transport};

use crate::node::{NODE_ADDRESS, Node};

/// The version of HNS with modifications in place, and one without.
const WITH_MODIFY: &str = "15.5";
const WITHOUT_MODIFY: &str = "14.0";
const SERVICE: &str = "shop/web";
const FRONTEND: &str = "10.96.0.10:80";
const PORT: u16 = 8080;
/// The traffic begins when HNS is in sync, and the events begin later.
const BEGIN: Duration = Duration::from_secs(2);
const EVENT: Duration = Duration::from_secs(5);
/// The time between the endpoint controller's change and the end of a pod: its grace period.
const GRACE: Duration = Duration::from_secs(2);

/// One history.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
}

/// How much traffic each row has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) held: u32,
    pub(crate) new_per_second: u32,
}

/// All rows.
pub(crate) fn all(load: Load) -> Vec<Row> {
    let mut rows = vec![
        proxy_restart(),
        hns_restart("HNS restart", &[]),
        hns_restart("HNS restart, load balancers lost", &[Kind::LoadBalancer]),
        failed_look_up(),
        edit("port added", |service| service.named_port("metrics", Protocol::TCP, 9090)),
        edit("affinity changed", |service| service.with(|service| service.client_ip_affinity = true)),
        edit("external IP added", |service| service.external_ip("203.0.113.7")),
        rolling_update("rolling update, 100 pods", WITH_MODIFY),
        rolling_update("rolling update, 100 pods, no modify", WITHOUT_MODIFY),
        unready("backend unready", WITH_MODIFY),
        unready("backend unready, no modify", WITHOUT_MODIFY),
        drain("node drained", WITH_MODIFY),
        drain("node drained, no modify", WITHOUT_MODIFY),
    ];
    for row in &mut rows {
        row.setup.traffic.held = load.held;
        row.setup.traffic.new_per_second = load.new_per_second;
    }
    rows
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The pods of a Service: local ones first.
struct World {
    node: Node,
    hosts: Vec<Host>,
    local: Vec<(Guid, IpAddr)>,
}

fn local(number: usize) -> String {
    format!("10.244.1.{}", 10 + number)
}

fn remote(number: usize) -> String {
    format!("10.244.{}.{}", 2 + number / 100, 10 + number % 100)
}

fn web() -> ServiceBuilder {
    service(SERVICE).cluster_ip("10.96.0.10").port(80)
}

/// The backends at these addresses, and those that terminate.
fn backends(ready: &[String], terminating: &[String]) -> Slice {
    let node = |address: &str| if address.starts_with("10.244.1.") { "here" } else { "there" };
    let mut slice = slice("shop/web-1", SERVICE).port(PORT);
    for address in ready {
        slice = slice.backend(backend(address).on(node(address)));
    }
    for address in terminating {
        slice = slice.backend(backend(address).on(node(address)).terminating());
    }
    slice.build()
}

impl World {
    /// A node with a client pod, and a Service with two local backends and some remote ones. hnsproxy has programmed them.
    fn new(version: &str, remotes: usize) -> Self {
        let mut node = Node::new(version);
        let server = |address: &str, place| Host::new(ip(address), place, &[PORT]);
        let mut hosts = vec![
            Host::new(ip("10.244.1.200"), Place::Pod, &[]),
            Host::new(ip(NODE_ADDRESS), Place::Node, &[]),
            Host::new(ip("198.51.100.1"), Place::Outside, &[]),
        ];
        node.pod(ip("10.244.1.200"));
        let local: Vec<(Guid, IpAddr)> =
            (0..2).map(|number| ip(&local(number))).map(|address| (node.pod(address), address)).collect();
        hosts.extend((0..2).map(|number| server(&self::local(number), Place::Pod)));
        hosts.extend((0..remotes).map(|number| server(&remote(number), Place::Outside)));
        node.apply_service(web().build());
        node.apply_slice(backends(&addresses(2, remotes), &[]));
        node.start();
        node.run_until(EVENT);
        Self { node, hosts, local }
    }

    /// The row, after hnsproxy has had time for everything.
    fn row(mut self, name: &'static str, last_event: Duration) -> Row {
        let end = last_event + Duration::from_secs(5);
        self.node.run_until(end);
        let traffic = Traffic {
            clients: vec![ip("10.244.1.200"), ip(NODE_ADDRESS)],
            frontends: vec![Frontend { transport: Transport::Tcp, address: FRONTEND.parse().expect("an address") }],
            held: 0,
            new_per_second: 0,
            begin: BEGIN,
            end,
        };
        let node = vswitch::Node { addresses: vec![ip(NODE_ADDRESS)], host_endpoints: Vec::new() };
        Row { name, setup: Setup { node, film: self.node.film(), hosts: self.hosts, traffic } }
    }

    /// The host with an address becomes unready, and ends after its grace period.
    fn goes(&mut self, address: &str, at: Duration) {
        let address = ip(address);
        for host in self.hosts.iter_mut().filter(|host| host.address == address) {
            host.ready_until = Some(at);
            host.serves_until = Some(at + GRACE);
        }
    }
}

fn addresses(locals: usize, remotes: usize) -> Vec<String> {
    (0..locals).map(local).chain((0..remotes).map(remote)).collect()
}

fn proxy_restart() -> Row {
    let mut world = World::new(WITH_MODIFY, 2);
    world.node.stop();
    let back = EVENT + Duration::from_secs(1);
    world.node.run_until(back);
    world.node.start();
    world.row("proxy restart", back)
}

fn hns_restart(name: &'static str, lost: &[Kind]) -> Row {
    let mut world = World::new(WITH_MODIFY, 2);
    world.node.restart_hns(lost, Duration::from_secs(1));
    world.row(name, EVENT + Duration::from_secs(1))
}

fn failed_look_up() -> Row {
    let mut world = World::new(WITH_MODIFY, 2);
    let fails = |which| Fault { which, from: 1, every: 0, effect: Effect::Fail(Hresult::RPC_S_CALL_FAILED) };
    world.node.emulator.inject(fails(Which::V2List(Kind::Network)));
    // One of twelve audits lists the networks.
    let looked_up = EVENT + Duration::from_secs(7);
    world.node.run_until(looked_up);
    let failed = |entry: &Entry| entry.function == "HcnEnumerateNetworks" && !entry.code.is_success();
    assert!(world.node.emulator.journal().iter().any(failed), "no list of networks has failed");
    world.row("one failed list of networks", looked_up)
}

fn edit(name: &'static str, change: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> Row {
    let mut world = World::new(WITH_MODIFY, 2);
    world.node.apply_service(change(web()).build());
    world.row(name, EVENT)
}

/// Each pod is replaced by one with another address, four at a time, four times a second.
fn rolling_update(name: &'static str, version: &str) -> Row {
    const PODS: usize = 100;
    const AT_ONCE: usize = 4;
    let mut world = World::new(version, PODS);
    let mut at = EVENT;
    let mut pods: Vec<String> = (0..PODS).map(remote).collect();
    for from in (0..PODS).step_by(AT_ONCE) {
        let old: Vec<String> = pods.iter().skip(from).take(AT_ONCE).cloned().collect();
        for (place, pod) in pods.iter_mut().enumerate().skip(from).take(AT_ONCE) {
            *pod = remote(PODS + place);
            world.hosts.push(Host::new(ip(pod), Place::Outside, &[PORT]));
        }
        old.iter().for_each(|pod| world.goes(pod, at));
        let ready: Vec<String> = addresses(2, 0).into_iter().chain(pods.iter().cloned()).collect();
        world.node.apply_slice(backends(&ready, &[]));
        at += Duration::from_millis(250);
        world.node.run_until(at);
    }
    world.row(name, at)
}

fn unready(name: &'static str, version: &str) -> Row {
    let mut world = World::new(version, 2);
    world.goes(&remote(1), EVENT);
    world.node.apply_slice(backends(&addresses(2, 1), &[]));
    world.row(name, EVENT)
}

/// The node is drained: its pods terminate while they still answer, and their endpoints go with them.
fn drain(name: &'static str, version: &str) -> Row {
    let mut world = World::new(version, 2);
    let locals = addresses(2, 0);
    locals.iter().for_each(|pod| world.goes(pod, EVENT));
    let remotes: Vec<String> = (0..2).map(remote).collect();
    world.node.apply_slice(backends(&remotes, &locals));
    world.node.run_until(EVENT + GRACE);
    world.node.apply_slice(backends(&remotes, &[]));
    world.node.run_until(EVENT + GRACE + Duration::from_millis(500));
    for (endpoint, _) in world.local.clone() {
        world.node.remove_pod(endpoint);
    }
    world.row(name, EVENT + GRACE)
}
