//! A policy as somebody types it.

use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use super::net::Net;

/// Everything that matters for a verdict.
#[derive(Clone, Debug)]
pub struct Policy {
    pub zones: Vec<Zone>,
    /// Of the main context.
    pub main: Level,
    pub servers: Vec<Server>,
}

#[derive(Clone, Debug)]
pub struct Zone {
    pub name: String,
    pub key: Key,
    /// In KiB; 16 keys each.
    pub size_k: u64,
    pub v4_prefix: u32,
    pub v6_prefix: u32,
    pub evicts: bool,
}

impl Zone {
    /// Keys with connections at the most: 16 384 per MiB.
    pub fn capacity(&self) -> u64 {
        self.size_k * 16
    }

    /// Whether it has the name of the other one, and counts by the same.
    pub fn counts_like(&self, other: &Self) -> bool {
        let prefixes = |zone: &Self| zone.key.client.then_some((zone.v4_prefix, zone.v6_prefix));
        self.name == other.name
            && self.key.parts() == other.key.parts()
            && prefixes(self) == prefixes(other)
    }
}

/// What a zone counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub text: &'static str,
    pub client: bool,
    pub addr: bool,
    pub port: bool,
    pub server: bool,
}

impl Key {
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is in it. The same text in every key distinguishes nothing.
    const fn parts(&self) -> [bool; 5] {
        [
            self.client,
            self.addr,
            self.port,
            self.server,
            self.is_empty(),
        ]
    }
}

#[derive(Clone, Debug)]
pub struct Server {
    pub name: String,
    /// None: every port that no other server has.
    pub listens: Vec<Listen>,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// None: every address of either family. Unspecified: every one of its family.
    pub addr: Option<IpAddr>,
    pub first: u16,
    pub last: u16,
}

/// What stands in the main context or in a server. What is empty, or None, is inherited.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Position of the zone, and the number.
    pub limits: Vec<(usize, u16)>,
    /// Without any: `off`.
    pub overrides: Option<Vec<Override>>,
    /// Without a network: `off`.
    pub exempt: Option<Vec<Net>>,
    pub dry_run: Option<bool>,
    pub action: Option<Action>,
}

/// Position of the zone, the clients, and their number.
pub type Override = (usize, Net, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Drop,
    Reset,
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for zone in &self.zones {
            writeln!(f, "{zone}")?;
        }
        self.write_level(f, &self.main)?;
        for server in &self.servers {
            writeln!(f, "server {{ server_name {};", server.name)?;
            for listen in &server.listens {
                writeln!(f, "listen {listen};")?;
            }
            self.write_level(f, &server.level)?;
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

impl Policy {
    fn write_level(&self, f: &mut Formatter<'_>, level: &Level) -> fmt::Result {
        for (zone, number) in &level.limits {
            writeln!(f, "limit_conn {} {number};", self.zones[*zone].name)?;
        }
        for (zone, net, number) in level.overrides.iter().flatten() {
            let zone = &self.zones[*zone].name;
            writeln!(f, "limit_conn_override {zone} {net} {number};")?;
        }
        if level.overrides.as_ref().is_some_and(Vec::is_empty) {
            writeln!(f, "limit_conn_override off;")?;
        }
        for (index, net) in level.exempt.iter().flatten().enumerate() {
            match index % 2 {
                0 => writeln!(f, "limit_conn_exempt {net};")?,
                _ => writeln!(f, "limit_conn_exempt {};", net.mapped())?,
            }
        }
        if level.exempt.as_ref().is_some_and(Vec::is_empty) {
            writeln!(f, "limit_conn_exempt off;")?;
        }
        if let Some(on) = level.dry_run {
            let on = if on { "on" } else { "off" };
            writeln!(f, "limit_conn_dry_run {on};")?;
        }
        match level.action {
            Some(Action::Drop) => writeln!(f, "limit_conn_action drop;"),
            Some(Action::Reset) => writeln!(f, "limit_conn_action reset;"),
            None => Ok(()),
        }
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, size_k, .. } = self;
        write!(
            f,
            "limit_conn_zone \"{}\" zone={name}:{size_k}k",
            self.key.text
        )?;
        if self.key.client {
            let (v4, v6) = (self.v4_prefix, self.v6_prefix);
            write!(f, " v4_prefix={v4} v6_prefix={v6}")?;
        }
        if self.evicts {
            write!(f, " on_full=evict")?;
        }
        write!(f, ";")
    }
}

impl Display for Listen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.addr {
            None => {}
            Some(IpAddr::V4(v4)) => write!(f, "{v4}:")?,
            Some(IpAddr::V6(v6)) => write!(f, "[{v6}]:")?,
        }
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}
