//! What policies come to in the maps.

use limiter_common::key::Connection;

use super::*;
use crate::policy::{ErrorLog, Grant, LimitConn, Listen, LogLevel, Metrics, OnFull, Prefixes};

fn policy(listens: &[&[Listen]]) -> Policy {
    Policy {
        zones: vec![Zone {
            name: "addr".into(),
            key: Key {
                text: "$binary_remote_addr".into(),
                fields: KeyFields::REMOTE_ADDR,
                empty: false,
            },
            size_bytes: 1 << 20,
            prefixes: Prefixes::WHOLE,
            on_full: OnFull::Reject,
        }],
        servers: listens
            .iter()
            .enumerate()
            .map(|(i, listen)| Server {
                name: i.to_string(),
                listen: listen.to_vec(),
                limits: vec![LimitConn {
                    zone: 0,
                    number: 7,
                    overrides: Vec::new(),
                }],
                exempt: Vec::new(),
                dry_run: false,
                log_level: LogLevel::Error,
                action: Action::Drop,
            })
            .collect(),
        upstreams: Vec::new(),
        attach: Vec::new(),
        error_log: ErrorLog::default(),
        control: None,
        grant: Grant::default(),
        metrics: Metrics::default(),
    }
}

fn listen(addr: Option<&str>, first_port: u16, last_port: u16) -> Listen {
    Listen {
        addr: addr.map_or(ListenAddr::Any, |addr| {
            ListenAddr::Ip(addr.parse().expect("literal"))
        }),
        first_port,
        last_port,
    }
}

fn to(local: &str, port: u16) -> Connection {
    Connection {
        local: Addr::from(local.parse::<IpAddr>().expect("literal")),
        local_port: port,
        ..Connection::default()
    }
}

/// With positions for indices.
fn compiled(policy: &Policy) -> Compiled {
    let indices = Indices {
        zones: (0..).take(policy.zones.len()).collect(),
        servers: (0..).take(policy.servers.len()).collect(),
        upstreams: UpstreamIndices::default(),
    };
    compile(policy, &indices).expect("fits")
}

#[test]
fn ports_of_one_range_share_a_class() {
    let compiled = compiled(&policy(&[
        &[listen(Some("192.0.2.1"), 1000, 2000)],
        &[listen(Some("192.0.2.2"), 1500, 1500)],
    ]));
    assert_eq!(compiled.ports[1000].class, compiled.ports[2000].class);
    assert_ne!(compiled.ports[1000].class, compiled.ports[1500].class);
    assert_eq!(compiled.ports[999], PortEntry::default());
    assert_eq!(compiled.listeners.len(), 3);
    assert!(compiled.counts(&to("192.0.2.2", 1500)));
    assert!(!compiled.counts(&to("192.0.2.2", 1501)));
}

#[test]
fn a_server_without_listen_covers_what_is_left() {
    let compiled = compiled(&policy(&[&[listen(None, 80, 80)], &[]]));
    assert_eq!(compiled.ports[80].server, 1);
    assert_eq!(compiled.ports[81].server, 2);
    assert!(compiled.names_port(80) && !compiled.names_port(81));
}

#[test]
fn a_wildcard_is_of_its_family() {
    let compiled = compiled(&policy(&[
        &[listen(Some("0.0.0.0"), 80, 80)],
        &[listen(Some("::"), 80, 80)],
    ]));
    let class = compiled.ports[80].class;
    assert_eq!(compiled.listeners[&(class, Addr::UNSPECIFIED_V4)], 1);
    assert_eq!(compiled.listeners[&(class, Addr::UNSPECIFIED)], 2);
    assert!(compiled.counts(&to("::1", 80)));
    assert!(compiled.counts(&to("127.0.0.1", 80)));
}

#[test]
fn what_is_counted_is_compared_whatever_the_numbers() {
    let first = policy(&[&[listen(None, 80, 80)], &[listen(None, 81, 81)]]);
    let base = compiled(&first);
    let changed = |change: fn(&mut Policy)| {
        let mut policy = first.clone();
        change(&mut policy);
        let other = compiled(&policy);
        (base.counts_as_many_as(&other), base.counts_alike(&other))
    };
    assert_eq!(
        changed(|it| {
            it.servers[0].limits[0].number = 9;
            it.servers[1].dry_run = true;
        }),
        (true, true)
    );
    assert_eq!(changed(|it| it.zones[0].prefixes.v4 = 24), (true, false));
    assert_eq!(
        changed(|it| it.servers[1].exempt = vec!["10.0.0.0/8".parse().expect("literal")]),
        (false, false)
    );
    assert_eq!(changed(|it| it.servers[1].limits.clear()), (false, false));
    assert_eq!(changed(|it| it.servers[1].listen.clear()), (false, false));

    // In another order, with the indices of before.
    let mut reversed = first.clone();
    reversed.servers.reverse();
    let indices = Indices {
        zones: vec![0],
        servers: vec![1, 0],
        upstreams: UpstreamIndices::default(),
    };
    assert!(base.counts_alike(&compile(&reversed, &indices).expect("fits")));
}

#[test]
fn an_exempt_client_does_not_count() {
    let mut policy = policy(&[&[listen(None, 80, 80)]]);
    policy.servers[0].exempt = vec!["10.0.0.0/8".parse().expect("literal")];
    let compiled = compiled(&policy);
    let from = |client: &str| Connection {
        remote: Addr::from(client.parse::<IpAddr>().expect("literal")),
        ..to("192.0.2.1", 80)
    };
    assert!(compiled.counts(&from("192.0.2.2")));
    assert!(!compiled.counts(&from("10.1.2.3")));
}
