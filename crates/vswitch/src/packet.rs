//! IP packets: reading their addresses, and rewriting these with valid checksums.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hcn::schema::Protocol;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, IpVersion, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    UdpPacket,
};

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
    pub(crate) flags: TcpFlags,
}

impl Header {
    pub(crate) fn is_tcp(&self) -> bool {
        self.tuple.protocol == Protocol::TCP
    }

    /// Whether the protocol has ports that the switch reads.
    pub(crate) fn has_ports(&self) -> bool {
        matches!(self.tuple.protocol, Protocol::TCP | Protocol::UDP)
    }
}

/// The flags of a TCP segment; none for other protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TcpFlags {
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

impl TcpFlags {
    /// Whether the segment opens a connection.
    pub(crate) fn opens(self) -> bool {
        self.syn && !self.ack
    }
}

/// The length of an IPv4 header without options. smoltcp does not require it.
const MIN_IPV4_HEADER: u8 = 20;

/// The IP version; `None` if the packet is empty, which makes smoltcp panic, or has another version.
fn version(packet: &[u8]) -> Option<IpVersion> {
    packet.first()?;
    IpVersion::of_packet(packet).ok()
}

/// Reads the header of an IP packet; `None` if it is not valid, or is a fragment.
pub(crate) fn read(packet: &[u8]) -> Option<Header> {
    let (protocol, source, destination, payload) = match version(packet)? {
        IpVersion::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            if ip.more_frags() || ip.frag_offset() != 0 || ip.header_len() < MIN_IPV4_HEADER {
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
    let (source_port, destination_port, flags) = match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            let flags = TcpFlags { syn: tcp.syn(), ack: tcp.ack(), fin: tcp.fin(), rst: tcp.rst() };
            (tcp.src_port(), tcp.dst_port(), flags)
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).ok()?;
            (udp.src_port(), udp.dst_port(), TcpFlags::default())
        }
        _ => (0, 0, TcpFlags::default()),
    };
    Some(Header {
        tuple: Tuple {
            protocol: Protocol(u8::from(protocol).into()),
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        },
        flags,
    })
}

/// A copy of a packet with other addresses of the same family, and valid checksums. `None` if the packet is not valid, or if the families differ.
pub(crate) fn rewrite(packet: &[u8], to: &Tuple) -> Option<Vec<u8>> {
    let mut packet = packet.to_vec();
    match (version(&packet)?, to.source.ip(), to.destination.ip()) {
        (IpVersion::Ipv4, IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut ip = Ipv4Packet::new_checked(&mut packet[..]).ok()?;
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
            ip.fill_checksum();
            let protocol = ip.next_header();
            rewrite_ports(protocol, ip.payload_mut(), to)?;
        }
        (IpVersion::Ipv6, IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut ip = Ipv6Packet::new_checked(&mut packet[..]).ok()?;
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
            let protocol = ip.next_header();
            rewrite_ports(protocol, ip.payload_mut(), to)?;
        }
        _ => return None,
    }
    Some(packet)
}

fn rewrite_ports(protocol: IpProtocol, payload: &mut [u8], to: &Tuple) -> Option<()> {
    let (source, destination) = (IpAddress::from(to.source.ip()), IpAddress::from(to.destination.ip()));
    match protocol {
        IpProtocol::Tcp => {
            let mut tcp = TcpPacket::new_checked(payload).ok()?;
            tcp.set_src_port(to.source.port());
            tcp.set_dst_port(to.destination.port());
            tcp.fill_checksum(&source, &destination);
        }
        IpProtocol::Udp => {
            let mut udp = UdpPacket::new_checked(payload).ok()?;
            udp.set_src_port(to.source.port());
            udp.set_dst_port(to.destination.port());
            udp.fill_checksum(&source, &destination);
        }
        _ => {}
    }
    Some(())
}

/// The TCP reset that answers a packet (RFC 9293, section 3.10.7.1). `None` if the packet is not TCP, or is a reset itself.
pub(crate) fn reset(packet: &[u8]) -> Option<Vec<u8>> {
    let header = read(packet)?;
    if !header.is_tcp() || header.flags.rst {
        return None;
    }
    let payload = match version(packet)? {
        IpVersion::Ipv4 => Ipv4Packet::new_checked(packet).ok()?.payload(),
        IpVersion::Ipv6 => Ipv6Packet::new_checked(packet).ok()?.payload(),
    };
    let tcp = TcpPacket::new_checked(payload).ok()?;
    let answer = TcpRepr {
        src_port: tcp.dst_port(),
        dst_port: tcp.src_port(),
        control: TcpControl::Rst,
        seq_number: if tcp.ack() { tcp.ack_number() } else { TcpSeqNumber(0) },
        ack_number: (!tcp.ack()).then(|| tcp.seq_number() + tcp.segment_len()),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: &[],
    };
    let (source, destination) = (header.tuple.destination.ip().into(), header.tuple.source.ip().into());
    tcp_packet(source, destination, &answer)
}

/// The IP packet of a TCP segment, with valid checksums.
pub(crate) fn tcp_packet(source: IpAddress, destination: IpAddress, segment: &TcpRepr<'_>) -> Option<Vec<u8>> {
    let ip = IpRepr::new(source, destination, IpProtocol::Tcp, segment.buffer_len(), 64);
    let mut bytes = vec![0; ip.buffer_len()];
    ip.emit(&mut bytes[..], &ChecksumCapabilities::default());
    let mut packet = TcpPacket::new_unchecked(bytes.get_mut(ip.header_len()..)?);
    segment.emit(&mut packet, &source, &destination, &ChecksumCapabilities::default());
    Some(bytes)
}
