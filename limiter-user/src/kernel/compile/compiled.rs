//! What a policy comes to, and what can be told from it.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;
use limiter_common::{
    addr::Addr,
    key::Connection,
    policy::{PORTS, PortEntry, ServerPolicy},
    upstream::UpstreamServer,
};

use crate::kernel::{cgroup::Outgoing, networks::Networks};

/// One half of the policy maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Compiled {
    /// Indexed by port.
    pub(in crate::kernel) ports: Vec<PortEntry>,
    /// Class and address → index of the server plus one.
    pub(in crate::kernel) listeners: HashMap<(u16, Addr), u32>,
    /// Address and port → server of an upstream.
    pub(in crate::kernel) upstreams: HashMap<(Addr, u16), UpstreamServer>,
    /// In the order of the policy.
    pub(in crate::kernel) servers: Vec<ServerPolicy>,
    /// Index of a server → clients that it does not account.
    pub(super) exempt: HashMap<u16, Vec<IpNet>>,
    /// Clients that are treated otherwise than the rest.
    pub(in crate::kernel) networks: Networks,
    /// Ports that a `listen` names by itself, not within a range.
    pub(super) named: Vec<u16>,
}

impl Compiled {
    /// Of no policy.
    pub(in crate::kernel) fn nothing() -> Self {
        Self {
            ports: vec![PortEntry::default(); PORTS as usize],
            listeners: HashMap::new(),
            upstreams: HashMap::new(),
            servers: Vec::new(),
            exempt: HashMap::new(),
            networks: Networks::new(),
            named: Vec::new(),
        }
    }

    /// Whether a connection counts, as the programs decide it.
    pub(in crate::kernel) fn counts(&self, connection: &Connection) -> bool {
        let Some(index) = self.server_at(connection.local, connection.local_port) else {
            return false;
        };
        let has_limits = |server: &&ServerPolicy| server.index == index && server.limit_count > 0;
        let client = IpAddr::from(connection.remote);
        self.servers.iter().any(|server| has_limits(&server))
            && !self.exempt[&index].iter().any(|it| it.contains(&client))
    }

    /// Index of the server that listens there.
    pub(in crate::kernel) fn server_at(&self, local: Addr, port: u16) -> Option<u16> {
        let entry = self.ports[usize::from(port)];
        let with_address = [local, local.unspecified()]
            .into_iter()
            .find_map(|addr| self.listeners.get(&(entry.class, addr)).copied());
        let server = with_address.unwrap_or(entry.server.into());
        // Written from an index plus one.
        server.checked_sub(1).map(|index| index as u16)
    }

    /// Whether both count the same connections, in whatever way.
    pub(in crate::kernel) fn counts_as_many_as(&self, other: &Self) -> bool {
        let has_limits = |it: &Self| -> Vec<_> {
            let servers = it.servers.iter();
            let mut with_limits: Vec<_> = servers
                .filter(|server| server.limit_count > 0)
                .map(|server| server.index)
                .collect();
            with_limits.sort_unstable();
            with_limits
        };
        self.ports == other.ports
            && self.has_upstreams_of(other)
            && other.has_upstreams_of(self)
            && self.listeners == other.listeners
            && self.exempt == other.exempt
            && has_limits(self) == has_limits(other)
    }

    /// Whether every connection counts under the same keys in both.
    pub(in crate::kernel) fn counts_alike(&self, other: &Self) -> bool {
        let keys = |it: &Self| -> HashMap<_, Vec<_>> {
            let servers = it.servers.iter();
            servers
                .map(|server| {
                    let limits = &server.limits[..usize::from(server.limit_count)];
                    let keys = limits
                        .iter()
                        .map(|it| (it.zone, it.fields.bits(), it.v4_bits, it.v6_bits));
                    (server.index, keys.collect())
                })
                .collect()
        };
        self.counts_as_many_as(other) && keys(self) == keys(other)
    }

    /// Whether it counts connections to every server of an upstream that the other one counts.
    fn has_upstreams_of(&self, other: &Self) -> bool {
        let mut servers = other.upstreams.keys();
        servers.all(|server| self.upstreams.contains_key(server))
    }

    /// What is to be done about outgoing connections.
    pub(in crate::kernel) fn outgoing(&self) -> Outgoing {
        if self.upstreams.is_empty() {
            Outgoing::Ignored
        } else if self.upstreams.values().all(|server| server.queue_max == 0) {
            Outgoing::Counted
        } else {
            Outgoing::Queued
        }
    }

    /// Whether a `listen` names this very port.
    pub(in crate::kernel) fn names_port(&self, port: u16) -> bool {
        self.named.contains(&port)
    }
}
