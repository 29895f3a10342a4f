//! What the documentation says, in as few words as it takes: searches from the first to the last,
//! and counts of everything. Nothing of it is limiter's own code.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::{
    in_force::{Limit, Server, server_at, servers},
    net::cut,
    policy::{Action, Key, Policy, Zone},
};

/// A policy in force, and the connections that are open.
pub struct Model {
    zones: Vec<Counted>,
    servers: Vec<Server>,
}

/// A zone and what is in it.
pub struct Counted {
    pub zone: Zone,
    /// Keys with connections.
    pub keys: BTreeMap<ZoneKey, u32>,
    pub counters: Counters,
}

/// By the names that they have in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub passed: u64,
    pub skipped: u64,
    pub rejected: u64,
    pub rejected_dry_run: u64,
    pub exhausted: u64,
    pub exhausted_dry_run: u64,
    pub syn_retransmits: u64,
}

/// What the zone counts by has a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZoneKey {
    pub remote_addr: Option<IpAddr>,
    /// Bits of it that count, unless all do.
    pub remote_prefix: Option<u32>,
    pub server_addr: Option<IpAddr>,
    pub server_port: Option<u16>,
    pub server_name: Option<String>,
}

/// What is said of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No server is there, or none that has limits.
    NotLimited,
    Exempt,
    DryRun,
    BelowLimits,
    Refused {
        zone: usize,
        why: Why,
        action: Action,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Limit,
    Exhausted,
}

/// A connection that is open.
pub struct Open {
    client: IpAddr,
    to: SocketAddr,
    /// What it is counted under: zones and keys.
    charge: Vec<(usize, ZoneKey)>,
    /// It is counted everywhere where it should be. In dry run, not in a zone that is full.
    pub is_whole: bool,
}

impl Model {
    pub fn new(policy: &Policy) -> Self {
        let zones = policy.zones.iter().map(|zone| Counted {
            zone: zone.clone(),
            keys: BTreeMap::new(),
            counters: Counters::default(),
        });
        Self {
            zones: zones.collect(),
            servers: servers(policy),
        }
    }

    pub fn zones(&self) -> &[Counted] {
        &self.zones
    }

    /// What the kernel has to say of a SYN from there to here.
    pub fn decide(&self, client: IpAddr, to: SocketAddr) -> Decision {
        self.decision(client, to, Limit::number_for)
    }

    /// Whether an override makes the difference.
    pub fn is_overridden(&self, client: IpAddr, to: SocketAddr) -> bool {
        self.decide(client, to) != self.decision(client, to, |limit, _| limit.number)
    }

    /// Whether it makes a difference that of several overrides the smallest one wins.
    pub fn is_nested(&self, client: IpAddr, to: SocketAddr) -> bool {
        self.decide(client, to) != self.decision(client, to, Limit::number_of_the_largest)
    }

    fn decision(
        &self,
        client: IpAddr,
        to: SocketAddr,
        number: impl Fn(&Limit, IpAddr) -> u16,
    ) -> Decision {
        let Some(index) = server_at(&self.servers, to) else {
            return Decision::NotLimited;
        };
        let server = &self.servers[index];
        if server.limits.is_empty() {
            return Decision::NotLimited;
        }
        if server.exempt.iter().any(|net| net.contains(client)) {
            return Decision::Exempt;
        }
        if server.dry_run {
            return Decision::DryRun;
        }
        for limit in &server.limits {
            let counted = &self.zones[limit.zone];
            if counted.zone.key.is_empty() {
                continue;
            }
            let key = key(&counted.zone, client, to, &server.name);
            if let Some(why) = counted.refusal(&key, number(limit, client)) {
                return Decision::Refused {
                    zone: limit.zone,
                    why,
                    action: server.action,
                };
            }
        }
        Decision::BelowLimits
    }

    /// Counts a connection that was established.
    pub fn establish(&mut self, client: IpAddr, to: SocketAddr) -> Open {
        let mut open = Open {
            client,
            to,
            charge: Vec::new(),
            is_whole: true,
        };
        self.charge(&mut open, Model::admit);
        open
    }

