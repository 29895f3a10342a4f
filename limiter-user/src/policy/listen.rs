//! Endpoints.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// `listen [ADDR:]PORT[-PORT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Local address.
    pub addr: ListenAddr,
    /// First port, not 0.
    pub first_port: u16,
    /// Last port, not below the first.
    pub last_port: u16,
}

/// The address part of `listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// None written, or `*`: every address of either family.
    Any,
    /// One address. `0.0.0.0` is every IPv4 address, `[::]` every IPv6 address.
    Ip(IpAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            ListenAddr::Any => {}
            ListenAddr::Ip(IpAddr::V4(v4)) => write!(f, "{v4}:")?,
            ListenAddr::Ip(IpAddr::V6(v6)) => write!(f, "[{v6}]:")?,
        }
        write!(f, "{}", self.first_port)?;
        if self.last_port != self.first_port {
            write!(f, "-{}", self.last_port)?;
        }
        Ok(())
    }
}

impl ListenAddr {
    /// `0.0.0.0`
    pub const ANY_V4: Self = Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    /// `[::]`
    pub const ANY_V6: Self = Self::Ip(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
}
