//! The answer to a segment for a port on which nobody listens (RFC 9293 §3.10.7.1): a RST that
//! acknowledges it, so that the client takes it for an answer to its SYN.

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
};

use super::Segment;
use crate::addr::Addr;

/// An IPv4 packet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ResetV4 {
    /// Without options.
    pub ip: Ipv4Hdr,
    /// Without options.
    pub tcp: TcpHdr,
}

/// An IPv6 packet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ResetV6 {
    /// Without extension headers.
    pub ip: Ipv6Hdr,
    /// Without options.
    pub tcp: TcpHdr,
}

const _: () = assert!(size_of::<ResetV4>() == 40 && align_of::<ResetV4>() == 1);
const _: () = assert!(size_of::<ResetV6>() == 60 && align_of::<ResetV6>() == 1);

const IPPROTO_TCP: u8 = 6;
/// As net.ipv4.ip_default_ttl is by default.
const TTL: u8 = 64;
const TCP_BYTES: u16 = TcpHdr::LEN as u16;
const DATA_OFFSET: u8 = (TcpHdr::LEN as u8 / 4) << 4;
const RST_ACK: u8 = 0x14;

/// The answer to an IPv4 `segment` that takes `length` sequence numbers.
#[inline(always)]
pub fn reset_v4(segment: &Segment, length: u32) -> ResetV4 {
    let connection = &segment.connection;
    let (source, destination) = (&connection.local, &connection.remote);
    let mut ip = Ipv4Hdr {
        vihl: 0x45,
        tos: 0,
        tot_len: (Ipv4Hdr::LEN as u16 + TCP_BYTES).to_be_bytes(),
        id: [0; 2],
        // Don't fragment.
        frags: [0x40, 0],
        ttl: TTL,
        proto: IPPROTO_TCP,
        check: [0; 2],
        src_addr: source.words()[3].to_ne_bytes(),
        dst_addr: destination.words()[3].to_ne_bytes(),
    };
    let addresses = sum_word(source.words()[3]) + sum_word(destination.words()[3]);
    let [a, b, c, d] = [[ip.vihl, ip.tos], ip.tot_len, ip.frags, [ip.ttl, ip.proto]];
    ip.check = checksum(addresses + sum(a) + sum(b) + sum(c) + sum(d));
    ResetV4 {
        ip,
        tcp: tcp(segment, length, addresses),
    }
}

/// The answer to an IPv6 `segment` that takes `length` sequence numbers.
#[inline(always)]
pub fn reset_v6(segment: &Segment, length: u32) -> ResetV6 {
    let connection = &segment.connection;
    let (source, destination) = (&connection.local, &connection.remote);
    let addresses = sum_addr(source) + sum_addr(destination);
    ResetV6 {
        ip: Ipv6Hdr {
            vcf: [0x60, 0, 0, 0],
            payload_len: TCP_BYTES.to_be_bytes(),
            next_hdr: IPPROTO_TCP,
            hop_limit: TTL,
            src_addr: source.octets(),
            dst_addr: destination.octets(),
        },
        tcp: tcp(segment, length, addresses),
    }
}

/// `addresses` is their sum in the pseudo-header (RFC 9293 §3.1).
#[inline(always)]
fn tcp(segment: &Segment, length: u32, addresses: u32) -> TcpHdr {
    let connection = &segment.connection;
    let source = connection.local_port.to_be_bytes();
    let dest = connection.remote_port.to_be_bytes();
    let ack_seq = segment.sequence.wrapping_add(length).to_be_bytes();
    let offset_and_flags = [DATA_OFFSET, RST_ACK];
    let pseudo = addresses + sum([0, IPPROTO_TCP]) + sum(TCP_BYTES.to_be_bytes());
    let header =
        sum(source) + sum(dest) + sum_word(u32::from_ne_bytes(ack_seq)) + sum(offset_and_flags);
    TcpHdr {
        source,
        dest,
        seq: [0; 4],
        ack_seq,
        _bitfield_align_1: [],
        _bitfield_1: TcpHdr::new_bitfield_1(0, TCP_BYTES / 4, 0, 0, 1, 0, 1, 0, 0, 0),
        window: [0; 2],
        check: checksum(pseudo + header),
        urg_ptr: [0; 2],
    }
}

// The sum of RFC 1071 comes to the same in either byte order: words are added as they stand in
// memory.

#[inline(always)]
const fn sum(bytes: [u8; 2]) -> u32 {
    u16::from_ne_bytes(bytes) as u32
}

#[inline(always)]
const fn sum_word(word: u32) -> u32 {
    (word & 0xffff) + (word >> 16)
}

#[inline(always)]
const fn sum_addr(addr: &Addr) -> u32 {
    let [a, b, c, d] = addr.words();
    sum_word(a) + sum_word(b) + sum_word(c) + sum_word(d)
}

#[inline(always)]
const fn checksum(sum: u32) -> [u8; 2] {
    let sum = sum_word(sum);
    let sum = sum_word(sum);
    (!(sum as u16)).to_ne_bytes()
}