    /// Goes on with another policy. Zones that count by the same keep their counters; everything
    /// that is open counts for it.
    pub fn reload<'a>(&mut self, policy: &Policy, open: impl Iterator<Item = &'a mut Open>) {
        let before = std::mem::replace(self, Self::new(policy));
        for counted in &mut self.zones {
            let mut old = before.zones.iter();
            if let Some(old) = old.find(|old| counted.zone.counts_like(&old.zone)) {
                counted.counters = old.counters;
            }
        }
        for open in open {
            open.charge.clear();
            // Nobody decides about it again.
            self.charge(open, |_, _, _| true);
        }
    }

    /// Counts a connection for every limit of its server, where `admit` finds room for it.
    fn charge(
        &mut self,
        open: &mut Open,
        admit: impl Fn(&mut Counted, Option<(&ZoneKey, u16)>, bool) -> bool,
    ) {
        let Some(index) = server_at(&self.servers, open.to) else {
            return;
        };
        let server = &self.servers[index];
        let exempt = server.exempt.iter().any(|net| net.contains(open.client));
        for limit in &server.limits {
            let counted = &mut self.zones[limit.zone];
            if exempt || counted.zone.key.is_empty() {
                admit(counted, None, server.dry_run);
                continue;
            }
            let key = key(&counted.zone, open.client, open.to, &server.name);
            let number = limit.number_for(open.client);
            if admit(counted, Some((&key, number)), server.dry_run) {
                *counted.keys.entry(key.clone()).or_default() += 1;
                open.charge.push((limit.zone, key));
            } else {
                open.is_whole = false;
            }
        }
    }

    /// Moves the counter of one zone for a connection that is established, with a key unless it is
    /// not accounted. Whether it gets a slot.
    fn admit(counted: &mut Counted, key: Option<(&ZoneKey, u16)>, dry_run: bool) -> bool {
        let refusal = key.and_then(|(key, number)| counted.refusal(key, number));
        assert!(
            dry_run || refusal.is_none(),
            "what is refused is not established"
        );
        let counters = &mut counted.counters;
        match (key, refusal) {
            (None, _) => counters.skipped += 1,
            (Some(_), None) => counters.passed += 1,
            (Some(_), Some(Why::Limit)) => counters.rejected_dry_run += 1,
            (Some(_), Some(Why::Exhausted)) => counters.exhausted_dry_run += 1,
        }
        refusal != Some(Why::Exhausted)
    }

    /// Takes a connection away that was closed.
    pub fn close(&mut self, open: &Open) {
        for (zone, key) in &open.charge {
            let keys = &mut self.zones[*zone].keys;
            let connections = keys.get_mut(key).expect("a key that was counted");
            *connections -= 1;
            if *connections == 0 {
                keys.remove(key);
            }
        }
    }

    /// Counts an attempt that was refused, or a packet more of it.
    pub fn refuse(&mut self, zone: usize, why: Why, again: bool) {
        let counters = &mut self.zones[zone].counters;
        match (again, why) {
            (true, _) => counters.syn_retransmits += 1,
            (false, Why::Limit) => counters.rejected += 1,
            (false, Why::Exhausted) => counters.exhausted += 1,
        }
    }
}

impl Counted {
    /// Whether one connection more of this key is too much, with so many allowed.
    fn refusal(&self, key: &ZoneKey, number: u16) -> Option<Why> {
        let connections = self.keys.get(key).copied().unwrap_or(0);
        if connections >= u32::from(number) {
            return Some(Why::Limit);
        }
        let is_full = self.keys.len() as u64 >= self.zone.capacity();
        (connections == 0 && is_full && !self.zone.evicts).then_some(Why::Exhausted)
    }
}

fn key(zone: &Zone, client: IpAddr, to: SocketAddr, server: &str) -> ZoneKey {
    let Key {
        client: by_client,
        addr,
        port,
        server: by_server,
        ..
    } = zone.key;
    let (prefix, longest) = match client.is_ipv4() {
        true => (zone.v4_prefix, 32),
        false => (zone.v6_prefix, 128),
    };
    ZoneKey {
        remote_addr: by_client.then(|| cut(client, prefix)),
        remote_prefix: (by_client && prefix < longest).then_some(prefix),
        server_addr: addr.then(|| to.ip()),
        server_port: port.then(|| to.port()),
        server_name: by_server.then(|| server.to_owned()),
    }
}
