//! Ethernet, with VLAN tags.

use super::{
    Headers, MAX_TAGS, Packet, Unparsed,
    ip::{find_in_ipv4, find_in_ipv6},
};

/// Where the first EtherType stands (IEEE 802.3 §3.2.6).
const ETHER_TYPE: usize = 12;
const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 4;

// include/uapi/linux/if_ether.h
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// Finds the headers in a frame that begins with its Ethernet header.
///
/// # Errors
///
/// [`Unparsed`], if the frame carries no TCP segment.
#[inline(always)]
pub fn find_in_frame(frame: &impl Packet) -> Result<Headers, Unparsed> {
    let mut ether_type = read_ether_type(frame, ETHER_TYPE)?;
    let mut network = ETHERNET_BYTES;
    for _ in 0..MAX_TAGS {
        if !is_tag(ether_type) {
            break;
        }
        ether_type = read_ether_type(frame, network + 2)?;
        network += TAG_BYTES;
    }
    match ether_type {
        ETH_P_IP => find_in_ipv4(frame, network),
        ETH_P_IPV6 => find_in_ipv6(frame, network),
        ETH_P_8021Q | ETH_P_8021AD => Err(Unparsed::TooManyTags),
        _ => Err(Unparsed::NotIp),
    }
}

#[inline(always)]
fn read_ether_type(frame: &impl Packet, offset: usize) -> Result<u16, Unparsed> {
    let bytes: [u8; 2] = frame.read(offset).ok_or(Unparsed::Truncated)?;
    Ok(u16::from_be_bytes(bytes))
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ETH_P_8021Q | ETH_P_8021AD)
}
