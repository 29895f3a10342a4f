//! One form for all addresses.
//!
//! A dual-stack listener shows an IPv4 client as `::ffff:a.b.c.d`, a packet shows it as IPv4. Both
//! become the IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) here, so that one client has one key.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address as 16 bytes in network order; IPv4 in IPv4-mapped form.
///
/// In two 64-bit words as they stand in memory: the kernel compares keys so, and a load would wait
/// for two halves that have just been written.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Addr {
    halves: [u64; 2],
}

const _: () = assert!(size_of::<Addr>() == 16 && align_of::<Addr>() == 8);
#[cfg(not(target_endian = "little"))]
compile_error!("limiter is for little endian machines");

impl Addr {
    /// `::`. As a listener: every address of either family.
    pub const UNSPECIFIED: Self = Self { halves: [0; 2] };
    /// `::ffff:0.0.0.0`. As a listener: every IPv4 address.
    pub const UNSPECIFIED_V4: Self = Self::from_v4_word(0);

    /// The third of four 32-bit words of an IPv4-mapped address, as it stands in memory.
    const MAPPED_PREFIX: u64 = 0x0000_ffff_u32.to_be() as u64;

    /// From the 32 bits of an IPv4 address as they stand in memory (network order).
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self {
            halves: [0, Self::MAPPED_PREFIX | (word as u64) << 32],
        }
    }

    /// From the four 32-bit words of an IPv6 address as they stand in memory (network order).
    #[inline(always)]
    pub const fn from_v6_words([a, b, c, d]: [u32; 4]) -> Self {
        Self {
            halves: [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32],
        }
    }

    /// From the two 64-bit words of an IPv6 address as they stand in memory (network order).
    #[inline(always)]
    pub const fn from_halves(halves: [u64; 2]) -> Self {
        Self { halves }
    }

    /// The four 32-bit words as they stand in memory (network order).
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        let [a, b] = self.halves;
        [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]
    }

    /// The two 64-bit words as they stand in memory (network order).
    #[inline(always)]
    pub const fn halves(&self) -> [u64; 2] {
        self.halves
    }

    /// The 16 bytes, in network order.
    #[inline(always)]
    pub const fn octets(&self) -> [u8; 16] {
        let [a, b] = self.halves;
        (a as u128 | (b as u128) << 64).to_le_bytes()
    }

    /// The address that stands for every address of the same family.
    #[inline(always)]
    pub const fn unspecified(&self) -> Self {
        // A mask, not a branch: see `ZoneKey::new`.
        let mask = 0_u64.wrapping_sub(self.is_v4() as u64);
        Self {
            halves: [0, Self::MAPPED_PREFIX & mask],
        }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.halves[0] == 0 && self.halves[1] as u32 == Self::MAPPED_PREFIX as u32
    }
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Self {
        let v6 = match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let bits = u128::from_le_bytes(v6.octets());
        Self {
            halves: [bits as u64, (bits >> 64) as u64],
        }
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        let v6 = Ipv6Addr::from(addr.octets());
        v6.to_ipv4_mapped().map_or(Self::V6(v6), Self::V4)
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(addr: Ipv4Addr) -> Self {
        Self::from(IpAddr::V4(addr))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn ipv4_and_its_mapped_form_are_one_address() {
        let v4: IpAddr = "192.0.2.7".parse().expect("literal");
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().expect("literal");
        assert_eq!(Addr::from(v4), Addr::from(mapped));
        assert!(Addr::from(v4).is_v4());
        assert_eq!(IpAddr::from(Addr::from(mapped)), v4);
        assert_eq!(
            Addr::from(v4),
            Addr::from_v4_word(u32::from_ne_bytes([192, 0, 2, 7]))
        );
    }

    #[test]
    fn ipv6_survives_the_round_trip() {
        let v6: IpAddr = "2001:db8::1:2".parse().expect("literal");
        assert_eq!(IpAddr::from(Addr::from(v6)), v6);
        assert!(!Addr::from(v6).is_v4());
    }
}
