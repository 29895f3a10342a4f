//! From the checked policy to the values of the policy maps.

mod compiled;

use std::{collections::HashMap, net::IpAddr};

use limiter_common::{
    addr::Addr,
    key::KeyFields,
    policy::{
        ACTION_CLOSE, ACTION_DROP, ACTION_RESET, Limit, MAX_LIMITS, MAX_LISTENERS, MAX_NETWORKS,
        MAX_SERVERS, MAX_ZONES, PORTS, PortEntry, ServerPolicy,
    },
    upstream::UpstreamServer,
};

pub(super) use self::compiled::Compiled;
use super::{
    error::KernelError,
    indices::{Indices, UpstreamIndices},
    networks,
};
use crate::policy::{Action, Key, ListenAddr, Policy, Server, Zone};

/// Compiles the policy.
///
/// # Errors
///
/// If it does not fit into the maps.
pub(super) fn compile(policy: &Policy, indices: &Indices) -> Result<Compiled, KernelError> {
    let mut ports = vec![PortEntry::default(); PORTS as usize];
    let mut with_address: HashMap<u16, Vec<(Addr, u16)>> = HashMap::new();
    let mut named = Vec::new();
    let with_indices = || indices.servers.iter().copied().zip(&policy.servers);
    // One more in the maps, where 0 is none.
    let with_numbers = || with_indices().map(|(index, server)| (index + 1, server));
    for (index, server) in with_numbers() {
        for listen in &server.listen {
            if listen.first_port == listen.last_port {
                named.push(listen.first_port);
            }
            for port in listen.first_port..=listen.last_port {
                match listen.addr {
                    ListenAddr::Any => ports[usize::from(port)].server = index,
                    ListenAddr::Ip(addr) => {
                        with_address
                            .entry(port)
                            .or_default()
                            .push((wildcard(addr), index));
                    }
                }
            }
        }
    }
    // Servers without `listen` cover what is left.
    for (index, server) in with_numbers() {
        if server.listen.is_empty() {
            for entry in ports.iter_mut().filter(|entry| entry.server == 0) {
                entry.server = index;
            }
        }
    }
    let listeners = classify(&mut ports, with_address);
    check_size("listen addresses", listeners.len(), MAX_LISTENERS)?;
    let servers = with_indices()
        .map(|(index, server)| compile_server(index, server, &policy.zones, &indices.zones))
        .collect::<Result<_, _>>()?;
    let exempt = with_indices().map(|(index, server)| (index, server.exempt.clone()));
    let networks = networks::compile(with_indices());
    check_size("networks", networks.len(), MAX_NETWORKS as u32)?;
    Ok(Compiled {
        ports,
        listeners,
        upstreams: compile_upstreams(policy, &indices.upstreams),
        servers,
        exempt: exempt.collect(),
        networks,
        named,
    })
}

fn compile_upstreams(
    policy: &Policy,
    indices: &UpstreamIndices,
) -> HashMap<(Addr, u16), UpstreamServer> {
    let upstreams = policy.upstreams.iter().zip(&indices.queues);
    let servers = upstreams
        .flat_map(|(upstream, queue)| upstream.servers.iter().map(move |it| (upstream, queue, it)));
    let compiled = servers.zip(&indices.servers);
    let compiled = compiled.map(|((upstream, queue, server), &index)| {
        let waits = upstream.queue.zip(*queue);
        let value = UpstreamServer {
            max_conns: server.max_conns,
            index,
            dry_run: upstream.dry_run.into(),
            padding: 0,
            queue_max: waits.map_or(0, |(it, _)| it.max),
            queue_timeout_ms: waits.map_or(0, |(it, _)| it.timeout_ms),
            queue: waits.map_or(0, |(_, index)| index),
            padding_to_word: 0,
        };
        ((server.addr.ip().into(), server.addr.port()), value)
    });
    compiled.collect()
}

/// Ports with the same listeners share a class, so that a range takes one entry an address.
fn classify(
    ports: &mut [PortEntry],
    with_address: HashMap<u16, Vec<(Addr, u16)>>,
) -> HashMap<(u16, Addr), u32> {
    let mut with_address: Vec<_> = with_address.into_iter().collect();
    with_address.sort_unstable_by_key(|(port, _)| *port);
    let mut classes: HashMap<Vec<(Addr, u16)>, u16> = HashMap::new();
    let mut listeners = HashMap::new();
    for (port, addresses) in with_address {
        // 65535 ports at the most: a class of its own for each fits.
        let next = classes.len() as u16 + 1;
        let class = *classes.entry(addresses.clone()).or_insert(next);
        ports[usize::from(port)].class = class;
        for (addr, server) in addresses {
            listeners.insert((class, addr), u32::from(server));
        }
    }
    listeners
}

/// `0.0.0.0` and `[::]` as they stand in the listener map.
fn wildcard(addr: IpAddr) -> Addr {
    match addr {
        IpAddr::V6(v6) if v6.is_unspecified() => Addr::UNSPECIFIED,
        addr => Addr::from(addr),
    }
}

fn compile_server(
    index: u16,
    server: &Server,
    zones: &[Zone],
    indices: &[u16],
) -> Result<ServerPolicy, KernelError> {
    check_size(
        "limits of one server",
        server.limits.len(),
        MAX_LIMITS as u32,
    )?;
    let mut compiled = ServerPolicy {
        limit_count: server.limits.len() as u16,
        index,
        has_exemptions: (!server.exempt.is_empty()).into(),
        dry_run: server.dry_run.into(),
        action: match server.action {
            Action::Drop => ACTION_DROP,
            Action::Reset => ACTION_RESET,
            Action::Close { .. } => ACTION_CLOSE,
        },
        ..ServerPolicy::default()
    };
    for (slot, limit) in compiled.limits.iter_mut().zip(&server.limits) {
        *slot = Limit {
            number: limit.number,
            zone: indices[limit.zone],
            fields: fields(&zones[limit.zone].key),
            v4_bits: networks::MAPPED_BITS + zones[limit.zone].prefixes.v4,
            v6_bits: zones[limit.zone].prefixes.v6,
            has_overrides: (!limit.overrides.is_empty()).into(),
        };
    }
    Ok(compiled)
}

fn fields(key: &Key) -> KeyFields {
    if key.empty {
        KeyFields::EMPTY
    } else {
        key.fields
    }
}

/// Whether there are places for so many zones and servers.
///
/// # Errors
///
/// If there are not.
pub(super) fn check(policy: &Policy) -> Result<(), KernelError> {
    check_size("zones", policy.zones.len(), MAX_ZONES)?;
    check_size("servers", policy.servers.len(), MAX_SERVERS)
}

fn check_size(what: &str, number: usize, most: u32) -> Result<(), KernelError> {
    if number as u64 <= u64::from(most) {
        return Ok(());
    }
    Err(KernelError::new(
        "load",
        "the policy",
        format!("{number} {what}, at most {most} are possible"),
    ))
}

#[cfg(test)]
mod tests;
