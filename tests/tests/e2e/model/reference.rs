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

/// What one connection is counted under: zones and keys.
pub type Charge = Vec<(usize, ZoneKey)>;

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
    pub fn establish(&mut self, client: IpAddr, to: SocketAddr) -> Charge {
        let mut charge = Charge::new();
        let Some(index) = server_at(&self.servers, to) else {
            return charge;
        };
        let server = &self.servers[index];
        let exempt = server.exempt.iter().any(|net| net.contains(client));
        for limit in &server.limits {
            let counted = &mut self.zones[limit.zone];
            let counters = &mut counted.counters;
            if exempt || counted.zone.key.is_empty() {
                counters.skipped += 1;
                continue;
            }
            let key = key(&counted.zone, client, to, &server.name);
            let refusal = counted.refusal(&key, limit.number_for(client));
            let counters = &mut counted.counters;
            match refusal {
                None => counters.passed += 1,
                Some(why) => {
                    assert!(
                        server.dry_run,
                        "an attempt that is refused is not established"
                    );
                    match why {
                        Why::Limit => counters.rejected_dry_run += 1,
                        Why::Exhausted => {
                            counters.exhausted_dry_run += 1;
                            continue;
                        }
                    }
                }
            }
            *counted.keys.entry(key.clone()).or_default() += 1;
            charge.push((limit.zone, key));
        }
        charge
    }

    /// Takes a connection away that was closed.
    pub fn close(&mut self, charge: &Charge) {
        for (zone, key) in charge {
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
