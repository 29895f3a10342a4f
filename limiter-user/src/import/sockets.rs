//! Which servers share which sockets. nginx chooses among them by the name in the request or in the
//! TLS handshake; for the kernel they are one.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    net::IpAddr,
};

use crate::{
    config::{ConfigError, grammar::Span},
    policy::{Listen, ListenAddr},
};

/// Pairs of a run of ports and a server on it at the most.
const MAX_PAIRS: usize = 1_000_000;

/// A server at an address.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) address: IpAddr,
    pub(super) first_port: u16,
    pub(super) last_port: u16,
    /// Position of the server.
    pub(super) server: usize,
    pub(super) is_default: bool,
    pub(super) place: Span,
}

/// Sockets that have the same servers.
#[derive(Debug)]
pub(super) struct Group {
    /// As limiter writes them, with the place of one that nginx has.
    pub(super) listens: Vec<(Listen, Span)>,
    /// Positions of servers; the one for unknown names comes first.
    pub(super) servers: Vec<usize>,
}

/// Divides the claims, which are in their order, into groups. No two of them have an endpoint in
/// common.
pub(super) fn groups(claims: &[Claim]) -> Result<Vec<Group>, ConfigError> {
    let mut by_address: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        by_address.entry(claim.address).or_default().push(index);
    }
    let mut runs = Vec::new();
    let mut room = MAX_PAIRS;
    for (address, indexes) in by_address {
        divide(address, &indexes, claims, &mut room, &mut runs)?;
    }
    runs.sort_by_key(|run| (run.claim, run.first_port, run.address));
    let mut positions: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut grouped: Vec<(Vec<usize>, Vec<Run>)> = Vec::new();
    for mut run in runs {
        let servers = std::mem::take(&mut run.servers);
        match positions.entry(servers) {
            Entry::Occupied(position) => grouped[*position.get()].1.push(run),
            Entry::Vacant(vacant) => {
                grouped.push((vacant.key().clone(), vec![run]));
                vacant.insert(grouped.len() - 1);
            }
        }
    }
    let all_v6 = ports_of_all_v6(&grouped);
    let groups = grouped.into_iter().map(|(servers, runs)| Group {
        listens: written(&runs, &all_v6, claims),
        servers,
    });
    Ok(groups.collect())
}

/// Ports of one address at which the same servers listen.
#[derive(Debug)]
struct Run {
    address: IpAddr,
    first_port: u16,
    last_port: u16,
    servers: Vec<usize>,
    /// Position of the claim of the first server.
    claim: usize,
}

/// Goes over the ports of an address from edge to edge.
fn divide(
    address: IpAddr,
    indexes: &[usize],
    claims: &[Claim],
    room: &mut usize,
    runs: &mut Vec<Run>,
) -> Result<(), ConfigError> {
    let mut edges: Vec<(u32, bool, usize)> = indexes
        .iter()
        .flat_map(|index| {
            let claim = &claims[*index];
            [
                (u32::from(claim.first_port), true, *index),
                (u32::from(claim.last_port) + 1, false, *index),
            ]
        })
        .collect();
    edges.sort_unstable();
    // The default server first, then the others in their order; each with its first claim, and how
    // many it has.
    let mut open: BTreeMap<(bool, usize), (usize, usize)> = BTreeMap::new();
    let mut begin = 0;
    for (port, begins, index) in edges {
        if port > begin && !open.is_empty() {
            *room = room.checked_sub(open.len()).ok_or_else(too_many)?;
            let claim = open.values().next().map(|(claim, _)| *claim);
            runs.push(Run {
                address,
                // Ports have 16 bits, and no run begins behind the last one.
                first_port: u16::try_from(begin).unwrap_or(u16::MAX),
                last_port: u16::try_from(port - 1).unwrap_or(u16::MAX),
                servers: servers(open.keys()),
                claim: claim.unwrap_or_default(),
            });
        }
        begin = port;
        let claim = &claims[index];
        let key = (!claim.is_default, claim.server);
        if begins {
            open.entry(key).or_insert((index, 0)).1 += 1;
        } else if let Some((_, count)) = open.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&key);
            }
        }
    }
    Ok(())
}

/// Each server once, though it may be the default server of only one of its claims.
fn servers<'a>(keys: impl Iterator<Item = &'a (bool, usize)>) -> Vec<usize> {
    let (mut servers, mut others) = (Vec::new(), Vec::new());
    for (is_other, server) in keys {
        let list = if *is_other { &mut others } else { &mut servers };
        list.push(*server);
    }
    let defaults = servers.len();
    others.retain(|server| servers[..defaults].binary_search(server).is_err());
    servers.append(&mut others);
    servers
}

fn too_many() -> ConfigError {
    ConfigError::placeless("too many servers listen on the same ports").help(format!(
        "limiter looks at {MAX_PAIRS} pairs of a server and a run of ports at the most"
    ))
}

/// First and last port of each run of `[::]`, in order.
fn ports_of_all_v6(grouped: &[(Vec<usize>, Vec<Run>)]) -> Vec<(u16, u16)> {
    let runs = grouped.iter().flat_map(|(_, runs)| runs);
    let mut ports: Vec<_> = runs
        .filter(|run| is_all_v6(run.address))
        .map(|run| (run.first_port, run.last_port))
        .collect();
    ports.sort_unstable();
    ports
}

/// The endpoints as limiter writes them. Where nginx has `0.0.0.0`, and nobody else has `[::]`, it
/// is just the port.
fn written(runs: &[Run], all_v6: &[(u16, u16)], claims: &[Claim]) -> Vec<(Listen, Span)> {
    let ports = |run: &Run| (run.first_port, run.last_port);
    let own_v6: HashSet<_> = runs
        .iter()
        .filter(|run| is_all_v6(run.address))
        .map(ports)
        .collect();
    let own_v4: HashSet<_> = runs
        .iter()
        .filter(|run| is_all_v4(run.address))
        .map(ports)
        .collect();
    let both = |run: &Run| own_v4.contains(&ports(run)) && own_v6.contains(&ports(run));
    let free = |run: &Run| {
        let next = all_v6.partition_point(|(_, last)| *last < run.first_port);
        all_v6
            .get(next)
            .is_none_or(|(first, _)| *first > run.last_port)
    };
    let mut listens = Vec::new();
    for run in runs {
        let is_v4 = is_all_v4(run.address);
        let addr = match both(run) {
            true if is_all_v6(run.address) => continue,
            true if is_v4 => ListenAddr::Any,
            _ if is_v4 && free(run) => ListenAddr::Any,
            _ => ListenAddr::Ip(run.address),
        };
        let listen = Listen {
            addr,
            first_port: run.first_port,
            last_port: run.last_port,
        };
        listens.push((listen, claims[run.claim].place.clone()));
    }
    listens
}

fn is_all_v4(address: IpAddr) -> bool {
    address.is_ipv4() && address.is_unspecified()
}

fn is_all_v6(address: IpAddr) -> bool {
    address.is_ipv6() && address.is_unspecified()
}
