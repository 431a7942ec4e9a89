//! IP packets: reading their addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hcn::schema::Protocol;
use smoltcp::wire::{IpProtocol, IpVersion, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

/// The addresses of a packet. Ports are 0 for protocols other than TCP and UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// The IP protocol.
    pub protocol: Protocol,
    /// The source.
    pub source: SocketAddr,
    /// The destination.
    pub destination: SocketAddr,
}

impl Tuple {
    /// The addresses of replies.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.protocol, self.source, self.destination)
    }
}

/// What the switch reads of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) tuple: Tuple,
}

/// Reads the header of an IP packet; `None` if it is not valid, or is a fragment.
pub(crate) fn read(packet: &[u8]) -> Option<Header> {
    let (protocol, source, destination, payload) = match IpVersion::of_packet(packet).ok()? {
        IpVersion::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            if ip.more_frags() || ip.frag_offset() != 0 {
                return None;
            }
            (ip.next_header(), ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
        }
        // Extension headers are not read: the next header is then neither TCP nor UDP.
        IpVersion::Ipv6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            (ip.next_header(), IpAddr::from(ip.src_addr()), IpAddr::from(ip.dst_addr()), ip.payload())
        }
    };
    let (source_port, destination_port) = match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            (tcp.src_port(), tcp.dst_port())
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).ok()?;
            (udp.src_port(), udp.dst_port())
        }
        _ => (0, 0),
    };
    Some(Header {
        tuple: Tuple {
            protocol: Protocol(u8::from(protocol).into()),
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        },
    })
}
