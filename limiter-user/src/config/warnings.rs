//! What works, but is hardly meant that way.

use std::collections::HashSet;

use super::{
    error::{Warning, shown},
    level::Level,
    networks::NamedOverride,
    server::Draft,
    zones::Zones,
};
use crate::policy::{Listen, ListenAddr, Policy, Prefixes, Server, Zone, origin::Origin};

/// A policy from a file, with the places in it.
pub(super) struct File<'a> {
    pub(super) main: &'a Level,
    pub(super) drafts: &'a [Draft],
    pub(super) zones: &'a Zones,
    pub(super) policy: &'a Policy,
}

impl File<'_> {
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.of_zones();
        for level in [self.main]
            .into_iter()
            .chain(self.drafts.iter().map(|it| &it.level))
        {
            warnings.extend(self.of_level(level));
        }
        warnings.extend(self.of_servers());
        let mut servers = self.policy.servers.iter();
        let upstreams = self.policy.upstreams.iter();
        let mut capped = upstreams.flat_map(|it| &it.servers);
        let has_cap = capped.any(|server| server.max_conns > 0);
        if !has_cap && servers.all(|server| server.limits.is_empty()) {
            warnings.push(
                Warning::placeless("nothing is limited: no \"limit_conn\" is in effect")
                    .help("limit_conn ZONE NUMBER;"),
            );
        }
        warnings
    }

    fn of_zones(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (index, definition) in self.zones.all().iter().enumerate() {
            let place = &definition.word.span;
            let name = shown(&definition.zone.name);
            if !is_used(index, &self.policy.servers) {
                let message = format!("zone \"{name}\" is not used by any server");
                let warning = Warning::at(place, message);
                warnings.push(warning.help(format!("limit_conn {name} NUMBER;")));
                continue;
            }
            let is_default = definition.origins.v6_prefix == Some(Origin::Default);
            if is_default && let Some(message) = single_clients(self.policy, index) {
                let help = "v6_prefix=64 counts a network as one client; \
                    v6_prefix=128 says that single addresses are meant";
                warnings.push(Warning::advice_at(place, message).help(help));
            }
        }
        warnings
    }

    fn of_level(&self, level: &Level) -> Vec<Warning> {
        let zone = |name: &str| {
            let mut zones = self.policy.zones.iter();
            zones.find(|zone| zone.name == name)
        };
        let mut warnings = Vec::new();
        for limit in &level.limits {
            let message = zone(&limit.zone.value).and_then(|zone| few_keys(zone, limit.number));
            let warning = message.map(|message| Warning::at(&limit.place, message));
            warnings.extend(warning.map(|it| it.help(KEYS_ARE_NO_CONNECTIONS)));
        }
        for one in level.overrides.all() {
            let Some(zone) = zone(&one.zone.value) else {
                continue;
            };
            let (name, bits) = match one.network.addr().is_ipv4() {
                true => ("v4_prefix", zone.prefixes.v4),
                false => ("v6_prefix", zone.prefixes.v6),
            };
            if one.network.prefix_len() > bits {
                let message = format!(
                    "network \"{}\" is smaller than what zone \"{}\" counts: \
                     its clients share their count with others",
                    one.network,
                    shown(&zone.name)
                );
                let help = format!("the zone has {name}={bits}; name a network of that size");
                warnings.push(Warning::at(&one.place, message).help(help));
            }
        }
        warnings
    }

    fn of_servers(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        // One of the main context is warned of once, however many servers inherit it.
        let mut overrides: HashSet<*const NamedOverride> = HashSet::new();
        for (draft, server) in self.drafts.iter().zip(&self.policy.servers) {
            let source = match draft.level.overrides.is_written() {
                true => &draft.level,
                false => self.main,
            };
            for one in source.overrides.all() {
                let mut exempt = server.exempt.iter();
                let Some(around) = exempt.find(|exempt| exempt.contains(&one.network)) else {
                    continue;
                };
                if !overrides.insert(one) {
                    continue;
                }
                let message = format!(
                    "the override of \"{}\" has no effect: \"{around}\" is exempt",
                    one.network
                );
                let warning = Warning::at(&one.place, message);
                warnings.push(warning.help("exempt clients are not counted at all"));
            }
            if let Some((_, place)) = draft.listens.first()
                && let Some(message) = local_clients(self.policy, server)
            {
                warnings.push(Warning::advice_at(place, message).help(COUNT_ELSEWHERE));
            }
        }
        warnings
    }
}

