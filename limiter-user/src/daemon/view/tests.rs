//! What a policy looks like in the API.

use std::net::IpAddr;

use limiter_common::{
    entry::{Occupancy, ZoneEntry},
    key::{Connection, KeyShape},
    refusals::{Moment, Refusals},
};

use super::{policy as policy_status, *};
use crate::api::KeyStatus;
use crate::daemon::in_force::tests::in_force;
use crate::policy::{
    Action, Attach, ErrorLog, Grant, Interface, Key, LimitConn, Listen, ListenAddr, LogLevel,
    Metrics, OnFull, Override, Prefixes, XdpMode, Zone,
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
        prefixes: Prefixes::WHOLE,
        on_full: OnFull::Reject,
    };
    let listen = |first_port, last_port| Listen {
        addr: ListenAddr::Any,
        first_port,
        last_port,
    };
    let limit = |zone, number| LimitConn {
        zone,
        number,
        overrides: Vec::new(),
    };
    let server = |name: &str, listen, limits| Server {
        name: name.to_owned(),
        listen,
        limits,
        exempt: Vec::new(),
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
        upstreams: Vec::new(),
        attach: vec![Attach::Cgroup("/sys/fs/cgroup/web.slice".into())],
        error_log: ErrorLog::default(),
        control: None,
        grant: Grant::default(),
        metrics: Metrics::default(),
    }
}

pub(in crate::daemon) fn entry(connections: u32, rejected: u64) -> ZoneEntry {
    let occupancy = Occupancy {
        generation: 7,
        connections,
    };
    let refusals = Refusals {
        count: rejected,
        last_event: Moment::NEVER,
    };
    ZoneEntry {
        occupancy: occupancy.word(),
        refusals: refusals.word(),
        ..ZoneEntry::default()
    }
}

pub(in crate::daemon) fn client(addr: &str) -> ZoneKey {
    let connection = Connection {
        remote: addr.parse::<IpAddr>().expect("literal").into(),
        ..Connection::default()
    };
    ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
}

#[test]
fn a_server_shows_its_limits_by_name() {
    let policy = in_force();
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
    let status = policy_status(&policy(), Origins::default(), 2);
    assert_eq!(status.zones[1].key, "$server_name$server_port");
    assert_eq!(status.zones[1].capacity, 163_840);
    assert_eq!(status.zones[1].memory_bytes, 24_515_584);
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
    let json = serde_json::to_value(policy_status(&policy, Origins::default(), 2)).expect("JSON");
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
fn a_key_shows_the_fields_it_has() {
    let policy = in_force();
    let fields = policy.zones[1].key.fields;
    let connection = Connection {
        local_port: 80,
        ..Connection::default()
    };
    let key = ZoneKey::new(KeyShape::whole(fields), &connection, 1);
    let key = KeyStatus {
        parts: super::key(&policy, &policy.zones[1], &key),
        connections: 3,
        rejected: 1,
    };
    assert_eq!(
        serde_json::to_string(&key).expect("JSON"),
        "{\"server_port\":80,\"server_name\":\"web\",\"connections\":3,\"rejected\":1}"
    );
}

#[test]
fn a_key_that_is_a_network_shows_how_large() {
    let mut policy = policy();
    let shown = |zone: &Zone, addr: &str| KeyStatus {
        parts: key(&in_force(), zone, &client(addr)),
        connections: 1,
        rejected: 0,
    };
    for (v4, v6, expected) in [
        (32, 128, [None, None]),
        (24, 128, [Some(24), None]),
        (32, 64, [None, Some(64)]),
        (0, 0, [Some(0), Some(0)]),
        (31, 127, [Some(31), Some(127)]),
    ] {
        policy.zones[0].prefixes = Prefixes { v4, v6 };
        let prefixes = ["192.0.2.0", "2001:db8::"].map(|addr| shown(&policy.zones[0], addr));
        assert_eq!(prefixes.map(|key| key.parts.remote_prefix), expected);
    }
    policy.zones[0].prefixes = Prefixes { v4: 24, v6: 64 };
    assert_eq!(
        serde_json::to_string(&shown(&policy.zones[0], "192.0.2.0")).expect("JSON"),
        "{\"remote_addr\":\"192.0.2.0\",\"remote_prefix\":24,\"connections\":1,\"rejected\":0}"
    );
    // A zone that does not count clients.
    policy.zones[1].prefixes = Prefixes { v4: 24, v6: 64 };
    let key = shown(&policy.zones[1], "192.0.2.0").parts;
    assert_eq!((key.remote_addr, key.remote_prefix), (None, None));
}

#[test]
fn only_a_zone_that_counts_clients_has_prefixes() {
    let mut policy = policy();
    policy.zones[0].prefixes.v6 = 64;
    policy.zones[0].on_full = OnFull::Evict;
    let json = serde_json::to_value(policy_status(&policy, Origins::default(), 2)).expect("JSON");
    let zones = &json["zones"];
    assert_eq!(
        (&zones[0]["v4_prefix"], &zones[0]["v6_prefix"]),
        (&32.into(), &64.into())
    );
    assert_eq!(
        (&zones[0]["on_full"], &zones[1]["on_full"]),
        (&"evict".into(), &"reject".into())
    );
    assert!(zones[1].get("v4_prefix").is_none() && zones[1].get("v6_prefix").is_none());
}

#[test]
fn networks_are_shown_as_they_are_written() {
    let mut policy = policy();
    let network = |text: &str| text.parse().expect("literal");
    policy.servers[1].exempt = vec![network("10.0.0.0/8"), network("2001:db8::/32")];
    policy.servers[1].limits[0].overrides = vec![Override {
        network: network("192.0.2.1/32"),
        number: 500,
    }];
    let json = serde_json::to_value(servers(&policy)).expect("JSON");
    assert_eq!(json[0]["exempt"], serde_json::json!([]));
    assert_eq!(
        json[1]["exempt"],
        serde_json::json!(["10.0.0.0/8", "2001:db8::/32"])
    );
    let limits = serde_json::json!([
        { "zone": "addr", "limit": 10, "overrides": [{ "network": "192.0.2.1/32", "limit": 500 }] },
        { "zone": "server", "limit": 15 },
    ]);
    assert_eq!(json[1]["limits"], limits);
}
