//! What the daemon says of every zone, against what the model has counted.

use std::collections::BTreeMap;

use limiter::api::{KeyStatus, ZoneStatus};
use tests::Limiter;

use super::reference::{Counted, Counters, Model, ZoneKey};

/// Frames that were not understood, by the names that the reasons have in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets(BTreeMap<String, u64>);

impl Packets {
    pub fn count(&mut self, why: &str) {
        *self.0.entry(why.to_owned()).or_default() += 1;
    }
}

/// Compares everything that is counted.
#[track_caller]
pub fn must_agree(limiter: &Limiter, model: &Model, packets: &Packets) {
    for counted in model.zones() {
        let name = &counted.zone.name;
        let response = limiter.http("GET", &format!("/zones/{name}?top=100000"), None);
        let zone: ZoneStatus = serde_json::from_str(&response.body)
            .unwrap_or_else(|e| panic!("zone {name}: {e}: {}", response.body));
        assert_eq!(
            Figures::of(&zone),
            Figures::expected(counted),
            "zone {name}"
        );
        let top = zone.top.expect("the keys that were asked for");
        let keys: BTreeMap<_, _> = top.iter().map(|it| (key(it), it.connections)).collect();
        assert_eq!(keys, counted.keys, "keys of zone {name}");
    }
    let status = limiter.http("GET", "/status", None).json();
    let mut seen: BTreeMap<String, u64> =
        serde_json::from_value(status["packets"].clone()).expect("numbers");
    seen.retain(|_, count| *count > 0);
    assert_eq!(Packets(seen), *packets, "packets that were not understood");
}

#[derive(Debug, PartialEq, Eq)]
struct Figures {
    capacity: u64,
    keys: u64,
    connections: u64,
    counters: Counters,
    /// `excess`, `untracked`, `evicted`, `drift`: nothing went wrong.
    wrong: [u64; 4],
}

impl Figures {
    fn of(zone: &ZoneStatus) -> Self {
        Self {
            capacity: zone.capacity,
            keys: zone.keys,
            connections: zone.connections,
            counters: Counters {
                passed: zone.passed,
                skipped: zone.skipped,
                rejected: zone.rejected,
                rejected_dry_run: zone.rejected_dry_run,
                exhausted: zone.exhausted,
                exhausted_dry_run: zone.exhausted_dry_run,
                syn_retransmits: zone.syn_retransmits,
            },
            wrong: [zone.excess, zone.untracked, zone.evicted, zone.drift],
        }
    }

    fn expected(counted: &Counted) -> Self {
        Self {
            capacity: counted.zone.capacity(),
            keys: counted.keys.len() as u64,
            connections: counted.keys.values().map(|it| u64::from(*it)).sum(),
            counters: counted.counters,
            wrong: [0; 4],
        }
    }
}

fn key(status: &KeyStatus) -> ZoneKey {
    ZoneKey {
        remote_addr: status.parts.remote_addr,
        remote_prefix: status.parts.remote_prefix.map(u32::from),
        server_addr: status.parts.server_addr,
        server_port: status.parts.server_port,
        server_name: status.parts.server_name.clone(),
    }
}
