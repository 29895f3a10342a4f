//! From bytes to addresses, ports and TCP flags.
//!
//! Pure: the bytes come through [`Packet`], which the programs implement over packet pointers (every
//! read checked against the end) and the tests over slices.

use core::mem::offset_of;

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
};

use crate::{addr::Addr, key::Connection};

mod frame;
mod ip;
pub mod reset;

use self::ip::find_in_packet;
pub use self::{frame::find_in_frame, ip::parse_ipv6_addresses};

/// Bytes of one packet, from its network header on, or of one frame.
pub trait Packet {
    /// Copies `T` from `offset`; `None` if the packet ends before.
    fn read<T: Plain>(&self, offset: usize) -> Option<T>;
}

/// Types for which every bit pattern is a value, without padding. In a packet they are not aligned.
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
// SAFETY: as above.
unsafe impl Plain for [u8; 4] {}
// SAFETY: integers.
unsafe impl Plain for [u32; 2] {}
// SAFETY: as above.
unsafe impl Plain for [[u64; 2]; 2] {}

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
    /// A frame of another protocol than IP.
    NotIp,
    /// Another protocol than TCP, or another IP version than the frame says.
    NotTcp,
    /// A fragment after the first: the ports are not in it.
    Fragment,
    /// The packet ends inside a header, or a header says that it is shorter than it can be.
    Truncated,
    /// More VLAN tags than [`MAX_TAGS`].
    TooManyTags,
    /// More extension headers than [`MAX_EXTENSIONS`].
    TooManyExtensions,
}

/// IPv6 extension headers that are followed at the most.
pub const MAX_EXTENSIONS: usize = 8;
/// VLAN tags that are followed at the most (IEEE 802.1Q, 802.1ad).
pub const MAX_TAGS: usize = 2;

/// Reads the segment of a packet that begins with its IP header, to where it is to stand: copies of
/// it on the way are what BPF programs have no stack for.
///
/// # Errors
///
/// [`Unparsed`], if the packet is no complete TCP segment.
#[inline(always)]
pub fn read_segment(packet: &impl Packet, segment: &mut Segment) -> Result<(), Unparsed> {
    let headers = find_in_packet(packet)?;
    let Some(found) = headers.segment(packet) else {
        return Err(Unparsed::Truncated);
    };
    *segment = found;
    Ok(())
}

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 791
    V4,
    /// RFC 8200
    V6,
}

/// Where the headers of a TCP segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// IP version of the packet. An IPv6 packet may carry addresses that look like IPv4.
    pub version: Version,
    /// Where the IP header begins, bytes.
    pub network: usize,
    /// Where the TCP header begins, bytes.
    pub transport: usize,
}

impl Headers {
    // Options, not results: with an error in its place LLVM takes a segment apart into bytes.

    /// What the segment wants of a listener; `None` if the packet ends inside a header.
    #[inline(always)]
    pub fn handshake(&self, packet: &impl Packet) -> Option<Handshake> {
        self.tcp(packet).map(|tcp| handshake(&tcp))
    }

    /// The segment; `None` if the packet ends inside a header.
    #[inline(always)]
    pub fn segment(&self, packet: &impl Packet) -> Option<Segment> {
        let tcp = self.tcp(packet)?;
        // The kernel, too, throws away what ends inside the options (net/ipv4/tcp_ipv4.c,
        // tcp_v4_rcv).
        let options_end = self.transport + usize::from(tcp.doff()) * 4;
        let _: [u8; 2] = packet.read(options_end - 2)?;
        let (remote, local) = match self.version {
            Version::V4 => {
                let start = self.network + offset_of!(Ipv4Hdr, src_addr);
                let [remote, local]: [u32; 2] = packet.read(start)?;
                (Addr::from_v4_word(remote), Addr::from_v4_word(local))
            }
            Version::V6 => {
                let start = self.network + offset_of!(Ipv6Hdr, src_addr);
                let [remote, local]: [[u64; 2]; 2] = packet.read(start)?;
                (Addr::from_halves(remote), Addr::from_halves(local))
            }
        };
        Some(Segment {
            connection: Connection {
                remote,
                local,
                remote_port: u16::from_be_bytes(tcp.source),
                local_port: u16::from_be_bytes(tcp.dest),
                padding: 0,
            },
            handshake: handshake(&tcp),
            sequence: u32::from_be_bytes(tcp.seq),
            acknowledgement: u32::from_be_bytes(tcp.ack_seq),
        })
    }

    /// Sequence numbers that the segment takes: one a byte of payload, one each for SYN and FIN
    /// (RFC 9293 §3.4). `None` if the headers contradict each other.
    #[inline(always)]
    pub fn sequence_length(&self, packet: &impl Packet) -> Option<u32> {
        let end = match self.version {
            Version::V4 => {
                let ip: Ipv4Hdr = packet.read(self.network)?;
                usize::from(u16::from_be_bytes(ip.tot_len))
            }
            Version::V6 => {
                let ip: Ipv6Hdr = packet.read(self.network)?;
                Ipv6Hdr::LEN + usize::from(u16::from_be_bytes(ip.payload_len))
            }
        };
        let tcp: TcpHdr = packet.read(self.transport)?;
        let start = self.transport + usize::from(tcp.doff()) * 4;
        let payload = (self.network + end).checked_sub(start)?;
        Some(payload as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin()))
    }

    /// RFC 9293 §3.1.
    #[inline(always)]
    fn tcp(&self, packet: &impl Packet) -> Option<TcpHdr> {
        let tcp: TcpHdr = packet.read(self.transport)?;
        (usize::from(tcp.doff()) * 4 >= TcpHdr::LEN).then_some(tcp)
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

#[cfg(test)]
mod tests;
