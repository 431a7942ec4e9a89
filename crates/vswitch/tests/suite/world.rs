//! A node with pods, remote endpoints and load balancers, and short texts for what the switch does with packets.

use hcn::Guid;
use hcn::Kind;
use serde_json::{Value, json};
pub(crate) use vswitch::testing::{PacketKind, build, tuple};
use vswitch::{Assumptions, Change, Instant, Node, PortId, Switch, Trace, Verdict};

pub(crate) const NETWORK: u128 = 1;

/// Pods of this node: `10.244.1.N` and `fd00:1::N`.
pub(crate) const POD_11: u128 = 0x11;
pub(crate) const POD_12: u128 = 0x12;
/// The endpoint of the host, `10.244.1.2`.
pub(crate) const CBR0: u128 = 0x02;
/// Pods of another node: `10.244.2.N` and `fd00:2::N`.
pub(crate) const REMOTE_21: u128 = 0x21;
pub(crate) const REMOTE_22: u128 = 0x22;

pub(crate) fn id(number: u128) -> Guid {
    Guid::from_u128(number)
}

pub(crate) fn pod(number: u128) -> PortId {
    PortId::Endpoint(id(number))
}

/// A switch and a time.
pub(crate) struct World {
    pub(crate) switch: Switch,
    pub(crate) now: Instant,
}

impl World {
    /// A node `10.0.0.4` (and `10.0.0.14`) with an L2Bridge network, its pods, and remote endpoints.
    pub(crate) fn l2bridge(assumptions: Assumptions) -> Self {
        let mut world = Self::empty(assumptions);
        world.network(NETWORK, json!({ "Type": "L2Bridge" }));
        world.pods();
        for (number, address) in [(REMOTE_21, 21), (REMOTE_22, 22)] {
            world.endpoint(number, json!({ "Flags": 1, "IpConfigurations": addresses(2, address) }));
        }
        world
    }

    /// The same with an overlay network. The remote endpoints are on the node `10.0.0.5`.
    pub(crate) fn overlay(assumptions: Assumptions) -> Self {
        let mut world = Self::empty(assumptions);
        let vsid = json!({ "Type": "VSID", "Settings": { "IsolationId": 4096 } });
        let subnet = json!({ "IpAddressPrefix": "10.244.1.0/24", "Policies": [vsid] });
        let route = json!({ "DestinationPrefix": "10.244.3.0/24", "IsolationId": 4096, "ProviderAddress": "10.0.0.6" });
        let policy = json!({ "Type": "RemoteSubnetRoute", "Settings": route });
        world.network(NETWORK, json!({ "Type": "Overlay", "Ipams": [{ "Subnets": [subnet] }], "Policies": [policy] }));
        world.pods();
        for (number, address) in [(REMOTE_21, 21), (REMOTE_22, 22)] {
            let policy = json!({ "Type": "ProviderAddress", "Settings": { "ProviderAddress": "10.0.0.5" } });
            world.endpoint(
                number,
                json!({ "Flags": 1, "IpConfigurations": addresses(2, address), "Policies": [policy] }),
            );
        }
        world
    }

    /// The node without networks.
    pub(crate) fn empty(assumptions: Assumptions) -> Self {
        let addresses = ["10.0.0.4", "10.0.0.14", "fd00::4"].map(|text| text.parse().unwrap());
        let node = Node { addresses: addresses.to_vec(), host_endpoints: vec!["cbr0".to_owned()] };
        Self { switch: Switch::new(node, assumptions), now: Instant::from_secs(1000) }
    }

    fn pods(&mut self) {
        self.endpoint(CBR0, json!({ "Name": "cbr0", "IpConfigurations": addresses(1, 2) }));
        for (number, address) in [(POD_11, 11), (POD_12, 12)] {
            self.endpoint(number, json!({ "IpConfigurations": addresses(1, address) }));
        }
    }

    pub(crate) fn change(&mut self, kind: Kind, number: u128, document: Option<&Value>) {
        let change = Change::read(kind, id(number), document).unwrap().unwrap();
        self.switch.apply(change);
    }

    pub(crate) fn network(&mut self, number: u128, mut document: Value) {
        document["Name"] = json!(format!("network-{number}"));
        self.change(Kind::Network, number, Some(&document));
    }

