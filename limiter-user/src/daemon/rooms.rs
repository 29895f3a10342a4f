//! Whether the servers have room for more connections: what metrics tell of queues, states, descriptors.
//!
//! Reading it takes a look at every socket of the network namespaces in which servers listen, so it is
//! done a few times a minute at the most, however often somebody asks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::in_force::InForce;
use crate::{
    doctor::{
        counters::Counters,
        listeners::count_state,
        processes::{descriptor_limit, descriptors},
    },
    kernel::{
        ListenerReader, Owners,
        sock_diag::{ObservedListener, observe_connections},
    },
    metrics::{ServerSockets, Sockets},
    policy::{ListenAddr, Policy, Server},
};

/// What was read is good for so long.
const GOOD_FOR_NS: u64 = 5_000_000_000;
/// Who has the listeners, for so long, unless there are others: every process is looked at.
const OWNERS_GOOD_FOR_NS: u64 = 60_000_000_000;

/// What is remembered between two readings.
#[derive(Default)]
pub struct Rooms {
    /// Counters of the network namespaces at the last reading. One that is new begins with what it has.
    seen: HashMap<u64, Counters>,
    /// What they have grown by.
    lost: Counters,
    owners: Option<KnownOwners>,
    last: Option<Last>,
}

struct KnownOwners {
    at_ns: u64,
    inodes: HashSet<u32>,
    /// Processes that have them, by position of the server.
    pids: HashMap<usize, HashSet<u32>>,
}

struct Last {
    at_ns: u64,
    policy: Arc<InForce>,
    sockets: Sockets,
}

/// What belongs to one server.
#[derive(Default)]
struct Of {
    sockets: ServerSockets,
    inodes: HashSet<u32>,
}

impl Rooms {
    /// Reads it, or remembers it. `now_ns`: the monotonic clock.
    pub fn read(&mut self, reader: &ListenerReader, policy: &Arc<InForce>, now_ns: u64) -> Sockets {
        let is_good = |last: &&Last| {
            now_ns.saturating_sub(last.at_ns) < GOOD_FOR_NS && Arc::ptr_eq(&last.policy, policy)
        };
        if let Some(last) = self.last.as_ref().filter(is_good) {
            return last.sockets.clone();
        }
        let mut all: HashMap<usize, Of> = HashMap::new();
        let mut met: HashMap<u64, Counters> = HashMap::new();
        reader.in_each_network(|network, listeners| {
            let mut ports = HashSet::new();
            for listener in &listeners {
                for position in servers_of(policy, listener) {
                    ports.insert(listener.local.port());
                    all.entry(position).or_default().add(listener);
                }
            }
            if ports.is_empty() {
                return;
            }
            match Counters::read() {
                Ok(counters) => drop(met.insert(network, counters)),
                Err(error) => tracing::debug!("read counters of a network namespace: {error}"),
            }
            count_connections(reader, policy, &ports, &mut all);
        });
        self.grow(met);
        self.look_at_descriptors(&mut all, now_ns);
        let mut servers: Vec<_> = all.into_iter().collect();
        servers.sort_unstable_by_key(|(position, _)| *position);
        let servers = servers.into_iter().map(|(position, of)| ServerSockets {
            server: policy.servers[position].name.clone(),
            ..of.sockets
        });
        let sockets = Sockets {
            servers: servers.collect(),
            lost: self.lost,
        };
        self.last = Some(Last {
            at_ns: now_ns,
            policy: Arc::clone(policy),
            sockets: sockets.clone(),
        });
        sockets
    }

    /// Namespaces come and go with containers; what was lost in them stays lost.
    fn grow(&mut self, met: HashMap<u64, Counters>) {
        for (network, now) in &met {
            if let Some(before) = self.seen.get(network) {
                self.lost.add_growth(before, now);
            }
        }
        self.seen = met;
    }

    fn look_at_descriptors(&mut self, all: &mut HashMap<usize, Of>, now_ns: u64) {
        let inodes: HashSet<u32> = all.values().flat_map(|it| &it.inodes).copied().collect();
        let is_good = |known: &KnownOwners| {
            now_ns.saturating_sub(known.at_ns) < OWNERS_GOOD_FOR_NS && known.inodes == inodes
        };
        if !self.owners.as_ref().is_some_and(is_good) {
            let Ok(owners) = Owners::find(&inodes) else {
                return;
            };
            let pids = all.iter().map(|(position, of)| {
                let of_it = of.inodes.iter().flat_map(|inode| owners.of(*inode));
                (*position, of_it.map(|owner| owner.pid).collect())
            });
            self.owners = Some(KnownOwners {
                at_ns: now_ns,
                pids: pids.collect(),
                inodes,
            });
        }
        let pids = self.owners.iter().flat_map(|it| &it.pids);
        for (position, pids) in pids {
            if let Some(of) = all.get_mut(position) {
                let used = pids.iter().filter_map(|pid| used(*pid));
                of.sockets.descriptors_used = used.max_by(f64::total_cmp);
            }
        }
    }
}

