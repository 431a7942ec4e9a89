//! The addresses of a packet.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{IpProtocol, IpVersion, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

use crate::setup::Transport;

/// What decides which host and which socket gets a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Whether it can be the first packet of a connection: a SYN, or any UDP packet.
    pub(crate) opens: bool,
}

/// The header of a TCP or UDP packet.
pub(crate) fn read(packet: &[u8]) -> Option<Header> {
    // Of an empty packet, smoltcp reads the version all the same.
    packet.first()?;
    let (protocol, source, destination, payload) = match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            (ip.next_header(), ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
        }
        IpVersion::Ipv6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            (ip.next_header(), ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
        }
    };
    let (transport, source_port, destination_port, opens) = match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            (Transport::Tcp, tcp.src_port(), tcp.dst_port(), tcp.syn() && !tcp.ack())
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).ok()?;
            (Transport::Udp, udp.src_port(), udp.dst_port(), true)
        }
        _ => return None,
    };
    let (source, destination) = (SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port));
    Some(Header { transport, source, destination, opens })
}

/// The destination of an IP packet of any protocol; `None` if it is not valid.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    packet.first()?;
    Some(match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => Ipv4Packet::new_checked(packet).ok()?.dst_addr().into(),
        IpVersion::Ipv6 => Ipv6Packet::new_checked(packet).ok()?.dst_addr().into(),
    })
}
