//! Which host is behind which port of the switch.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hcn::Guid;
use vswitch::{Change, Instant, Node, PortId};

use crate::history::instant;
use crate::setup::{Host, Place};

/// The hosts, and the local endpoints of HNS.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosts: BTreeMap<IpAddr, Host>,
    node: Node,
    endpoints: BTreeMap<Guid, Vec<IpAddr>>,
}

impl Hosts {
    pub(crate) fn new(hosts: &[Host], node: &Node) -> Self {
        let hosts = hosts.iter().map(|host| (host.address, host.clone())).collect();
        Self { hosts, node: node.clone(), endpoints: BTreeMap::new() }
    }

    #[cfg(all(feature = "tun", target_os = "linux"))]
    pub(crate) fn add(&mut self, host: Host) {
        self.hosts.insert(host.address, host);
    }

    #[cfg(all(feature = "tun", target_os = "linux"))]
    pub(crate) fn remove(&mut self, address: IpAddr) {
        self.hosts.remove(&address);
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&Host> {
        self.hosts.get(&address)
    }

    /// Learns the addresses of local endpoints.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Endpoint(id, Some(endpoint)) if !endpoint.is_remote() => {
                self.endpoints.insert(*id, endpoint.addresses().collect());
            }
            Change::Endpoint(id, _) => drop(self.endpoints.remove(id)),
            _ => {}
        }
    }

    /// The port through which the packets of a host enter. A pod whose endpoint is missing has none.
    pub(crate) fn port(&self, host: &Host) -> Option<PortId> {
        match host.place {
            Place::Pod => {
                let has_address = |(_, addresses): &(&Guid, &Vec<IpAddr>)| addresses.contains(&host.address);
                self.endpoints.iter().find(has_address).map(|(id, _)| PortId::Endpoint(*id))
            }
            Place::Node => Some(PortId::Host),
            Place::Outside => Some(PortId::Uplink),
            Place::Tunnel => Some(PortId::Tunnel),
        }
    }

    /// The host that gets a packet that leaves through a port, if it accepts the destination address.
    pub(crate) fn behind(&self, port: PortId, destination: IpAddr) -> Option<&Host> {
        match port {
            PortId::Endpoint(id) => {
                let addresses = self.endpoints.get(&id)?;
                let host = addresses.iter().find_map(|address| self.hosts.get(address))?;
                let accepts = addresses.contains(&destination) || host.other_addresses.contains(&destination);
                accepts.then_some(host)
            }
            PortId::Host => {
                let mut on_node = self.hosts.values().filter(|host| host.place == Place::Node);
                let accepts = |host: &&Host| {
                    host.address == destination
                        || host.other_addresses.contains(&destination)
                        || self.node.addresses.contains(&destination)
                };
                on_node.find(accepts)
            }
            PortId::Uplink | PortId::Tunnel => self.away(destination),
        }
    }

    /// The host with an address that is not on the node.
    pub(crate) fn away(&self, address: IpAddr) -> Option<&Host> {
        self.hosts.get(&address).filter(|host| matches!(host.place, Place::Outside | Place::Tunnel))
    }

    /// Whether the server of a host has ended.
    pub(crate) fn has_ended(host: &Host, now: Instant) -> bool {
        host.serves_until.is_some_and(|end| instant(end) <= now)
    }

    /// Whether a backend is still ready.
    pub(crate) fn is_ready(&self, address: IpAddr, now: Instant) -> bool {
        self.hosts.get(&address).is_some_and(|host| host.ready_until.is_none_or(|end| instant(end) > now))
    }
}
