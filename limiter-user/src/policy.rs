//! What was typed, checked once: a file or the flags of `run` become one [`Policy`], and nothing
//! behind it validates again.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use limiter_common::{entry::BYTES_PER_KEY, key::KeyFields};
use serde::{Deserialize, Serialize};

/// Everything the daemon enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the configuration; a zone's position is its index in the kernel.
    pub zones: Vec<Zone>,
    /// In the order of the configuration; a server's position is its index in the kernel.
    pub servers: Vec<Server>,
    /// Where to attach; empty: the root of the cgroup2 hierarchy.
    pub attach: Vec<Attach>,
    /// Where the daemon's log goes, and from which level on.
    pub error_log: ErrorLog,
    /// Control socket, if the configuration names one.
    pub control: Option<PathBuf>,
}

impl Policy {
    /// Cgroups to attach to; none: the root of the cgroup2 hierarchy.
    pub fn cgroups(&self) -> impl Iterator<Item = &Path> {
        self.attach.iter().filter_map(|attach| match attach {
            Attach::Cgroup(path) => Some(path.as_path()),
            Attach::Interface(_) => None,
        })
    }

    /// The server that limits connections to this address and port: the one with this very address,
    /// else the one for every address of its family, else the one for every address, else the one
    /// for every port.
    pub fn server_at(&self, local: SocketAddr) -> Option<&Server> {
        let ip = local.ip().to_canonical();
        let family = if ip.is_ipv4() {
            ListenAddr::ANY_V4
        } else {
            ListenAddr::ANY_V6
        };
        let listens = |addr| {
            self.servers.iter().find(|server| {
                server.listen.iter().any(|listen| {
                    listen.addr == addr
                        && (listen.first_port..=listen.last_port).contains(&local.port())
                })
            })
        };
        listens(ListenAddr::Ip(ip))
            .or_else(|| listens(family))
            .or_else(|| listens(ListenAddr::Any))
            .or_else(|| self.servers.iter().find(|server| server.listen.is_empty()))
    }

    /// Interfaces to attach to.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.attach.iter().filter_map(|attach| match attach {
            Attach::Cgroup(_) => None,
            Attach::Interface(interface) => Some(interface),
        })
    }
}

/// `limit_conn_zone KEY zone=NAME:SIZE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Name, unique.
    pub name: String,
    /// What is counted.
    pub key: Key,
    /// Configured size, bytes.
    pub size_bytes: u64,
}

impl Zone {
    /// Live keys at the most.
    pub fn capacity(&self) -> u64 {
        self.size_bytes / BYTES_PER_KEY
    }
}

/// KEY: text, variables, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written, for instance `$binary_remote_addr$server_port`.
    pub text: String,
    /// The variables in it. Constant parts (text, `$protocol`) distinguish nothing within a zone.
    pub fields: KeyFields,
    /// The key is the empty string: connections are not accounted.
    pub empty: bool,
}

/// `server { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_name`, else the first `listen`, else `default`; unique.
    pub name: String,
    /// `listen`; empty: every port of every address.
    pub listen: Vec<Listen>,
    /// `limit_conn`, own or inherited.
    pub limits: Vec<LimitConn>,
    /// `limit_conn_dry_run`.
    pub dry_run: bool,
    /// `limit_conn_log_level`.
    pub log_level: LogLevel,
    /// How an attempt is refused.
    pub action: Action,
}

/// `limit_conn ZONE NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConn {
    /// Position of the zone in [`Policy::zones`].
    pub zone: usize,
    /// Connections per key at the most, 1 to 65535.
    pub number: u16,
}

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

/// `attach cgroup PATH`, `attach interface NAME [mode=auto|native|generic]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A directory of the cgroup2 hierarchy.
    Cgroup(PathBuf),
    /// A network interface of the daemon's namespace.
    Interface(Interface),
}

/// A network interface on which excess attempts are refused before the network stack sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name, 1 to 15 bytes (`IFNAMSIZ`).
    pub name: String,
    /// Where in the driver the program runs.
    pub mode: XdpMode,
}

/// `mode=` of `attach interface`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// Native if the driver can, else generic.
    #[default]
    Auto,
    /// In the driver, before a socket buffer is made.
    Native,
    /// In the network stack, with every driver.
    Generic,
}

impl XdpMode {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `limit_conn_log_level`, and the level of `error_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For debugging; only as the level of `error_log`.
    Debug,
    /// Of interest.
    Info,
    /// Normal but significant.
    Notice,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

impl LogLevel {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `limit_conn_action`: how an attempt is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// The packet is dropped silently.
    #[default]
    Drop,
    /// The client gets a RST.
    Reset,
    /// The connection is accepted in place of the application, and closed after a delay.
    Close {
        /// Milliseconds from accept to close, at most [`Self::MAX_DELAY_MS`].
        delay_ms: u32,
    },
}

impl Action {
    /// One hour.
    pub const MAX_DELAY_MS: u32 = 3_600_000;

    /// What kind of action it is.
    pub fn kind(self) -> ActionKind {
        match self {
            Self::Drop => ActionKind::Drop,
            Self::Reset => ActionKind::Reset,
            Self::Close { .. } => ActionKind::Close,
        }
    }

    /// The delay of [`Self::Close`].
    pub fn delay_ms(self) -> Option<u32> {
        match self {
            Self::Close { delay_ms } => Some(delay_ms),
            Self::Drop | Self::Reset => None,
        }
    }
}

/// An [`Action`] without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// [`Action::Drop`]
    Drop,
    /// [`Action::Reset`]
    Reset,
    /// [`Action::Close`]
    Close,
}

impl ActionKind {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `error_log TARGET LEVEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorLog {
    /// Where to.
    pub target: LogTarget,
    /// From which level on.
    pub level: LogLevel,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            target: LogTarget::Stderr,
            level: LogLevel::Notice,
        }
    }
}

/// Where the daemon's log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}
