//! One form for all addresses.
//!
//! A dual-stack listener shows an IPv4 client as `::ffff:a.b.c.d`, a packet shows it as IPv4. Both
//! become the IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) here, so that one client has one key.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address as 16 bytes in network order; IPv4 in IPv4-mapped form.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Addr {
    words: [u32; 4],
}

const _: () = assert!(size_of::<Addr>() == 16 && align_of::<Addr>() == 4);

impl Addr {
    /// `::`. As a listener: every address of either family.
    pub const UNSPECIFIED: Self = Self { words: [0; 4] };
    /// `::ffff:0.0.0.0`. As a listener: every IPv4 address.
    pub const UNSPECIFIED_V4: Self = Self::from_v4_word(0);

    const MAPPED_PREFIX: u32 = 0x0000_ffff_u32.to_be();

    /// From the 32 bits of an IPv4 address as they stand in memory (network order).
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self {
            words: [0, 0, Self::MAPPED_PREFIX, word],
        }
    }

    /// From the four 32-bit words of an IPv6 address as they stand in memory (network order).
    #[inline(always)]
    pub const fn from_v6_words(words: [u32; 4]) -> Self {
        Self { words }
    }

    /// The four 32-bit words as they stand in memory (network order).
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// The same as two words, the first in the lower half of each.
    #[inline(always)]
    pub const fn halves(&self) -> [u64; 2] {
        let [a, b, c, d] = self.words;
        [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32]
    }

    /// From [`Self::halves`].
    #[inline(always)]
    pub const fn from_halves([a, b]: [u64; 2]) -> Self {
        Self {
            words: [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32],
        }
    }

    /// The 16 bytes, in network order.
    #[inline(always)]
    pub const fn octets(&self) -> [u8; 16] {
        let [a, b, c, d] = self.words;
        let [a, b, c, d] = [
            a.to_ne_bytes(),
            b.to_ne_bytes(),
            c.to_ne_bytes(),
            d.to_ne_bytes(),
        ];
        [
            a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1],
            d[2], d[3],
        ]
    }

    /// The address that stands for every address of the same family.
    #[inline(always)]
    pub const fn unspecified(&self) -> Self {
        // A mask, not a branch: see `ZoneKey::new`.
        let mask = 0_u32.wrapping_sub(self.is_v4() as u32);
        Self {
            words: [0, 0, Self::MAPPED_PREFIX & mask, 0],
        }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.words[0] == 0 && self.words[1] == 0 && self.words[2] == Self::MAPPED_PREFIX
    }
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Self {
        let v6 = match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let b = v6.octets();
        let word = |i: usize| u32::from_ne_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        Self {
            words: [word(0), word(4), word(8), word(12)],
        }
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        let [a, b, c, d] = addr.words.map(|w| u128::from(u32::from_be(w)));
        let v6 = Ipv6Addr::from_bits(a << 96 | b << 64 | c << 32 | d);
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
