//! The timelines: a Service with two backends on the node and some on another node, and another Service.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hcn::Kind;

use super::{Action, CLIENT, Event, NODE_ADDRESS, Port, Service, Timeline};
use crate::setup::{Host, Place};

/// The version of HNS with modifications in place, and one without.
const WITH_MODIFY: &str = "15.5";
const WITHOUT_MODIFY: &str = "14.0";
const HTTP: Port = Port { name: "http", number: 80, target: 8080 };
const METRICS: Port = Port { name: "metrics", number: 9090, target: 9090 };
/// The number of backends on the node.
const LOCAL: u8 = 2;
/// The first event. All held connections are open then.
const EVENT: Duration = Duration::from_secs(3);
/// The time between the endpoint controller's change and the end of a pod: its grace period.
const GRACE: Duration = Duration::from_secs(2);
/// How long a stopped service or proxy is down.
const DOWN: Duration = Duration::from_secs(1);
/// How long a timeline continues after its last event.
const AFTER: Duration = Duration::from_secs(5);
/// The same if a proxy starts, which may take some seconds, or if a periodic sync of kube-proxy is part of the result: one each 30 s.
const AFTER_START: Duration = Duration::from_secs(15);
const AFTER_LOSS: Duration = Duration::from_secs(40);

/// All timelines.
pub fn all() -> Vec<Timeline> {
    vec![
        proxy_restart(),
        hns_restart("HNS restart", &[], AFTER),
        hns_restart("HNS restart, load balancers lost", &[Kind::LoadBalancer], AFTER_LOSS),
        all_lost(),
        failed_list(),
        edit("port added", |service| service.ports.push(METRICS)),
        edit("session affinity changed", |service| service.has_client_ip_affinity = true),
        edit("external IP added", |service| service.external_ip = Some(external_ip(7))),
        external_ip_moved(),
        rolling_update("rolling update of 100 pods", WITH_MODIFY),
        rolling_update("rolling update of 100 pods, no modify", WITHOUT_MODIFY),
        unready("backend unready", WITH_MODIFY),
        unready("backend unready, no modify", WITHOUT_MODIFY),
        drain("node drained", WITH_MODIFY),
        drain("node drained, no modify", WITHOUT_MODIFY),
    ]
}

fn local(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 244, 1, 10 + number).into()
}

/// Backends on the other node. Their addresses have no order, as those of pods that replace each other: with a modulo selection, an order that
/// the list of backends keeps would favour one proxy.
fn remote(number: u8) -> IpAddr {
    const ADDRESSES: u16 = 200;
    // Has no common divisor with the number of addresses, so each number has an address of its own.
    const STRIDE: u16 = 77;
    let place = u16::from(number) * STRIDE % ADDRESSES;
    Ipv4Addr::from_bits(0x0af4_020a + u32::from(place)).into()
}

fn external_ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number)
}

pub(super) fn is_local(backend: IpAddr) -> bool {
    (0..LOCAL).any(|number| local(number) == backend)
}

fn web(remotes: u8) -> Service {
    Service {
        name: "web",
        cluster_ip: Ipv4Addr::new(10, 96, 0, 10),
        external_ip: None,
        has_client_ip_affinity: false,
        ports: vec![HTTP],
        ready: (0..LOCAL).map(local).chain((0..remotes).map(remote)).collect(),
        terminating: Vec::new(),
    }
}

/// A Service that no client uses.
fn other(backend: u8) -> Service {
    let ready = vec![Ipv4Addr::new(10, 244, 3, backend).into()];
    Service { name: "other", cluster_ip: Ipv4Addr::new(10, 96, 0, 20), ready, ..web(0) }
}

impl Timeline {
    /// Nothing happens yet.
    fn new(name: &'static str, hns_version: &'static str, remotes: u8) -> Self {
        let web = web(remotes);
        let mut hosts = vec![
            Host::new(CLIENT, Place::Pod, &[]),
            Host::new(NODE_ADDRESS, Place::Node, &[]),
            Host::new(Ipv4Addr::new(198, 51, 100, 1).into(), Place::Outside, &[]),
        ];
        hosts.extend(web.ready.iter().map(|backend| server(*backend)));
        Self { name, hns_version, services: vec![web, other(1)], events: Vec::new(), end: EVENT + AFTER, hosts }
    }

    /// Adds an event.
    fn at(&mut self, at: Duration, action: Action) {
        self.events.push(Event { at, action });
        self.end = self.end.max(at + AFTER);
    }

    /// The Service at the beginning.
    fn web(&self) -> Service {
        self.services.first().cloned().unwrap_or_else(|| web(0))
    }