/// Of a policy from flags.
pub(super) fn of_flags(policy: &Policy, v6_prefix_given: bool) -> Vec<Warning> {
    let (Some(zone), Some(server)) = (policy.zones.first(), policy.servers.first()) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if !v6_prefix_given && let Some(message) = single_clients(policy, 0) {
        let help = "--v6-prefix 64 counts a network as one client; \
            --v6-prefix 128 says that single addresses are meant";
        warnings.push(Warning::advice(message).help(help));
    }
    let limits = server.limits.iter();
    for message in limits.filter_map(|limit| few_keys(zone, limit.number)) {
        warnings
            .push(Warning::placeless(format!("--limit: {message}")).help(KEYS_ARE_NO_CONNECTIONS));
    }
    if let Some(message) = local_clients(policy, server) {
        warnings.push(Warning::advice(format!("--listen: {message}")).help(COUNT_ELSEWHERE));
    }
    warnings
}

const KEYS_ARE_NO_CONNECTIONS: &str =
    "the size of a zone is room for keys, not for connections: 1m holds 16384 keys";

const COUNT_ELSEWHERE: &str =
    "behind a proxy count by \"$server_name\", or count at the proxy, which sees the clients";

fn is_used(zone: usize, servers: &[Server]) -> bool {
    let mut limits = servers.iter().flat_map(|server| &server.limits);
    limits.any(|limit| limit.zone == zone)
}

/// An IPv6 client may take any address of its network, mostly a /64 (RFC 6177).
fn single_clients(policy: &Policy, zone: usize) -> Option<String> {
    let counted = policy.zones.get(zone)?;
    let singly = counted.client_prefixes()?.v6 == Prefixes::WHOLE.v6;
    let mut servers = policy.servers.iter();
    let reached = servers.any(|server| {
        let limited = server.limits.iter().any(|limit| limit.zone == zone);
        limited && (server.listen.is_empty() || server.listen.iter().any(may_have_ipv6_clients))
    });
    (singly && reached).then(|| {
        format!(
            "zone \"{}\" counts IPv6 clients singly, and a client has many addresses",
            shown(&counted.name)
        )
    })
}

fn may_have_ipv6_clients(listen: &Listen) -> bool {
    match listen.addr {
        ListenAddr::Any => true,
        ListenAddr::Ip(addr) => addr.is_ipv6(),
    }
}

/// A single client may have more connections than the zone has room for clients: somebody took
/// the one for the other.
fn few_keys(zone: &Zone, number: u16) -> Option<String> {
    let capacity = zone.capacity();
    (zone.key.has_client() && u64::from(number) > capacity).then(|| {
        format!(
            "one client may have {number} connections, but zone \"{}\" has room for {capacity} \
             clients",
            shown(&zone.name)
        )
    })
}

/// Whoever connects to a loopback address is on this host; if that is a proxy, all of its clients
/// have one address.
fn local_clients(policy: &Policy, server: &Server) -> Option<String> {
    let local = |listen: &Listen| match listen.addr {
        ListenAddr::Any => false,
        ListenAddr::Ip(addr) => addr.to_canonical().is_loopback(),
    };
    let first = server.listen.first()?;
    let zones = server
        .limits
        .iter()
        .filter_map(|limit| policy.zones.get(limit.zone));
    let zone = zones.clone().find(|zone| zone.key.has_client())?;
    server.listen.iter().all(local).then(|| {
        format!(
            "all clients of \"{first}\" are processes of this host: zone \"{}\" counts a proxy \
             there as one client",
            shown(&zone.name)
        )
    })
}
