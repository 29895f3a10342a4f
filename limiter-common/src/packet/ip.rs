//! IPv4 and IPv6, to the TCP header.

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::{Headers, MAX_EXTENSIONS, Packet, Unparsed, Version};
use crate::{addr::Addr, key::Connection};

const IPPROTO_TCP: u8 = 6;

/// Finds the headers in a packet that begins with its IP header.
///
/// # Errors
///
/// [`Unparsed`], if the packet is no TCP segment.
#[inline(always)]
pub(super) fn find_in_packet(packet: &impl Packet) -> Result<Headers, Unparsed> {
    let first: [u8; 2] = packet.read(0).ok_or(Unparsed::Truncated)?;
    match first[0] >> 4 {
        4 => find_in_ipv4(packet, 0),
        6 => find_in_ipv6(packet, 0),
        _ => Err(Unparsed::NotTcp),
    }
}

/// Addresses of an IPv6 packet whose chain of headers is [`Unparsed::TooManyExtensions`], as a
/// connection without ports.
#[inline(always)]
pub fn parse_ipv6_addresses(packet: &impl Packet) -> Option<Connection> {
    let start = offset_of!(Ipv6Hdr, src_addr);
    let [remote, local]: [[u64; 2]; 2] = packet.read(start)?;
    Some(Connection {
        remote: Addr::from_halves(remote),
        local: Addr::from_halves(local),
        remote_port: 0,
        local_port: 0,
        padding: 0,
    })
}

/// RFC 791 §3.1. The header begins at `start`.
#[inline(always)]
pub(super) fn find_in_ipv4(packet: &impl Packet, start: usize) -> Result<Headers, Unparsed> {
    const FRAGMENT_OFFSET: u16 = 0x1fff;

    let ip: Ipv4Hdr = packet.read(start).ok_or(Unparsed::Truncated)?;
    if ip.vihl >> 4 != 4 || ip.proto != IPPROTO_TCP {
        return Err(Unparsed::NotTcp);
    }
    if u16::from_be_bytes(ip.frags) & FRAGMENT_OFFSET != 0 {
        return Err(Unparsed::Fragment);
    }
    let header_bytes = usize::from(ip.vihl & 0x0f) * 4;
    if header_bytes < Ipv4Hdr::LEN {
        return Err(Unparsed::Truncated);
    }
    Ok(Headers {
        version: Version::V4,
        network: start,
        transport: start + header_bytes,
    })
}

/// RFC 8200 §3 and §4. The header begins at `start`.
#[inline(always)]
pub(super) fn find_in_ipv6(packet: &impl Packet, start: usize) -> Result<Headers, Unparsed> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    const FRAGMENT_OFFSET: u16 = 0xfff8;

    let ip: Ipv6Hdr = packet.read(start).ok_or(Unparsed::Truncated)?;
    if ip.vcf[0] >> 4 != 6 {
        return Err(Unparsed::NotTcp);
    }
    let mut next = ip.next_hdr;
    let mut offset = start + Ipv6Hdr::LEN;
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            IPPROTO_TCP => {
                return Ok(Headers {
                    version: Version::V6,
                    network: start,
                    transport: offset,
                });
            }
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION => {
                let [following, length, a, b]: [u8; 4] =
                    packet.read(offset).ok_or(Unparsed::Truncated)?;
                let length = usize::from(length);
                offset += match next {
                    // RFC 8200 §4.5. The reassembled packet has none, a first fragment does.
                    FRAGMENT => {
                        if u16::from_be_bytes([a, b]) & FRAGMENT_OFFSET != 0 {
                            return Err(Unparsed::Fragment);
                        }
                        8
                    }
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
