//! What tests need of the model of the virtual switch: its node, the changes of an emulated HNS, and kinds of packets.

use std::net::SocketAddr;

use hcn::schema::Protocol;
use hcn_emulator::ChangeFeed;
use hcn_emulator::feed::What;
use proxy::Settings;
use vswitch::testing::{PacketKind, build, tuple};
use vswitch::{Change, Delivery, Instant, Node, PortId, Switch, Tuple, Verdict};

use crate::rig::own_host;

pub(crate) fn node(settings: &Settings) -> Node {
    Node { addresses: own_host().node_ips, host_endpoints: vec![settings.root_endpoint_name.clone()] }
}

/// The next change of HNS that concerns the switch.
pub(crate) fn next_change(feed: &ChangeFeed) -> Option<Change> {
    loop {
        let read = match feed.try_recv().unwrap()?.what {
            What::Stored { kind, id, document } => Change::read(kind, id, Some(&document)),
            What::Removed { kind, id } => Change::read(kind, id, None),
            What::ServiceStopped => Ok(Some(Change::ServiceStopped)),
            What::ServiceStarted => Ok(Some(Change::ServiceStarted)),
            What::InitialStateEnd => Ok(None),
        };
        if let Some(change) = read.unwrap() {
            return Some(change);
        }
    }
}

/// The first packet of a connection, and the answer to it.
pub(crate) fn kinds(protocol: Protocol) -> (PacketKind, PacketKind) {
    match protocol {
        Protocol::UDP => (PacketKind::Udp, PacketKind::Udp),
        _ => (PacketKind::Syn, PacketKind::SynAck),
    }
}

pub(crate) fn reaches_pod(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Deliver(sent) if matches!(sent.port, PortId::Endpoint(_)))
}

/// Sends the answer to a delivered packet, which a client has sent from a port. The client has to receive it from the address that it has sent to.
pub(crate) fn check_reply(
    switch: &mut Switch,
    delivery: &Delivery,
    answer: PacketKind,
    port: PortId,
    from: SocketAddr,
    to: SocketAddr,
) -> Result<(), String> {
    let sent = tuple(&delivery.packet);
    let reply = switch.process(delivery.port, &build(answer, sent.destination, sent.source), Instant(0));
    let Verdict::Deliver(reply) = reply else { return Err(format!("the reply: {reply:?}")) };
    let (received, expected) = (tuple(&reply.packet), Tuple { source: to, destination: from, ..sent });
    if (reply.port, received) == (port, expected) {
        return Ok(());
    }
    Err(format!("the reply is from {} to {} of {}", received.source, received.destination, reply.port))
}