impl Of {
    fn add(&mut self, listener: &ObservedListener) {
        self.inodes.insert(listener.inode);
        let sockets = &mut self.sockets;
        sockets.listeners += 1;
        let (depth, limit) = (u64::from(listener.depth), u64::from(listener.limit.max(1)));
        let fullest = u64::from(sockets.queue_limit.max(1));
        // Depth by limit, compared without a division.
        if sockets.listeners == 1 || depth * fullest > u64::from(sockets.queue) * limit {
            sockets.queue = listener.depth;
            sockets.queue_limit = listener.limit;
        }
    }
}

/// In the network namespace of the calling thread. Half-open connections and those in TIME_WAIT have no
/// cgroup: their port says whose they are.
fn count_connections(
    reader: &ListenerReader,
    policy: &Policy,
    ports: &HashSet<u16>,
    all: &mut HashMap<usize, Of>,
) {
    let counted = observe_connections(|connection| {
        let is_ours = ports.contains(&connection.local.port())
            && (connection.cgroup.is_none() || reader.is_ours(connection.cgroup));
        let server = policy.server_at(connection.local).filter(|_| is_ours);
        let position = server.and_then(|it| position(policy, it));
        if let Some(of) = position.and_then(|it| all.get_mut(&it)) {
            count_state(&mut of.sockets.states, connection.state);
        }
    });
    if let Err(error) = counted {
        tracing::debug!("list connections: {error}");
    }
}

fn used(pid: u32) -> Option<f64> {
    Some(descriptors(pid)? as f64 / descriptor_limit(pid)? as f64)
}

fn position(policy: &Policy, server: &Server) -> Option<usize> {
    policy
        .servers
        .iter()
        .position(|it| std::ptr::eq(it, server))
}

/// The servers that a listener has connections of: one that listens on every address may have those of
/// several.
fn servers_of(policy: &Policy, listener: &ObservedListener) -> Vec<usize> {
    let local = listener.local;
    let ip = local.ip().to_canonical();
    let is_of = |server: &Server| {
        let mut listens = server.listen.iter();
        listens.any(|listen| {
            let is_port = (listen.first_port..=listen.last_port).contains(&local.port());
            is_port && ip.is_unspecified() && matches!(listen.addr, ListenAddr::Ip(_))
        })
    };
    let servers = policy.servers.iter().enumerate();
    let specific = servers.filter(|(_, server)| is_of(server));
    let mut found: Vec<_> = specific.map(|(position, _)| position).collect();
    let usual = policy.server_at(local).and_then(|it| position(policy, it));
    found.extend(usual.filter(|it| !found.contains(it)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn listener(local: &str, depth: u32, limit: u32) -> ObservedListener {
        ObservedListener {
            cookie: 1,
            local: local.parse().expect("literal"),
            v6_only: false,
            inode: 1,
            cgroup: None,
            depth,
            limit,
            drops: 0,
        }
    }

    #[test]
    fn a_listener_belongs_to_the_servers_that_it_serves() {
        let text = "limit_conn_zone $binary_remote_addr zone=a:1m; limit_conn a 1;
            server { listen 80; } server { listen 192.0.2.1:80; } server { listen 90-99; }
            server { server_name rest; }";
        let policy = config::parse("test", text).expect("valid").policy;
        for (local, servers) in [
            ("192.0.2.1:80", &[1][..]),
            ("192.0.2.2:80", &[0]),
            ("0.0.0.0:80", &[1, 0]),
            ("[::]:95", &[2]),
            ("192.0.2.1:443", &[3]),
        ] {
            let found = servers_of(&policy, &listener(local, 0, 1));
            assert_eq!(found, servers, "{local}");
        }
    }

    #[test]
    fn the_fullest_queue_is_told() {
        let mut of = Of::default();
        for (depth, limit) in [(3, 100), (2, 4), (40, 511), (0, 0)] {
            of.add(&listener("192.0.2.1:80", depth, limit));
        }
        assert_eq!((of.sockets.queue, of.sockets.queue_limit), (2, 4));
        assert_eq!(of.sockets.listeners, 4);
    }

    #[test]
    fn what_was_lost_stays_lost() {
        let lost = |listen_overflows| Counters {
            listen_overflows,
            ..Counters::default()
        };
        let mut rooms = Rooms::default();
        for (met, total) in [
            (vec![(1, 100)], 0),
            (vec![(1, 103), (2, 50)], 3),
            (vec![(2, 51)], 4),
            (vec![(1, 7), (2, 51)], 4),
            (vec![(1, 9)], 6),
        ] {
            let met = met
                .into_iter()
                .map(|(network, count)| (network, lost(count)));
            rooms.grow(met.collect());
            assert_eq!(rooms.lost.listen_overflows, total);
        }
    }
}
