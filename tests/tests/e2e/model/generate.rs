//! Policies that nobody would write, but may.

use std::net::IpAddr;

use tests::{netns::unspecified, random::Random};

use super::{
    hosts::{FIRST_PORT, LAST_PORT, LOCAL, client},
    net::Net,
    policy::{Action, Key, Level, Listen, Override, Policy, Server, Zone},
};

const KEYS: [Key; 14] = [
    key("$binary_remote_addr", true, false, false, false),
    key("$binary_remote_addr", true, false, false, false),
    key("$remote_addr", true, false, false, false),
    key("from $remote_addr", true, false, false, false),
    key("$binary_remote_addr$server_addr", true, true, false, false),
    key("$server_port $remote_addr", true, false, true, false),
    key(
        "${binary_remote_addr}-${server_name}",
        true,
        false,
        false,
        true,
    ),
    key(
        "$remote_addr$server_addr$server_port$server_name",
        true,
        true,
        true,
        true,
    ),
    key("$server_addr", false, true, false, false),
    key("$server_port", false, false, true, false),
    key("$server_name", false, false, false, true),
    key("$server_addr:$server_port", false, true, true, false),
    key("all of $protocol", false, false, false, false),
    key("", false, false, false, false),
];

const fn key(text: &'static str, client: bool, addr: bool, port: bool, server: bool) -> Key {
    Key {
        text,
        client,
        addr,
        port,
        server,
    }
}

/// Smallest zone, in KiB: room for 512 keys.
const SMALLEST_K: u64 = 32;

/// A policy, in which some of the zones are those of the policy before. In one with `tiny` zones, the
/// first server counts every client by itself in a zone that so many clients fill.
pub fn policy(random: &mut Random, tiny: bool, before: &[Zone]) -> Policy {
    let mut zones = Vec::new();
    for number in 0..1 + random.below(4) {
        let mut zone = zone(random, number, tiny);
        if let Some(old) = before.get(number)
            && (number > 0 || !tiny)
            && random.once_in(2)
        {
            let resized = random.once_in(2);
            zone = Zone {
                size_k: if resized { zone.size_k } else { old.size_k },
                evicts: if resized { zone.evicts } else { old.evicts },
                ..old.clone()
            };
        }
        zones.push(zone);
    }
    let count = match (tiny, random.once_in(12)) {
        (false, true) => 0,
        _ => 1 + random.below(4),
    };
    let listens = listens(random, count, tiny);
    let mut policy = Policy {
        main: level(random, &zones, 2),
        servers: Vec::new(),
        zones,
    };
    for (number, listens) in listens.into_iter().enumerate() {
        let mut level = level(random, &policy.zones, 3);
        if tiny && number == 0 {
            level.limits.retain(|(zone, _)| *zone != 0);
            level.limits.insert(0, (0, 1 + small(random, 3)));
            level.dry_run = Some(random.once_in(4));
            level.exempt.get_or_insert_default();
        }
        policy.servers.push(Server {
            name: format!("s{number}"),
            listens,
            level,
        });
    }
    overrides(random, &mut policy);
    policy
}

fn zone(random: &mut Random, number: usize, tiny: bool) -> Zone {
    let first = tiny && number == 0;
    let key = match first {
        true => KEYS[random.below(8)],
        false => random.one_of(&KEYS),
    };
    let [v4_prefix, v6_prefix] = match first {
        true => [32, 128],
        false => [
            random.one_of(&[32, 32, 31, 28, 24, 16, 8, 0]),
            random.one_of(&[128, 128, 126, 112, 64, 48, 32, 0]),
        ],
    };
    let evicts = !tiny && random.once_in(5);
    Zone {
        name: format!("z{number}"),
        key,
        // A zone that evicts has to have room for everybody: nobody can say whom it evicts.
        size_k: match evicts {
            true => 1_024,
            false => random.one_of(&[SMALLEST_K, SMALLEST_K, SMALLEST_K + 1, 1_024]),
        },
        v4_prefix,
        v6_prefix,
        evicts,
    }
}

