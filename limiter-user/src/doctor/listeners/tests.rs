use std::time::Instant;

use super::*;
use crate::{doctor::counters::Counters, kernel::sock_diag::Traffic};

fn listener(cookie: u64, local: &str, depth: u32, limit: u32, drops: u32) -> ObservedListener {
    ObservedListener {
        cookie,
        local: local.parse().expect("literal"),
        v6_only: false,
        inode: cookie as u32,
        cgroup: None,
        depth,
        limit,
        drops,
    }
}

fn connection(cookie: u64, local: &str, remote: &str, state: u8) -> ObservedConnection {
    ObservedConnection {
        cookie,
        local: local.parse().expect("literal"),
        remote: remote.parse().expect("literal"),
        state,
        inode: cookie as u32,
        cgroup: None,
        unread_bytes: 0,
        unacknowledged_bytes: 0,
        traffic: Some(Traffic {
            last_sent_ms: 5_000,
            last_received_ms: 5_000,
            sent_bytes: 10,
            received_bytes: 10,
            received_segments: 1,
        }),
    }
}

fn sample(listeners: &[ObservedListener], connections: &[ObservedConnection]) -> Sample {
    let mut connections = connections.to_vec();
    connections.sort_unstable_by_key(|it| it.cookie);
    Sample {
        begun: Instant::now(),
        counters: Counters::default(),
        listeners: listeners.to_vec(),
        connections,
    }
}

#[test]
fn connections_belong_to_the_most_specific_listener() {
    let only = ObservedListener {
        v6_only: true,
        ..listener(5, "[::]:82", 0, 128, 0)
    };
    let listeners = [
        listener(1, "0.0.0.0:80", 0, 128, 0),
        listener(2, "192.0.2.1:80", 0, 128, 0),
        listener(3, "[::]:81", 0, 128, 0),
        listener(4, "[::1]:81", 0, 128, 0),
        only,
    ];
    let connections = [
        connection(11, "192.0.2.1:80", "192.0.2.9:1000", ESTABLISHED),
        connection(12, "192.0.2.2:80", "192.0.2.9:1001", ESTABLISHED),
        connection(13, "192.0.2.2:81", "192.0.2.9:1002", ESTABLISHED),
        connection(14, "[2001:db8::1]:81", "[2001:db8::2]:1003", ESTABLISHED),
        connection(15, "[::1]:81", "[::1]:1004", ESTABLISHED),
        connection(16, "192.0.2.2:82", "192.0.2.9:1005", ESTABLISHED),
        connection(17, "192.0.2.2:80", "192.0.2.9:1006", TIME_WAIT),
    ];
    let sample = sample(&listeners, &connections);
    let findings = compare(&sample, &sample, 3_000, Some(128));
    let found: Vec<_> = findings
        .listeners
        .iter()
        .map(|it| (it.report.listen.to_string(), it.report.states.established))
        .collect();
    let expected = [
        ("0.0.0.0:80", 1),
        ("192.0.2.1:80", 1),
        ("[::]:81", 2),
        ("[::]:82", 0),
        ("[::1]:81", 1),
    ];
    let expected = expected.map(|(listen, count)| (listen.to_owned(), count));
    assert_eq!(found, expected);
    let first = &findings.listeners[0].report;
    assert_eq!((first.states.time_wait, first.sources.connections), (1, 1));
    assert_eq!(first.activity.idle, 1);
    assert!(findings.outgoing.is_empty());
}

#[test]
fn of_sockets_that_share_an_address_the_fullest_queue_tells() {
    let before = [
        listener(1, "0.0.0.0:80", 0, 4, u32::MAX),
        listener(2, "0.0.0.0:80", 1, 4, 7),
    ];
    let after = [
        listener(1, "0.0.0.0:80", 0, 4, 5),
        listener(2, "0.0.0.0:80", 5, 4, 7),
        listener(3, "0.0.0.0:80", 0, 4, 9),
    ];
    let findings = compare(
        &sample(&before, &[]),
        &sample(&after, &[]),
        3_000,
        Some(4_096),
    );
    assert_eq!(findings.listeners.len(), 1);
    let Found { report, inodes } = &findings.listeners[0];
    assert_eq!(report.sockets, 3);
    assert_eq!(inodes, &[1, 2, 3]);
    let queue = report.queue;
    assert_eq!((queue.depth, queue.depth_before, queue.limit), (5, 1, 4));
    assert!(!queue.cut_by_somaxconn);
    // The counter of the first one has wrapped around; the third one is new.
    assert_eq!((queue.drops.total, queue.drops.per_s), (21, 2.0));
}

#[test]
fn states_that_last_and_requests_to_others_are_found() {
    let listeners = [listener(1, "127.0.0.1:80", 0, 4, 0)];
    let stuck = connection(2, "127.0.0.1:80", "127.0.0.2:1000", CLOSE_WAIT);
    let was_open = connection(3, "127.0.0.1:80", "127.0.0.2:1001", ESTABLISHED);
    let closes = ObservedConnection {
        state: CLOSE_WAIT,
        ..was_open
    };
    let asks = ObservedConnection {
        traffic: Some(Traffic {
            last_sent_ms: 4_000,
            last_received_ms: 4_000,
            sent_bytes: 80,
            ..Traffic::default()
        }),
        ..connection(4, "10.0.0.1:40000", "10.0.0.9:9000", ESTABLISHED)
    };
    let queued = ObservedConnection {
        inode: 0,
        ..connection(5, "127.0.0.1:80", "127.0.0.2:1002", ESTABLISHED)
    };
    let findings = compare(
        &sample(&listeners, &[stuck, was_open, asks, queued]),
        &sample(&listeners, &[stuck, closes, asks, queued]),
        3_000,
        None,
    );
    let report = &findings.listeners[0].report;
    assert_eq!(report.states.close_wait, 2);
    assert_eq!(report.activity.not_closed, 1);
    assert_eq!(
        (report.activity.queued, report.activity.queued_before),
        (1, 1)
    );
    assert_eq!(report.activity.accepted(), 0);
    assert_eq!(
        findings.outgoing,
        [Outgoing {
            inode: 4,
            remote: "10.0.0.9:9000".parse().expect("literal"),
        }]
    );
}
