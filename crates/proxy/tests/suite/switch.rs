//! What tests need of the model of the virtual switch: its node, the changes of an emulated HNS, and kinds of packets.

use hcn::schema::Protocol;
use hcn_emulator::ChangeFeed;
use hcn_emulator::feed::What;
use proxy::Settings;
use vswitch::testing::PacketKind;
use vswitch::{Change, Node};

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
