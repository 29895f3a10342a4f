//! Zones and their keys.

use super::{
    bytes,
    table::{Side, Table},
};
use crate::api::{KeyParts, KeyStatus, UpstreamStatus, ZoneStatus};

/// Zones, and upstreams if there are some.
pub fn with_upstreams(zones: &[ZoneStatus], upstreams: &[UpstreamStatus]) -> String {
    let mut text = self::zones(zones);
    if !upstreams.is_empty() {
        text.push('\n');
        text.push_str(&super::upstreams::upstreams(upstreams));
    }
    text
}

/// One line per zone.
pub fn zones(zones: &[ZoneStatus]) -> String {
    let mut table = Table::new([
        ("ZONE", Side::Left),
        ("KEY", Side::Left),
        ("KEYS", Side::Right),
        ("CONNECTIONS", Side::Right),
        ("PASSED", Side::Right),
        ("SKIPPED", Side::Right),
        ("REJECTED", Side::Right),
        ("EXHAUSTED", Side::Right),
        ("DRY RUN", Side::Right),
        ("EVICTED", Side::Right),
        ("DRIFT", Side::Right),
        ("MEMORY", Side::Right),
    ]);
    for zone in zones {
        table.row([
            zone.zone.clone(),
            zone.key.clone(),
            format!("{}/{}", zone.keys, zone.capacity),
            zone.connections.to_string(),
            zone.passed.to_string(),
            zone.skipped.to_string(),
            zone.rejected.to_string(),
            zone.exhausted.to_string(),
            (zone.rejected_dry_run + zone.exhausted_dry_run).to_string(),
            zone.evicted.to_string(),
            zone.drift.to_string(),
            bytes(zone.memory_bytes),
        ]);
    }
    table.render()
}

/// Everything about one zone: a line per number, then a table of its busiest keys.
pub fn zone(zone: &ZoneStatus) -> String {
    let lines = [
        ("zone", zone.zone.clone()),
        ("key", zone.key.clone()),
        ("prefixes", prefixes(zone)),
        ("when full", zone.on_full.to_string()),
        ("keys", format!("{} of {}", zone.keys, zone.capacity)),
        ("connections", zone.connections.to_string()),
        ("passed", zone.passed.to_string()),
        ("skipped", zone.skipped.to_string()),
        ("rejected", zone.rejected.to_string()),
        ("rejected, dry run", zone.rejected_dry_run.to_string()),
        ("exhausted", zone.exhausted.to_string()),
        ("exhausted, dry run", zone.exhausted_dry_run.to_string()),
        ("repeated SYNs", zone.syn_retransmits.to_string()),
        ("excess", zone.excess.to_string()),
        ("untracked", zone.untracked.to_string()),
        ("evicted", zone.evicted.to_string()),
        ("drift", zone.drift.to_string()),
        ("memory", bytes(zone.memory_bytes)),
    ];
    let lines = lines.iter();
    let mut text: String = lines
        .map(|(name, value)| format!("{name:<18}  {value}\n"))
        .collect();
    // Whoever asks for refusals wants to see those.
    let top = zone.top_rejected.as_ref().or(zone.top.as_ref());
    if let Some(top) = top.filter(|top| !top.is_empty()) {
        text.push('\n');
        text.push_str(&keys(top));
    }
    text
}

/// What of a client's address counts.
fn prefixes(zone: &ZoneStatus) -> String {
    match (zone.v4_prefix, zone.v6_prefix) {
        (Some(v4), Some(v6)) => format!("IPv4 /{v4}, IPv6 /{v6}"),
        _ => "none".to_owned(),
    }
}

/// All keys of a zone have the same fields.
fn keys(keys: &[KeyStatus]) -> String {
    let mut columns = Vec::new();
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); keys.len()];
    let mut column = |name, value: fn(&KeyParts) -> Option<String>| {
        if keys.iter().any(|key| value(&key.parts).is_some()) {
            columns.push((name, Side::Left));
            for (row, key) in cells.iter_mut().zip(keys) {
                row.push(value(&key.parts).unwrap_or_default());
            }
        }
    };
    column("REMOTE ADDR", KeyParts::client);
    column("SERVER ADDR", |key| {
        key.server_addr.map(|addr| addr.to_string())
    });
    column("SERVER PORT", |key| {
        key.server_port.map(|port| port.to_string())
    });
    column("SERVER NAME", |key| key.server_name.clone());
    columns.push(("CONNECTIONS", Side::Right));
    columns.push(("REJECTED", Side::Right));
    let mut table = Table::new(columns);
    for (mut row, key) in cells.into_iter().zip(keys) {
        row.push(key.connections.to_string());
        row.push(key.rejected.to_string());
        table.row(row);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr() -> ZoneStatus {
        ZoneStatus {
            zone: "addr".to_owned(),
            key: "$binary_remote_addr".to_owned(),
            capacity: 163_840,
            keys: 2,
            connections: 12,
            passed: 1234,
            rejected: 5,
            rejected_dry_run: 1,
            exhausted_dry_run: 2,
            memory_bytes: 25 << 20,
            ..ZoneStatus::default()
        }
    }

    #[test]
    fn zones_stand_in_columns() {
        assert_eq!(
            zones(&[addr()]),
            "\
ZONE  KEY                      KEYS  CONNECTIONS  PASSED  SKIPPED  REJECTED  EXHAUSTED  DRY RUN  EVICTED  DRIFT    MEMORY
addr  $binary_remote_addr  2/163840           12    1234        0         5          0        3        0      0  25.0 MiB
"
        );
    }

    #[test]
    fn a_zone_shows_the_fields_of_its_keys() {
        let key = |addr: &str, remote_prefix, connections| KeyStatus {
            parts: KeyParts {
                remote_addr: Some(addr.parse().expect("literal")),
                remote_prefix,
                server_port: Some(443),
                ..KeyParts::default()
            },
            connections,
            rejected: 5,
        };
        let zone = ZoneStatus {
            top: Some(vec![
                key("192.0.2.1", None, 10),
                key("2001:db8::", Some(32), 2),
            ]),
            ..addr()
        };
        let text = super::zone(&zone);
        let (numbers, keys) = text.split_once("\n\n").expect("two parts");
        assert!(numbers.contains("\nconnections         12\n"), "{numbers}");
        assert_eq!(
            keys,
            "\
REMOTE ADDR    SERVER PORT  CONNECTIONS  REJECTED
192.0.2.1      443                   10         5
2001:db8::/32  443                    2         5
"
        );
    }
}