    /// A backend becomes unready, and ends after its grace period.
    fn remove_backend(&mut self, backend: IpAddr, at: Duration) {
        for host in self.hosts.iter_mut().filter(|host| host.address == backend) {
            host.ready_until = Some(at);
            host.serves_until = Some(at + GRACE);
        }
    }
}

fn server(backend: IpAddr) -> Host {
    let place = if is_local(backend) { Place::Pod } else { Place::Outside };
    Host::new(backend, place, &[HTTP.target])
}

fn proxy_restart() -> Timeline {
    let mut timeline = Timeline::new("proxy restart", WITH_MODIFY, 2);
    timeline.at(EVENT, Action::StopProxy);
    timeline.at(EVENT + DOWN, Action::StartProxy);
    timeline.end = EVENT + DOWN + AFTER_START;
    timeline
}

fn hns_restart(name: &'static str, lost: &'static [Kind], after: Duration) -> Timeline {
    let mut timeline = Timeline::new(name, WITH_MODIFY, 2);
    timeline.at(EVENT, Action::StopHns(lost));
    timeline.at(EVENT + DOWN, Action::StartHns);
    timeline.end = EVENT + DOWN + after;
    timeline
}

fn all_lost() -> Timeline {
    let mut timeline = Timeline::new("all load balancers lost", WITH_MODIFY, 2);
    timeline.at(EVENT, Action::DeleteLoadBalancers);
    timeline.end = EVENT + AFTER_LOSS;
    timeline
}

/// A backend of another Service changes, because kube-proxy enumerates networks after a change.
fn failed_list() -> Timeline {
    let mut timeline = Timeline::new("one failed list of networks", WITH_MODIFY, 2);
    timeline.at(EVENT, Action::FailNetworkList);
    timeline.at(EVENT, Action::Change(other(2)));
    timeline.end = EVENT + AFTER_LOSS;
    timeline
}

fn edit(name: &'static str, change: impl FnOnce(&mut Service)) -> Timeline {
    let mut timeline = Timeline::new(name, WITH_MODIFY, 2);
    let mut service = timeline.web();
    change(&mut service);
    timeline.at(EVENT, Action::Change(service));
    timeline
}

fn external_ip_moved() -> Timeline {
    let mut timeline = edit("external IP moved", |service| service.external_ip = Some(external_ip(8)));
    timeline.services.iter_mut().take(1).for_each(|service| service.external_ip = Some(external_ip(7)));
    timeline
}

/// Each pod on the other node is replaced by one with another address, four at a time, four times a second.
fn rolling_update(name: &'static str, hns_version: &'static str) -> Timeline {
    const PODS: u8 = 100;
    const AT_ONCE: usize = 4;
    const INTERVAL: Duration = Duration::from_millis(250);
    let mut timeline = Timeline::new(name, hns_version, PODS);
    let mut service = timeline.web();
    let numbers: Vec<u8> = (0..PODS).collect();
    let mut at = EVENT;
    for step in numbers.chunks(AT_ONCE) {
        for number in step {
            let (old, new) = (remote(*number), remote(PODS + number));
            timeline.remove_backend(old, at);
            timeline.hosts.push(server(new));
            service.ready.iter_mut().filter(|backend| **backend == old).for_each(|backend| *backend = new);
        }
        timeline.at(at, Action::Change(service.clone()));
        at += INTERVAL;
    }
    timeline
}

fn unready(name: &'static str, hns_version: &'static str) -> Timeline {
    let mut timeline = Timeline::new(name, hns_version, 2);
    timeline.remove_backend(remote(1), EVENT);
    timeline.at(EVENT, Action::Change(web(1)));
    timeline
}

/// The node is drained: its pods terminate while they still answer, and their endpoints go with them.
fn drain(name: &'static str, hns_version: &'static str) -> Timeline {
    /// The CNI plugin removes the endpoint some time after the end of the pod.
    const ENDPOINT_REMOVED_AFTER: Duration = Duration::from_millis(500);
    let mut timeline = Timeline::new(name, hns_version, 2);
    let mut service = timeline.web();
    let pods: Vec<IpAddr> = service.ready.extract_if(.., |backend| is_local(*backend)).collect();
    pods.iter().for_each(|pod| timeline.remove_backend(*pod, EVENT));
    timeline.at(EVENT, Action::Change(Service { terminating: pods.clone(), ..service.clone() }));
    timeline.at(EVENT + GRACE, Action::Change(service));
    pods.into_iter().for_each(|pod| timeline.at(EVENT + GRACE + ENDPOINT_REMOVED_AFTER, Action::RemovePod(pod)));
    timeline
}