    /// Creates or modifies an endpoint, by default of [`NETWORK`].
    pub(crate) fn endpoint(&mut self, number: u128, mut document: Value) {
        let members = document.as_object_mut().unwrap();
        members.entry("HostComputeNetwork").or_insert_with(|| json!(id(NETWORK).to_string()));
        self.change(Kind::Endpoint, number, Some(&document));
    }

    /// Creates or modifies a load balancer.
    pub(crate) fn balancer(&mut self, number: u128, document: &Value) {
        self.change(Kind::LoadBalancer, number, Some(document));
    }

    pub(crate) fn remove(&mut self, kind: Kind, number: u128) {
        self.change(kind, number, None);
    }

    /// Sends a packet, and describes what the switch does with it.
    pub(crate) fn send(&mut self, port: PortId, what: PacketKind, from: &str, to: &str) -> String {
        let verdict = self.switch.process(port, &packet(what, from, to), self.now);
        describe(&verdict)
    }

    pub(crate) fn trace(&mut self, port: PortId, what: PacketKind, from: &str, to: &str) -> (String, Trace) {
        let (verdict, trace) = self.switch.process_with_trace(port, &packet(what, from, to), self.now);
        (describe(&verdict), trace)
    }

    /// Sends the answer to a delivered packet, and describes what the switch does with it.
    pub(crate) fn answer(&mut self, what: PacketKind, verdict: &Verdict) -> String {
        let Verdict::Deliver(delivery) = verdict else { return "nothing to answer".to_owned() };
        let tuple = tuple(&delivery.packet);
        let packet = packet(what, &tuple.destination.to_string(), &tuple.source.to_string());
        describe(&self.switch.process(delivery.port, &packet, self.now))
    }

    /// Opens a connection: what the switch does with the first packet and with the answer.
    pub(crate) fn open(&mut self, port: PortId, from: &str, to: &str) -> [String; 2] {
        let verdict = self.switch.process(port, &packet(PacketKind::Syn, from, to), self.now);
        let answer = self.answer(PacketKind::SynAck, &verdict);
        [describe(&verdict), answer]
    }
}

fn addresses(node: u8, host: u8) -> Value {
    json!([{ "IpAddress": format!("10.244.{node}.{host}") }, { "IpAddress": format!("fd00:{node}::{host}") }])
}

/// A load balancer for TCP, or for UDP if `document` says so, that maps port 80 to 8080.
pub(crate) fn balancer(backends: &[u128], mut document: Value) -> Value {
    let members = document.as_object_mut().unwrap();
    let ids: Vec<String> = backends.iter().map(|number| id(*number).to_string()).collect();
    let flags = members.remove("MappingFlags").unwrap_or_default();
    let distribution = members.remove("Distribution").unwrap_or_default();
    let protocol = members.remove("Protocol").unwrap_or(json!(6));
    members.insert("HostComputeEndpoints".to_owned(), json!(ids));
    members.insert(
        "PortMappings".to_owned(),
        json!([{
            "Protocol": protocol, "InternalPort": 8080, "ExternalPort": 80, "Flags": flags, "DistributionType": distribution
        }]),
    );
    document
}

/// What the switch does with a packet, as one line.
pub(crate) fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Deliver(delivery) => {
            let tuple = tuple(&delivery.packet);
            let port = match delivery.port {
                PortId::Endpoint(id) => format!("pod {:x}", id.as_u128()),
                port => port.to_string(),
            };
            let outer = delivery.encapsulation.map(|outer| format!(" in {}", outer.provider_address));
            format!("{port}{}: {} -> {}", outer.unwrap_or_default(), tuple.source, tuple.destination)
        }
        Verdict::Reply(packet) => format!("reset: {} -> {}", tuple(packet).source, tuple(packet).destination),
        Verdict::Drop(reason) => format!("dropped: {reason}"),
    }
}

/// Replaces dynamic ports by `*`.
pub(crate) fn without_source_port(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.rsplit_once(':') {
        Some((address, port)) if port.parse().is_ok_and(|port| vswitch::SOURCE_PORTS.contains(&port)) => {
            format!("{address}:*")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A packet with an address and a port as source and destination.
pub(crate) fn packet(what: PacketKind, from: &str, to: &str) -> Vec<u8> {
    build(what, from.parse().unwrap(), to.parse().unwrap())
}