/// Where each of so many servers listens. No endpoint belongs to two, and one at the most has every
/// port.
fn listens(random: &mut Random, servers: usize, tiny: bool) -> Vec<Vec<Listen>> {
    let mut all: Vec<Vec<Listen>> = vec![Vec::new(); servers];
    let with_every_port = match tiny {
        true => servers,
        false => random.below(servers * 2 + 1),
    };
    for server in (0..servers).filter(|server| *server != with_every_port) {
        for _ in 0..1 + random.below(3) {
            let own = random.one_of(&LOCAL);
            let first = FIRST_PORT - 1 + small(random, 9);
            let listen = Listen {
                addr: random.one_of(&[None, None, Some(unspecified(own)), Some(own)]),
                first,
                last: (first + random.one_of(&[0, 0, 0, 1, 3])).min(LAST_PORT + 1),
            };
            let mut others = all.iter().flatten();
            if !others.any(|other| overlap(*other, listen)) {
                all[server].push(listen);
            }
        }
        if tiny && server == 0 {
            // The port at which everybody is accepted, at all addresses.
            all[0] = vec![Listen {
                addr: None,
                first: FIRST_PORT,
                last: FIRST_PORT + 1,
            }];
        }
    }
    // A server that found no place has none; there may be one of that kind.
    let mut nowhere = false;
    all.retain(|listens| !listens.is_empty() || !std::mem::replace(&mut nowhere, true));
    all
}

fn overlap(one: Listen, other: Listen) -> bool {
    one.addr == other.addr && one.first <= other.last && other.first <= one.last
}

/// Each kind of directive once in so many times; no overrides yet.
fn level(random: &mut Random, zones: &[Zone], times: usize) -> Level {
    let mut level = Level::default();
    for (index, zone) in zones.iter().enumerate() {
        if !random.once_in(times) {
            let number = match zone.key.client {
                true => random.one_of(&[1, 1, 2, 2, 3, 5, 65_535]),
                false => random.one_of(&[5, 10, 20, 40, 80]),
            };
            level.limits.push((index, number));
        }
    }
    if random.once_in(3) {
        let mut nets = Vec::new();
        for _ in 0..random.below(4) {
            let net = network(random);
            if !nets.contains(&net) {
                nets.push(net);
            }
        }
        level.exempt = Some(nets);
    }
    if random.once_in(6) {
        level.dry_run = Some(random.once_in(2));
    }
    if random.once_in(2) {
        level.action = Some(random.one_of(&[Action::Drop, Action::Reset]));
    }
    level
}

/// Overrides for limits that are in force, mostly inside each other.
fn overrides(random: &mut Random, policy: &mut Policy) {
    let of_main: Vec<usize> = policy.main.limits.iter().map(|(zone, _)| *zone).collect();
    let counts_clients = |zone: &usize| policy.zones[*zone].key.client;
    let mut inherited = Vec::new();
    if policy.servers.is_empty() {
        inherited.clone_from(&of_main);
    }
    let mut own = Vec::new();
    for server in &policy.servers {
        let limits = server.level.limits.iter().map(|(zone, _)| *zone);
        let mut limits: Vec<usize> = limits.collect();
        if limits.is_empty() {
            limits.clone_from(&of_main);
        }
        limits.retain(counts_clients);
        let overrides = match random.below(6) {
            0..=2 => some(random, &limits),
            3 => Some(Vec::new()),
            _ => None,
        };
        if overrides.is_none() {
            inherited.extend(limits);
        }
        own.push(overrides);
    }
    inherited.retain(counts_clients);
    if random.once_in(2) {
        policy.main.overrides = some(random, &inherited);
    }
    for (server, overrides) in policy.servers.iter_mut().zip(own) {
        server.level.overrides = overrides;
    }
}

/// Networks around one client, one inside the other, and perhaps more; none if no zone is given.
fn some(random: &mut Random, zones: &[usize]) -> Option<Vec<Override>> {
    let mut overrides: Vec<Override> = Vec::new();
    if zones.is_empty() {
        return None;
    }
    for _ in 0..1 + random.below(2) {
        let (zone, addr) = (random.one_of(zones), client(random));
        for _ in 0..1 + random.below(4) {
            let net = around(random, addr);
            let number = random.one_of(&[1, 2, 4, 8, 65_535]);
            if !overrides
                .iter()
                .any(|(of, it, _)| (*of, *it) == (zone, net))
            {
                overrides.push((zone, net, number));
            }
        }
    }
    Some(overrides)
}

/// A network with some of the clients in it.
fn network(random: &mut Random) -> Net {
    let addr = client(random);
    around(random, addr)
}

fn around(random: &mut Random, addr: IpAddr) -> Net {
    let bits = match addr.is_ipv4() {
        true => random.one_of(&[0, 8, 16, 21, 22, 23, 24, 28, 30, 31, 32]),
        false => random.one_of(&[0, 16, 32, 48, 61, 62, 63, 64, 124, 127, 128]),
    };
    Net::around(addr, bits)
}

fn small(random: &mut Random, bound: usize) -> u16 {
    u16::try_from(random.below(bound)).expect("small")
}
