//! What is open, as the kernel says, and how much of it counts for what.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
};

use tests::sockdiag::{self, TcpSocket, state};

use super::{
    plan::{Key, Plan},
    scene::Scene,
};

/// A zone and a key of it, or a server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// A key.
    Key(&'static str, Key),
    /// Outgoing connections.
    Upstream(SocketAddr),
}

/// How many connections each has.
pub type Counts = BTreeMap<Account, u64>;

/// The sockets of the limited cgroup.
pub fn sockets(scene: &Scene) -> Vec<TcpSocket> {
    let mut sockets = sockdiag::open(&scene.world.netns);
    sockets.retain(|socket| socket.cgroup == Some(scene.cgroup));
    sockets
}

/// What has to be counted of them.
pub fn counts(plan: &Plan, sockets: &[TcpSocket]) -> Counts {
    let mut counts = Counts::new();
    let servers = plan.upstreams.iter().flat_map(|it| &it.servers);
    let upstreams: HashSet<_> = servers.map(|(server, _)| *server).collect();
    for socket in sockets {
        if socket.is_connection() {
            for (zone, key) in plan.keys(socket.local, socket.remote.ip()) {
                *counts.entry(Account::Key(zone, key)).or_default() += 1;
            }
        }
        let connects = socket.is_connection() || socket.state == state::SYN_SENT;
        if connects && upstreams.contains(&socket.remote) {
            *counts.entry(Account::Upstream(socket.remote)).or_default() += 1;
        }
    }
    counts
}

/// Of what was open for certain at one moment: everything that was there at a first look and a second one
/// was there in between. Connects without an answer are left out, because they may wait for a slot.
pub fn open_at_once(scene: &Scene) -> Vec<TcpSocket> {
    let first: HashSet<_> = sockets(scene).iter().map(TcpSocket::cookie).collect();
    let mut second = sockets(scene);
    second.retain(|socket| socket.is_connection() && first.contains(&socket.cookie()));
    second
}

/// A sentence about each difference, ours first.
pub fn differences(expected: &Counts, found: &Counts) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let of = |counts: &Counts, account| counts.get(account).copied().unwrap_or(0);
    all.into_iter()
        .filter(|account| of(expected, account) != of(found, account))
        .map(|account| {
            let (open, counted) = (of(expected, account), of(found, account));
            format!("{account}: {open} open, {counted} counted")
        })
        .collect()
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Upstream(server) => write!(f, "upstream server {server}"),
            Self::Key(zone, key) => {
                write!(f, "zone {zone}, key")?;
                if let Some(client) = key.client {
                    write!(f, " {client}")?;
                }
                if let Some(addr) = key.server_addr {
                    write!(f, " {addr}")?;
                }
                if let Some(port) = key.server_port {
                    write!(f, " port {port}")?;
                }
                if let Some(name) = &key.server_name {
                    write!(f, " {name}")?;
                }
                Ok(())
            }
        }
    }
}
