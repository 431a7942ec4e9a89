//! Packets for tests: made from addresses, and read with their checksums checked.

use std::net::{IpAddr, SocketAddr};

use hcn::schema::Protocol;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, IpRepr, IpVersion, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket,
    UdpRepr,
};

use crate::{Tuple, packet};

/// A kind of packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// The first packet of a TCP connection.
    Syn,
    /// The answer to it.
    SynAck,
    /// A later packet.
    Ack,
    /// The last packet of one side.
    Fin,
    /// A reset.
    Rst,
    /// A UDP datagram.
    Udp,
}

/// The addresses of a packet.
///
/// # Panics
/// If the packet or a checksum is not valid.
pub fn tuple(packet: &[u8]) -> Tuple {
    let (source, destination, protocol, payload): (IpAddr, IpAddr, _, _) = match IpVersion::of_packet(packet).unwrap() {
        IpVersion::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).unwrap();
            assert!(ip.verify_checksum());
            (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header(), ip.payload())
        }
        IpVersion::Ipv6 => {
            let ip = Ipv6Packet::new_checked(packet).unwrap();
            (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header(), ip.payload())
        }
    };
    let ports = match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).unwrap();
            assert!(tcp.verify_checksum(&source.into(), &destination.into()));
            (tcp.src_port(), tcp.dst_port())
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).unwrap();
            assert!(udp.verify_checksum(&source.into(), &destination.into()));
            (udp.src_port(), udp.dst_port())
        }
        _ => (0, 0),
    };
    Tuple {
        protocol: Protocol(u8::from(protocol).into()),
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
    }
}

/// A packet. A datagram has a few bytes of payload.
///
/// # Panics
/// If the addresses are of different families.
pub fn build(kind: PacketKind, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (source, destination) = (from.ip().into(), to.ip().into());
    let payload = b"hello";
    if kind == PacketKind::Udp {
        let checksums = ChecksumCapabilities::default();
        let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
        let ip = IpRepr::new(source, destination, IpProtocol::Udp, udp.header_len() + payload.len(), 64);
        let mut bytes = vec![0; ip.buffer_len()];
        ip.emit(&mut bytes[..], &checksums);
        let mut packet = UdpPacket::new_unchecked(&mut bytes[ip.header_len()..]);
        let write = |buffer: &mut [u8]| buffer.copy_from_slice(payload);
        udp.emit(&mut packet, &source, &destination, payload.len(), write, &checksums);
        return bytes;
    }
    let segment = TcpRepr {
        src_port: from.port(),
        dst_port: to.port(),
        control: match kind {
            PacketKind::Syn | PacketKind::SynAck => TcpControl::Syn,
            PacketKind::Fin => TcpControl::Fin,
            PacketKind::Rst => TcpControl::Rst,
            _ => TcpControl::None,
        },
        seq_number: TcpSeqNumber(1000),
        ack_number: (kind != PacketKind::Syn).then_some(TcpSeqNumber(2000)),
        window_len: 1024,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: &[],
    };
    packet::tcp_packet(source, destination, &segment).unwrap()
}
