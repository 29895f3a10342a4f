//! The policy in force, as the soak thinks it is: made at random, written as a configuration, and asked
//! for which keys a connection counts.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;

pub use self::change::{ACTIONS, NETWORKS, changed, network};

mod change;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub zones: Vec<Zone>,
    pub servers: Vec<Server>,
    pub upstreams: Vec<Upstream>,
    /// Of upstreams, which have no server of their own.
    pub dry_run: bool,
    /// With their modes.
    pub interfaces: Vec<(&'static str, &'static str)>,
}

/// A zone of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: &'static str,
    pub by: By,
    pub size_m: usize,
    pub v4_prefix: u8,
    pub v6_prefix: u8,
}

/// What a zone counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Client,
    ServerName,
    ServerPort,
    ClientAndServer,
}

/// A server of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub name: &'static str,
    /// Without an address, every one.
    pub listen: Vec<(Option<IpAddr>, u16)>,
    /// Zone and number.
    pub limits: Vec<(&'static str, u32)>,
    /// Zone, network and number.
    pub overrides: Vec<(&'static str, IpNet, u32)>,
    pub exempt: Vec<IpNet>,
    pub action: &'static str,
    pub dry_run: bool,
}

/// An upstream of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: &'static str,
    /// With `max_conns`.
    pub servers: Vec<(SocketAddr, u32)>,
    pub queue: Option<u32>,
}

/// A key of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub client: Option<IpAddr>,
    pub server_addr: Option<IpAddr>,
    pub server_port: Option<u16>,
    pub server_name: Option<String>,
}

impl Plan {
    /// As it stands in the file, behind what it is attached to.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, mode) in &self.interfaces {
            let _ = writeln!(text, "attach interface {name} mode={mode};");
        }
        for zone in &self.zones {
            let _ = write!(text, "limit_conn_zone {} ", zone.by.text());
            let _ = write!(text, "zone={}:{}m", zone.name, zone.size_m);
            if zone.by.has_client() {
                let (v4, v6) = (zone.v4_prefix, zone.v6_prefix);
                let _ = write!(text, " v4_prefix={v4} v6_prefix={v6}");
            }
            text += ";\n";
        }
        // Refusals would fill the log.
        text += "limit_conn_log_level info;\n";
        self.servers.iter().for_each(|it| it.write(&mut text));
        self.upstreams.iter().for_each(|it| it.write(&mut text));
        text
    }

    /// The server of connections to this address.
    pub fn server_at(&self, local: SocketAddr) -> Option<&Server> {
        let with = |addr: Option<IpAddr>| {
            let listens = (addr, local.port());
            self.servers.iter().find(|it| it.listen.contains(&listens))
        };
        with(Some(local.ip())).or_else(|| with(None))
    }

    /// For which keys a connection counts.
    pub fn keys(&self, local: SocketAddr, client: IpAddr) -> Vec<(&'static str, Key)> {
        let Some(server) = self.server_at(local) else {
            return Vec::new();
        };
        if server
            .exempt
            .iter()
            .any(|network| network.contains(&client))
        {
            return Vec::new();
        }
        let limits = server.limits.iter();
        let zone = |name| self.zones.iter().find(|it| it.name == name);
        let zones = limits.filter_map(|(name, _)| zone(*name));
        zones
            .map(|it| (it.name, it.key(server.name, local, client)))
            .collect()
    }

    /// The most that a key may have. None: anything, because a server is in dry run.
    pub fn limit(&self, zone: &str, key: &Key) -> Option<u64> {
        let mut most = 0;
        for server in &self.servers {
            let Some((_, number)) = server.limits.iter().find(|(name, _)| *name == zone) else {
                continue;
            };
            if server.dry_run {
                return None;
            }
            let of_client = server.overrides.iter().find(|(name, network, _)| {
                *name == zone && key.client.is_some_and(|it| network.contains(&it))
            });
            let number = of_client.map_or(*number, |(_, _, number)| *number);
            most = most.max(u64::from(number));
        }
        Some(most)
    }
}

impl Zone {
    fn key(&self, server: &str, local: SocketAddr, client: IpAddr) -> Key {
        let bits = match client {
            IpAddr::V4(_) => self.v4_prefix,
            IpAddr::V6(_) => self.v6_prefix,
        };
        let network = IpNet::new(client, bits).expect("a prefix of the family");
        let client = self.by.has_client().then(|| network.network());
        match self.by {
            By::Client => Key {
                client,
                ..Key::default()
            },
            By::ServerName => Key {
                server_name: Some(server.to_owned()),
                ..Key::default()
            },
            By::ServerPort => Key {
                server_port: Some(local.port()),
                ..Key::default()
            },
            By::ClientAndServer => Key {
                client,
                server_addr: Some(local.ip()),
                server_port: Some(local.port()),
                ..Key::default()
            },
        }
    }
}

impl By {
    fn text(self) -> &'static str {
        match self {
            Self::Client => "$binary_remote_addr",
            Self::ServerName => "$server_name",
            Self::ServerPort => "$server_port",
            Self::ClientAndServer => "$binary_remote_addr$server_addr$server_port",
        }
    }

    fn has_client(self) -> bool {
        matches!(self, Self::Client | Self::ClientAndServer)
    }
}

impl Server {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "server {{\n    server_name {};", self.name);
        for (addr, port) in &self.listen {
            let _ = match addr {
                Some(addr) => writeln!(text, "    listen {};", SocketAddr::new(*addr, *port)),
                None => writeln!(text, "    listen {port};"),
            };
        }
        for (zone, number) in &self.limits {
            let _ = writeln!(text, "    limit_conn {zone} {number};");
        }
        for (zone, network, number) in &self.overrides {
            let _ = writeln!(text, "    limit_conn_override {zone} {network} {number};");
        }
        for network in &self.exempt {
            let _ = writeln!(text, "    limit_conn_exempt {network};");
        }
        let dry_run = if self.dry_run { "on" } else { "off" };
        let _ = writeln!(text, "    limit_conn_action {};", self.action);
        let _ = writeln!(text, "    limit_conn_dry_run {dry_run};\n}}");
    }
}

impl Upstream {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "upstream {} {{", self.name);
        for (server, max_conns) in &self.servers {
            let _ = writeln!(text, "    server {server} max_conns={max_conns};");
        }
        if let Some(queue) = self.queue {
            let _ = writeln!(text, "    queue {queue} timeout=2s;");
        }
        text.push_str("}\n");
    }
}
