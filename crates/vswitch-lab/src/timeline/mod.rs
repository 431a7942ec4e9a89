//! Timelines: what happens to a small cluster and to its node, and when. A benchmark plays each one with several Service proxies.

mod all;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hcn::{Guid, Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Change, Emulator};
use vswitch::Node;

use crate::setup::{Frontend, Host, Place, Setup, Traffic, Transport};

pub use all::all;

/// The name of the node, and its address.
pub const NODE: &str = "here";
pub const NODE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));
pub const NAMESPACE: &str = "shop";
/// The pod that opens connections. It is on the node.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 1, 200));

/// How long calls of HNS take on Windows: a creation, a deletion, and any other call.
const CREATE: Duration = Duration::from_millis(9);
const DELETE: Duration = Duration::from_millis(4);
const OTHER: Duration = Duration::from_micros(100);

/// What happens. All times are since a moment at which HNS has what the Services need.
#[derive(Debug, Clone)]
pub struct Timeline {
    pub name: &'static str,
    pub hns_version: &'static str,
    /// The Services at the beginning. Clients use the first port of the first one.
    pub services: Vec<Service>,
    /// In the order of their times.
    pub events: Vec<Event>,
    /// When clients stop opening connections.
    pub end: Duration,
    hosts: Vec<Host>,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub at: Duration,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// The Service with this name, or its backends, change.
    Change(Service),
    StopProxy,
    StartProxy,
    /// HNS stops, and loses its objects of these kinds.
    StopHns(&'static [Kind]),
    StartHns,
    /// Another program deletes all load balancers.
    DeleteLoadBalancers,
    /// The next enumeration of networks fails.
    FailNetworkList,
    /// The CNI plugin removes the endpoint of a pod.
    RemovePod(IpAddr),
}

/// A Service of type ClusterIP, and its backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: &'static str,
    pub cluster_ip: Ipv4Addr,
    pub external_ip: Option<Ipv4Addr>,
    pub has_client_ip_affinity: bool,
    pub ports: Vec<Port>,
    pub ready: Vec<IpAddr>,
    pub terminating: Vec<IpAddr>,
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    pub name: &'static str,
    pub number: u16,
    /// The port of the backends.
    pub target: u16,
}

impl Service {
    /// The number of its load balancers.
    pub fn frontends(&self) -> usize {
        let addresses = 1 + usize::from(self.external_ip.is_some());
        addresses * self.ports.len()
    }
}

/// The traffic of a timeline.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub held: u32,
    pub new_per_second: u32,
}

impl Timeline {
    /// The name of the file of a recording.
    pub fn file_name(&self) -> String {
        format!("{}.jsonl.gz", self.name.to_lowercase().replace(", ", "-").replace(' ', "-"))
    }

    /// The addresses of the pods that are on the node at the beginning.
    pub fn local_pods(&self) -> impl Iterator<Item = IpAddr> {
        self.hosts.iter().filter(|host| host.place == Place::Pod).map(|host| host.address)
    }

    /// The setup that plays this timeline with the changes that a proxy made in HNS during it.
    pub fn setup(&self, changes: Vec<Change>, load: Load) -> Setup {
        let frontends = self.services.first().into_iter().flat_map(|service| {
            let address = |port: &Port| SocketAddr::new(service.cluster_ip.into(), port.number);
            let frontend = |port: &Port| Frontend { transport: Transport::Tcp, address: address(port) };
            service.ports.first().map(frontend)
        });
        let traffic = Traffic {
            clients: vec![CLIENT, NODE_ADDRESS],
            frontends: frontends.collect(),
            held: load.held,
            new_per_second: load.new_per_second,
            begin: Duration::ZERO,
            end: self.end,
        };
        let node = Node { addresses: vec![NODE_ADDRESS], host_endpoints: Vec::new() };
        Setup { node, changes, hosts: self.hosts.clone(), traffic }
    }
}

/// The node of a backend.
pub fn node_of(backend: IpAddr) -> &'static str {
    if all::is_local(backend) { NODE } else { "there" }
}

/// Makes the calls of an emulator take as long as on Windows.
pub fn delay_calls(emulator: &Emulator) {
    emulator.inject(Fault::of_each(Which::Any, Effect::Delay(OTHER)));
    for (function, time) in [
        ("HcnCreateLoadBalancer", CREATE),
        ("HcnCreateEndpoint", CREATE),
        ("HcnDeleteLoadBalancer", DELETE),
        ("HcnDeleteEndpoint", DELETE),
    ] {
        emulator.delay(function, time.saturating_sub(OTHER));
    }
}

/// Deletes all load balancers, as another program.
pub fn delete_load_balancers(emulator: &Emulator) {
    for document in emulator.documents(Kind::LoadBalancer) {
        let id: Option<Guid> = document.get("ID").and_then(|id| id.as_str()?.parse().ok());
        id.into_iter().for_each(|id| emulator.remove(Kind::LoadBalancer, id));
    }
}

/// Makes the next enumeration of networks fail.
pub fn fail_network_list(emulator: &Emulator) {
    let effect = Effect::Fail(Hresult::RPC_S_CALL_FAILED);
    emulator.inject(Fault { which: Which::V2List(Kind::Network), from: 1, every: 0, effect });
}

/// Whether an enumeration of networks has failed since the last reset of the journal.
pub fn has_failed_network_list(emulator: &Emulator) -> bool {
    emulator.journal().iter().any(|entry| entry.function == "HcnEnumerateNetworks" && !entry.code.is_success())
}
