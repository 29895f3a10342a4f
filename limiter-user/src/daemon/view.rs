//! A policy, and what the kernel counts under it, in the words of the API.

use std::cmp::Reverse;

use limiter_common::{
    counters::PacketCounters,
    entry::{Occupancy, ZoneEntry},
    key::{KeyFields, ZoneKey},
};

use crate::{
    api::{
        InterfacePolicy, KeyStatus, LimitStatus, PacketStatus, PolicyStatus, ServerStatus,
        ZonePolicy,
    },
    policy::{LogTarget, Policy, Server},
};

/// All of a policy.
pub fn policy(policy: &Policy) -> PolicyStatus {
    let zones = policy.zones.iter().map(|zone| ZonePolicy {
        zone: zone.name.clone(),
        key: zone.key.text.clone(),
        capacity: zone.capacity(),
        size_bytes: zone.size_bytes,
    });
    let interfaces = policy.interfaces().map(|interface| InterfacePolicy {
        interface: interface.name.clone(),
        mode: interface.mode,
    });
    PolicyStatus {
        zones: zones.collect(),
        servers: servers(policy),
        cgroups: policy
            .cgroups()
            .map(|path| path.display().to_string())
            .collect(),
        interfaces: interfaces.collect(),
        error_log: match &policy.error_log.target {
            LogTarget::Stderr => "stderr".to_owned(),
            LogTarget::File(path) => path.display().to_string(),
        },
        error_log_level: policy.error_log.level,
        control: policy
            .control
            .as_ref()
            .map(|path| path.display().to_string()),
    }
}

/// Every server in force.
pub fn servers(policy: &Policy) -> Vec<ServerStatus> {
    let servers = policy.servers.iter();
    servers.map(|server| self::server(policy, server)).collect()
}

/// One server in force.
pub fn server(policy: &Policy, server: &Server) -> ServerStatus {
    let limits = server.limits.iter().filter_map(|limit| {
        let zone = policy.zones.get(limit.zone)?;
        Some(LimitStatus {
            zone: zone.name.clone(),
            limit: limit.number.into(),
        })
    });
    ServerStatus {
        server: server.name.clone(),
        listen: server.listen.iter().map(ToString::to_string).collect(),
        limits: limits.collect(),
        dry_run: server.dry_run,
        log_level: server.log_level,
        action: server.action.kind(),
        delay_ms: server.action.delay_ms(),
    }
}

/// Packets that were not understood.
pub fn packets(counters: &PacketCounters) -> PacketStatus {
    PacketStatus {
        not_ip: counters.not_ip,
        not_tcp: counters.not_tcp,
        fragment: counters.fragment,
        truncated: counters.truncated,
        too_many_tags: counters.too_many_tags,
        too_many_extensions: counters.too_many_extensions,
    }
}

/// The `top` live keys that have most connections, of a zone that counts by `fields`.
pub fn top_keys(
    policy: &Policy,
    fields: KeyFields,
    mut keys: Vec<(ZoneKey, ZoneEntry)>,
    top: usize,
) -> Vec<KeyStatus> {
    keys.retain(|(_, entry)| connections(entry) > 0);
    // The key itself last, so that the order does not depend on the map's.
    keys.sort_unstable_by_key(|(key, entry)| {
        (Reverse(connections(entry)), Reverse(entry.rejected), *key)
    });
    keys.truncate(top);
    let keys = keys.iter();
    keys.map(|(key, entry)| key_status(policy, fields, key, entry))
        .collect()
}

fn key_status(policy: &Policy, fields: KeyFields, key: &ZoneKey, entry: &ZoneEntry) -> KeyStatus {
    let has = |field| fields.contains(field).then_some(());
    let server_name = || {
        let index = usize::from(key.server()?);
        Some(policy.servers.get(index)?.name.clone())
    };
    KeyStatus {
        remote_addr: has(KeyFields::REMOTE_ADDR).map(|()| key.remote().into()),
        server_addr: has(KeyFields::SERVER_ADDR).map(|()| key.local().into()),
        server_port: has(KeyFields::SERVER_PORT).map(|()| key.port()),
        server_name: has(KeyFields::SERVER_NAME).and_then(|()| server_name()),
        connections: connections(entry),
        rejected: entry.rejected,
    }
}

