//! Networks of clients.

use std::{fmt, net::IpAddr};

/// The addresses of one family that begin with these bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    first: IpAddr,
    bits: u32,
}

impl Net {
    /// The network of this size that the address is in.
    pub fn around(addr: IpAddr, bits: u32) -> Self {
        let first = cut(addr, bits);
        Self { first, bits }
    }

    pub fn contains(&self, addr: IpAddr) -> bool {
        self.first.is_ipv4() == addr.is_ipv4() && cut(addr, self.bits) == self.first
    }

    /// Of two networks with the same client, the one with more bits is the smaller one.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// As it may be written in IPv6, too.
    pub fn mapped(&self) -> String {
        match self.first {
            IpAddr::V4(v4) => format!("{}/{}", v4.to_ipv6_mapped(), 96 + self.bits),
            IpAddr::V6(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// The address with every bit zero but the first ones.
pub fn cut(addr: IpAddr, bits: u32) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & !rest).into())
        }
        IpAddr::V6(v6) => {
            let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & !rest).into())
        }
    }
}
