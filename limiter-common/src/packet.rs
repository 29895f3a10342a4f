//! From bytes to addresses, ports and TCP flags.
//!
//! Pure: the bytes come through [`Packet`], which the programs implement over packet pointers (every
//! read checked against the end) and the tests over slices.

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
};

use crate::{addr::Addr, key::Connection};

/// Bytes of one packet, from the network header on.
pub trait Packet {
    /// Copies `T` from `offset`; `None` if the packet ends before.
    fn read<T: Plain>(&self, offset: usize) -> Option<T>;
}

/// Types for which every bit pattern is a value, without padding and with an alignment of one.
///
/// # Safety
///
/// Implement it for such types only.
pub unsafe trait Plain: Copy {}

// SAFETY: headers of network-types consist of bytes.
unsafe impl Plain for Ipv4Hdr {}
// SAFETY: as above.
unsafe impl Plain for Ipv6Hdr {}
// SAFETY: as above.
unsafe impl Plain for TcpHdr {}
// SAFETY: bytes.
unsafe impl Plain for [u8; 2] {}

/// What a packet at a listener wants.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handshake {
    /// SYN: a connection attempt (RFC 9293 §3.5).
    Syn,
    /// ACK: completes a handshake, or claims to.
    Completion,
    /// Neither can establish a connection: the kernel's own answer is the right one.
    #[default]
    Other,
}

/// A TCP segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Addresses and ports, seen from the receiver.
    pub connection: Connection,
    /// What it wants of a listener.
    pub handshake: Handshake,
    /// Sequence number, host order.
    pub sequence: u32,
    /// Acknowledgement number, host order.
    pub acknowledgement: u32,
}

/// Why a packet is not a [`Segment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// Another protocol, a fragment after the first, or an IP version that does not exist.
    NotTcp,
    /// The packet ends inside a header.
    Truncated,
    /// More extension headers than [`MAX_EXTENSIONS`].
    TooManyExtensions,
}

/// IPv6 extension headers that are followed at the most.
pub const MAX_EXTENSIONS: usize = 8;

const IPPROTO_TCP: u8 = 6;

/// Parses a packet that begins with its IP header.
///
/// # Errors
///
/// [`Unparsed`], if the packet is no complete TCP segment.
#[inline(always)]
pub fn parse_ip(packet: &impl Packet) -> Result<Segment, Unparsed> {
    let first: [u8; 2] = packet.read(0).ok_or(Unparsed::Truncated)?;
    match first[0] >> 4 {
        4 => parse_ipv4(packet),
        6 => parse_ipv6(packet),
        _ => Err(Unparsed::NotTcp),
    }
}

/// Addresses of an IPv6 packet whose chain of headers is [`Unparsed::TooManyExtensions`], as a
/// connection without ports.
#[inline(always)]
pub fn parse_ipv6_addresses(packet: &impl Packet) -> Option<Connection> {
    let ip: Ipv6Hdr = packet.read(0)?;
    Some(Connection {
        remote: v6(ip.src_addr),
        local: v6(ip.dst_addr),
        remote_port: 0,
        local_port: 0,
    })
}

/// RFC 791 §3.1.
#[inline(always)]
fn parse_ipv4(packet: &impl Packet) -> Result<Segment, Unparsed> {
    const FRAGMENT_OFFSET: u16 = 0x1fff;

    let ip: Ipv4Hdr = packet.read(0).ok_or(Unparsed::Truncated)?;
    if ip.proto != IPPROTO_TCP || u16::from_be_bytes(ip.frags) & FRAGMENT_OFFSET != 0 {
        return Err(Unparsed::NotTcp);
    }
    let header_bytes = usize::from(ip.vihl & 0x0f) * 4;
    if header_bytes < Ipv4Hdr::LEN {
        return Err(Unparsed::Truncated);
    }
    let tcp = packet.read(header_bytes).ok_or(Unparsed::Truncated)?;
    let remote = Addr::from_v4_word(u32::from_ne_bytes(ip.src_addr));
    let local = Addr::from_v4_word(u32::from_ne_bytes(ip.dst_addr));
    Ok(segment(remote, local, &tcp))
}

/// RFC 8200 §3 and §4.
#[inline(always)]
fn parse_ipv6(packet: &impl Packet) -> Result<Segment, Unparsed> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;

    let ip: Ipv6Hdr = packet.read(0).ok_or(Unparsed::Truncated)?;
    let mut next = ip.next_hdr;
    let mut offset = Ipv6Hdr::LEN;
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            IPPROTO_TCP => {
                let tcp = packet.read(offset).ok_or(Unparsed::Truncated)?;
                return Ok(segment(v6(ip.src_addr), v6(ip.dst_addr), &tcp));
            }
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION => {
                let [following, length]: [u8; 2] =
                    packet.read(offset).ok_or(Unparsed::Truncated)?;
                let length = usize::from(length);
                offset += match next {
                    // RFC 8200 §4.5: fixed. The reassembled packet has none, a first fragment does.
                    FRAGMENT => 8,
                    // RFC 4302 §2.2: in 32-bit words, minus two.
                    AUTHENTICATION => (length + 2) * 4,
                    // RFC 8200 §4.2: in 64-bit words, not counting the first.
                    _ => (length + 1) * 8,
                };
                next = following;
            }
            _ => return Err(Unparsed::NotTcp),
        }
    }
    Err(Unparsed::TooManyExtensions)
}

#[inline(always)]
fn segment(remote: Addr, local: Addr, tcp: &TcpHdr) -> Segment {
    Segment {
        connection: Connection {
            remote,
            local,
            remote_port: u16::from_be_bytes(tcp.source),
            local_port: u16::from_be_bytes(tcp.dest),
        },
        handshake: handshake(tcp),
        sequence: u32::from_be_bytes(tcp.seq),
        acknowledgement: u32::from_be_bytes(tcp.ack_seq),
    }
}

/// Only a SYN without ACK and RST makes a half-open connection, only an ACK without SYN and RST
/// completes one (net/ipv4/tcp_minisocks.c, tcp_check_req; net/ipv4/tcp_input.c,
/// tcp_rcv_state_process).
#[inline(always)]
fn handshake(tcp: &TcpHdr) -> Handshake {
    if tcp.rst() != 0 {
        return Handshake::Other;
    }
    match (tcp.syn() != 0, tcp.ack() != 0) {
        (true, false) => Handshake::Syn,
        (false, true) => Handshake::Completion,
        (true, true) | (false, false) => Handshake::Other,
    }
}

#[inline(always)]
fn v6(bytes: [u8; 16]) -> Addr {
    let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
    Addr::from_v6_words([word(0), word(4), word(8), word(12)])
}

#[cfg(test)]
mod tests;
