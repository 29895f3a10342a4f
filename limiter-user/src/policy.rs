//! What was typed, checked once: a file or the flags of `run` become one [`Policy`], and nothing
//! behind it validates again.

use std::{
    net::IpAddr,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;

pub use self::{
    action::{Action, ActionKind},
    attach::{Attach, Interface, XdpMode},
    grant::{Grant, Group, Others},
    listen::{Listen, ListenAddr},
    log::{ErrorLog, LogFormat, LogLevel, LogTarget},
    metrics::Metrics,
    upstream::{Queue, Upstream, UpstreamServer},
    zone::{Key, OnFull, Prefixes, Zone},
};

mod action;
mod attach;
mod grant;
mod listen;
mod log;
mod metrics;
pub mod origin;
mod upstream;
mod zone;

/// Everything the daemon enforces. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the configuration; a zone's position is its index in the kernel.
    pub zones: Vec<Zone>,
    /// In the order of the configuration; a server's position is its index in the kernel.
    pub servers: Vec<Server>,
    /// In the order of the configuration.
    pub upstreams: Vec<Upstream>,
    /// Where to attach; empty: the root of the cgroup2 hierarchy.
    pub attach: Vec<Attach>,
    /// Where the daemon's log goes, and from which level on.
    pub error_log: ErrorLog,
    /// Control socket, if the configuration names one.
    pub control: Option<PathBuf>,
    /// Who may use it.
    pub grant: Grant,
    /// What is told to those who collect metrics.
    pub metrics: Metrics,
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

    /// Exempt networks and overrides of all servers together, those that they inherit included: at
    /// most [`MAX_NETWORKS`](limiter_common::policy::MAX_NETWORKS).
    pub fn networks(&self) -> usize {
        self.servers.iter().map(Server::networks).sum()
    }
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
    /// `limit_conn_exempt`, own or inherited: clients that are not accounted. No two are equal; one
    /// may lie within another. An IPv6 network has no IPv4 clients, also not `::/0`.
    pub exempt: Vec<IpNet>,
    /// `limit_conn_dry_run`.
    pub dry_run: bool,
    /// `limit_conn_log_level`.
    pub log_level: LogLevel,
    /// How an attempt is refused.
    pub action: Action,
}

impl Server {
    /// Exempt networks and overrides.
    pub fn networks(&self) -> usize {
        let overrides = self.limits.iter().map(|limit| limit.overrides.len());
        self.exempt.len() + overrides.sum::<usize>()
    }
}

/// `limit_conn ZONE NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConn {
    /// Position of the zone in [`Policy::zones`].
    pub zone: usize,
    /// Connections per key at the most, 1 to 65535.
    pub number: u16,
    /// `limit_conn_override`, own or inherited; only if the zone counts by client address. No two
    /// are of the same network.
    pub overrides: Vec<Override>,
}

impl LimitConn {
    /// Connections that this client may have.
    pub fn number_for(&self, client: IpAddr) -> u16 {
        let overrides = self.overrides.iter();
        let of_client = overrides.filter(|it| it.network.contains(&client));
        let smallest = of_client.max_by_key(|it| it.network.prefix_len());
        smallest.map_or(self.number, |it| it.number)
    }
}

/// `limit_conn_override ZONE CIDR NUMBER`: another number for the clients of a network. Of several
/// networks with the client, the smallest one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Without host bits, and IPv4 where that can be. An IPv6 network has no IPv4 clients, also not
    /// `::/0`.
    pub network: IpNet,
    /// Connections per key at the most, 1 to 65535; below or above [`LimitConn::number`].
    pub number: u16,
}
