//! What the daemon knows: which zones are nearly full, and which keys sit at their limit.

use crate::{
    api::{
        KeyParts, Status, ZoneStatus,
        doctor::{KeyAtLimit, LimitsReport, ZoneRoom},
    },
    control::client::{Client, ClientError},
    policy::OnFull,
};

/// Keys of a zone that are looked at, those with most connections.
const KEYS: usize = 20;

/// Asks the daemon.
///
/// # Errors
///
/// If there is none, or it does not answer.
pub async fn ask(client: &Client) -> Result<LimitsReport, ClientError> {
    let status = client.status().await?;
    let mut zones = Vec::with_capacity(status.zones.len());
    for zone in &status.zones {
        let zone = client.zone(&zone.zone, KEYS).await?;
        zones.push(room(&status, &zone));
    }
    Ok(LimitsReport { zones })
}

fn room(status: &Status, zone: &ZoneStatus) -> ZoneRoom {
    let limits = status.servers.iter().flat_map(|server| &server.limits);
    let of_zone = limits.filter(|limit| limit.zone == zone.zone);
    let smallest = of_zone.map(|limit| limit.limit).min();
    let keys = zone.top.iter().flatten();
    let at_limit = smallest.map_or_else(Vec::new, |limit| {
        keys.filter(|key| key.connections >= limit)
            .map(|key| KeyAtLimit {
                key: words(&key.parts),
                connections: key.connections,
                limit,
                rejected: key.rejected,
            })
            .collect()
    });
    ZoneRoom {
        zone: zone.zone.clone(),
        keys: zone.keys,
        capacity: zone.capacity,
        used_percent: (zone.keys * 100).checked_div(zone.capacity).unwrap_or(0),
        refuses_when_full: zone.on_full == OnFull::Reject,
        at_limit,
        rejected: zone.rejected + zone.exhausted,
    }
}

fn words(key: &KeyParts) -> String {
    let parts = [
        key.client(),
        key.server_addr.map(|it| it.to_string()),
        key.server_port.map(|it| it.to_string()),
        key.server_name.clone(),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "everybody".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::KeyStatus;

    #[test]
    fn keys_at_the_smallest_limit_are_named() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "version": "1", "pid": 1, "uptime_s": 1, "attached": [], "zones": [],
            "servers": [
                {"server": "a", "listen": [], "limits": [{"zone": "addr", "limit": 10}],
                 "dry_run": false, "log_level": "error", "action": "drop"},
                {"server": "b", "listen": [], "limits": [{"zone": "addr", "limit": 5}],
                 "dry_run": false, "log_level": "error", "action": "drop"}],
            "events": {"sent": 0, "lost": 0, "suppressed": 0},
            "packets": {"not_ip": 0, "not_tcp": 0, "fragment": 0, "truncated": 0,
                        "too_many_tags": 0, "too_many_extensions": 0}
        }))
        .expect("a status");
        let key = |last, connections| KeyStatus {
            parts: KeyParts {
                remote_addr: Some([192, 0, 2, last].into()),
                ..KeyParts::default()
            },
            connections,
            rejected: 3,
        };
        let zone = ZoneStatus {
            zone: "addr".to_owned(),
            keys: 90,
            capacity: 100,
            top: Some(vec![key(1, 9), key(2, 5), key(3, 4)]),
            ..ZoneStatus::default()
        };
        let room = room(&status, &zone);
        assert_eq!((room.used_percent, room.refuses_when_full), (90, true));
        let at_limit: Vec<_> = room
            .at_limit
            .iter()
            .map(|it| (it.key.as_str(), it.connections, it.limit))
            .collect();
        assert_eq!(at_limit, [("192.0.2.1", 9, 5), ("192.0.2.2", 5, 5)]);
    }
}
