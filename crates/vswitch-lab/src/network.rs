//! Forwards packets from one host to another: through the switch, or directly between computers outside of the node.

use std::net::IpAddr;

use vswitch::{Assumptions, Change, Instant, Node, Switch, Verdict};

use crate::hosts::Hosts;
use crate::packet;
use crate::setup::{Host, Place};
use crate::tally::Packets;

/// The switch with the hosts around it.
#[derive(Debug)]
pub(crate) struct Network {
    switch: Switch,
    pub(crate) hosts: Hosts,
    pub(crate) packets: Packets,
}

/// A packet that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) host: IpAddr,
    pub(crate) distance: Distance,
    pub(crate) packet: Vec<u8>,
}

/// How far a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// To a host on the node.
    Near,
    /// To another computer.
    Far,
}

impl Network {
    pub(crate) fn new(node: Node, assumptions: Assumptions, hosts: &[Host]) -> Self {
        let hosts = Hosts::new(hosts, &node);
        Self { switch: Switch::new(node, assumptions), hosts, packets: Packets::default() }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        self.hosts.apply(&change);
        self.switch.apply(change);
    }

    /// Frees the memory of expired flows.
    #[cfg(all(feature = "tun", target_os = "linux"))]
    pub(crate) fn expire(&mut self, now: Instant) {
        self.switch.expire(now);
    }

    /// Sends an IP packet of a host. Returns where it arrives, unless it is lost. `now` must not decrease.
    pub(crate) fn send(&mut self, from: IpAddr, packet: Vec<u8>, now: Instant) -> Option<Arrival> {
        let host = self.hosts.get(from)?;
        let destination = packet::destination(&packet)?;
        if matches!(host.place, Place::Outside | Place::Tunnel)
            && let Some(to) = self.hosts.away(destination)
        {
            return Some(Arrival { host: to.address, distance: Distance::Far, packet });
        }
        // The packets of a pod whose endpoint was deleted go nowhere.
        let port = self.hosts.port(host)?;
        self.packets.entered += 1;
        match self.switch.process(port, &packet, now) {
            Verdict::Deliver(delivery) => {
                let destination = packet::destination(&delivery.packet);
                let Some(to) = destination.and_then(|destination| self.hosts.behind(delivery.port, destination)) else {
                    self.packets.lost += 1;
                    return None;
                };
                let distance =
                    if matches!(to.place, Place::Pod | Place::Node) { Distance::Near } else { Distance::Far };
                Some(Arrival { host: to.address, distance, packet: delivery.packet })
            }
            Verdict::Reply(packet) => Some(Arrival { host: from, distance: Distance::Near, packet }),
            Verdict::Drop(reason) => {
                *self.packets.drops.entry(reason).or_default() += 1;
                None
            }
        }
    }
}