fn connections(entry: &ZoneEntry) -> u32 {
    Occupancy::from_word(entry.occupancy).connections
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::IpAddr;

    use limiter_common::key::Connection;

    use super::{policy as policy_status, *};
    use crate::policy::{
        Action, Attach, ErrorLog, Interface, Key, LimitConn, Listen, ListenAddr, LogLevel, XdpMode,
        Zone,
    };

    /// Two zones, two servers.
    pub(crate) fn policy() -> Policy {
        let zone = |name: &str, text: &str, fields| Zone {
            name: name.to_owned(),
            key: Key {
                text: text.to_owned(),
                fields,
                empty: false,
            },
            size_bytes: 10 << 20,
        };
        let listen = |first_port, last_port| Listen {
            addr: ListenAddr::Any,
            first_port,
            last_port,
        };
        let limit = |zone, number| LimitConn { zone, number };
        let server = |name: &str, listen, limits| Server {
            name: name.to_owned(),
            listen,
            limits,
            dry_run: false,
            log_level: LogLevel::Error,
            action: Action::Drop,
        };
        Policy {
            zones: vec![
                zone("addr", "$binary_remote_addr", KeyFields::REMOTE_ADDR),
                zone(
                    "server",
                    "$server_name$server_port",
                    KeyFields::SERVER_NAME.union(KeyFields::SERVER_PORT),
                ),
            ],
            servers: vec![
                server("default", Vec::new(), vec![limit(0, 20)]),
                server(
                    "web",
                    vec![listen(80, 80), listen(8000, 8010)],
                    vec![limit(0, 10), limit(1, 15)],
                ),
            ],
            attach: vec![Attach::Cgroup("/sys/fs/cgroup/web.slice".into())],
            error_log: ErrorLog::default(),
            control: None,
        }
    }

    fn entry(connections: u32, rejected: u64) -> ZoneEntry {
        let occupancy = Occupancy {
            generation: 7,
            connections,
        };
        ZoneEntry {
            occupancy: occupancy.word(),
            rejected,
            ..ZoneEntry::default()
        }
    }

    fn client(addr: &str) -> ZoneKey {
        let connection = Connection {
            remote: addr.parse::<IpAddr>().expect("literal").into(),
            ..Connection::default()
        };
        ZoneKey::new(KeyFields::REMOTE_ADDR, &connection, 0)
    }

    #[test]
    fn a_server_shows_its_limits_by_name() {
        let policy = policy();
        let web = &servers(&policy)[1];
        assert_eq!(web.listen, ["80", "8000-8010"]);
        let limits: Vec<_> = web
            .limits
            .iter()
            .map(|l| (l.zone.as_str(), l.limit))
            .collect();
        assert_eq!(limits, [("addr", 10), ("server", 15)]);
    }

    #[test]
    fn a_policy_shows_what_it_would_make() {
        let status = policy_status(&policy());
        assert_eq!(status.zones[1].key, "$server_name$server_port");
        assert_eq!(status.zones[1].capacity, 163_840);
        assert_eq!(status.cgroups, ["/sys/fs/cgroup/web.slice"]);
        assert!(status.interfaces.is_empty());
        assert_eq!(status.error_log, "stderr");
    }

    #[test]
    fn interfaces_and_cgroups_are_shown_apart() {
        let mut policy = policy();
        policy.attach.push(Attach::Interface(Interface {
            name: "eth0".to_owned(),
            mode: XdpMode::Native,
        }));
        let json = serde_json::to_value(policy_status(&policy)).expect("JSON");
        assert_eq!(
            json["cgroups"],
            serde_json::json!(["/sys/fs/cgroup/web.slice"])
        );
        let interfaces = serde_json::json!([{ "interface": "eth0", "mode": "native" }]);
        assert_eq!(json["interfaces"], interfaces);
    }

    #[test]
    fn only_close_has_a_delay() {
        let mut policy = policy();
        for (action, expected) in [
            (Action::Drop, "\"action\":\"drop\"}"),
            (Action::Reset, "\"action\":\"reset\"}"),
            (
                Action::Close { delay_ms: 2_000 },
                "\"action\":\"close\",\"delay_ms\":2000}",
            ),
        ] {
            policy.servers[0].action = action;
            let server = server(&policy, &policy.servers[0]);
            let json = serde_json::to_string(&server).expect("JSON");
            assert!(json.ends_with(expected), "{json}");
        }
    }

    #[test]
    fn the_busiest_keys_come_first_and_idle_ones_not_at_all() {
        let keys = vec![
            (client("192.0.2.3"), entry(1, 5)),
            (client("192.0.2.4"), entry(0, 99)),
            (client("192.0.2.2"), entry(1, 5)),
            (client("2001:db8::1"), entry(9, 0)),
        ];
        let top = top_keys(&policy(), KeyFields::REMOTE_ADDR, keys.clone(), 10);
        let addrs: Vec<String> = top
            .iter()
            .map(|key| key.remote_addr.expect("in the key").to_string())
            .collect();
        assert_eq!(addrs, ["2001:db8::1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(
            top_keys(&policy(), KeyFields::REMOTE_ADDR, keys, 1).len(),
            1
        );
    }

    #[test]
    fn a_key_shows_the_fields_it_has() {
        let policy = policy();
        let fields = policy.zones[1].key.fields;
        let connection = Connection {
            local_port: 80,
            ..Connection::default()
        };
        let key = ZoneKey::new(fields, &connection, 1);
        let top = top_keys(&policy, fields, vec![(key, entry(3, 1))], 10);
        assert_eq!(
            serde_json::to_string(&top).expect("JSON"),
            "[{\"server_port\":80,\"server_name\":\"web\",\"connections\":3,\"rejected\":1}]"
        );
    }
}
