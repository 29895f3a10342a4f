//! Single keys, if `metrics_top` asks for them: as many of each zone as it says.

use prometheus::proto::MetricFamily;

use super::family::{Sample, counter, gauge};
use crate::api::{KeyParts, KeyStatus, ZoneStatus};

pub(super) fn families(zones: &[ZoneStatus]) -> Vec<MetricFamily> {
    let each = |value: fn(&KeyStatus) -> f64| -> Vec<Sample> {
        let keys = zones.iter().flat_map(|zone| {
            let keys = zone.top.iter().flatten();
            keys.map(move |key| (of(zone, &key.parts), value(key)))
        });
        keys.collect()
    };
    let families = [
        gauge(
            "limiter_key_connections",
            "Open connections of one of the keys with most connections.",
            each(|key| key.connections.into()),
        ),
        counter(
            "limiter_key_rejected_total",
            "Refused attempts of one of the keys with most connections, since the key is known.",
            each(|key| key.rejected as f64),
        ),
    ];
    families.into_iter().flatten().collect()
}

/// What the zone counts by. A network is written as such.
fn of(zone: &ZoneStatus, key: &KeyParts) -> Vec<(&'static str, String)> {
    let mut labels = vec![("zone", zone.zone.clone())];
    if let Some(client) = key.client() {
        labels.push(("remote_addr", client));
    }
    if let Some(address) = key.server_addr {
        labels.push(("server_addr", address.to_string()));
    }
    if let Some(port) = key.server_port {
        labels.push(("server_port", port.to_string()));
    }
    if let Some(name) = &key.server_name {
        labels.push(("server_name", name.clone()));
    }
    labels
}
