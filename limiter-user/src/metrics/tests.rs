//! What Prometheus is told.

use std::collections::HashSet;

use super::*;
use crate::api::{Attached, KeyParts, KeyStatus, LimitStatus, ServerStatus, ZoneStatus};
use crate::{
    api::{EventStatus, PacketStatus},
    policy::{ActionKind, LogLevel},
};

pub(crate) fn snapshot() -> Snapshot {
    let attached = |kind: &str, target: &str, programs: &[&str]| Attached {
        kind: kind.to_owned(),
        target: target.to_owned(),
        programs: programs.iter().map(ToString::to_string).collect(),
        mode: None,
        waiting: programs.is_empty().then(|| "it is not there".to_owned()),
    };
    let key = |last: u8, connections| KeyStatus {
        parts: KeyParts {
            remote_addr: Some([192, 0, 2, last].into()),
            remote_prefix: (last == 0).then_some(24),
            server_port: Some(443),
            ..KeyParts::default()
        },
        connections,
        rejected: 2,
    };
    Snapshot {
        status: Status {
            version: "1.2.3".to_owned(),
            pid: 1,
            uptime_s: 2,
            attached: vec![
                attached("cgroup", "/a", &["limiter_count"]),
                attached("cgroup", "/a", &["limiter_wait"]),
                attached("interface", "eth0", &[]),
                attached("netns", "4026531840", &["limiter_divert"]),
            ],
            pinned: None,
            servers: vec![ServerStatus {
                server: "we\"b\\\n".to_owned(),
                listen: Vec::new(),
                limits: vec![LimitStatus {
                    zone: "addr".to_owned(),
                    limit: 20,
                    overrides: Vec::new(),
                }],
                exempt: Vec::new(),
                dry_run: true,
                log_level: LogLevel::Warn,
                action: ActionKind::Reset,
                delay_ms: None,
                changed: Vec::new(),
            }],
            zones: vec![ZoneStatus {
                zone: "addr".to_owned(),
                key: "$remote_addr".to_owned(),
                capacity: 512,
                keys: 128,
                connections: 300,
                passed: 1 << 40,
                rejected: 3,
                exhausted_dry_run: 4,
                top: Some(vec![key(0, 9), key(7, 8)]),
                ..ZoneStatus::default()
            }],
            upstreams: Vec::new(),
            events: EventStatus {
                sent: 5,
                lost: 6,
                suppressed: 7,
            },
            packets: PacketStatus {
                fragment: 8,
                ..PacketStatus::default()
            },
        },
        ready_time_seconds: 1_700_000_000.5,
        waiting: 11,
        audits: Audits {
            count: 12,
            last_seconds: 0.25,
        },
        subscribers: 12,
        programs: Some(vec![ProgramRuns {
            program: "limiter_count",
            count: 13,
            seconds: 0.000_000_25,
        }]),
        sockets: Some(Sockets {
            servers: vec![ServerSockets {
                server: "web".to_owned(),
                listeners: 2,
                queue: 3,
                queue_limit: 511,
                descriptors_used: Some(0.5),
                ..ServerSockets::default()
            }],
            lost: Counters {
                listen_overflows: 14,
                ..Counters::default()
            },
        }),
        usage: Some(Usage::default()),
    }
}

#[test]
fn samples_have_the_numbers_of_the_status() {
    let text = text(&snapshot()).expect("text");
    for line in [
        "# HELP limiter_build_info The version of the daemon.",
        "# TYPE limiter_build_info gauge",
        "limiter_build_info{version=\"1.2.3\"} 1",
        "limiter_ready_time_seconds 1700000000.5",
        "# TYPE limiter_zone_attempts_total counter",
        "limiter_zone_attempts_total{zone=\"addr\",status=\"PASSED\",reason=\"none\"} 1099511627776",
        "limiter_zone_attempts_total{zone=\"addr\",status=\"REJECTED\",reason=\"limit\"} 3",
        "limiter_zone_attempts_total{zone=\"addr\",status=\"REJECTED_DRY_RUN\",reason=\"exhausted\"} 4",
        "limiter_zone_free_ratio{zone=\"addr\"} 0.75",
        "limiter_zone_connections{zone=\"addr\"} 300",
        "limiter_key_connections{zone=\"addr\",remote_addr=\"192.0.2.0/24\",server_port=\"443\"} 9",
        "limiter_key_rejected_total{zone=\"addr\",remote_addr=\"192.0.2.7\",server_port=\"443\"} 2",
        "limiter_server_dry_run{server=\"we\\\"b\\\\\\n\"} 1",
        "limiter_server_limit_connections{server=\"we\\\"b\\\\\\n\",zone=\"addr\"} 20",
        "limiter_attachment_up{kind=\"cgroup\",target=\"/a\"} 1",
        "limiter_attachment_up{kind=\"interface\",target=\"eth0\"} 0",
        "limiter_network_namespaces 1",
        "limiter_events_lost_total 6",
        "limiter_packets_not_understood_total{reason=\"fragment\"} 8",
        "limiter_waiting_connections 11",
        "limiter_server_accept_queue_connections{server=\"web\"} 3",
        "limiter_server_accept_queue_limit{server=\"web\"} 511",
        "limiter_server_sockets{server=\"web\",state=\"CLOSE_WAIT\"} 0",
        "limiter_server_descriptors_used_ratio{server=\"web\"} 0.5",
        "limiter_listen_overflows_total 14",
        "limiter_program_run_seconds_total{program=\"limiter_count\"} 0.00000025",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn no_series_and_no_family_stands_there_twice() {
    let text = text(&snapshot()).expect("text");
    let mut seen = HashSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let what = match line.strip_prefix("# ") {
            Some(comment) => comment.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "),
            None => line.rsplit_once(' ').expect("a value").0.to_owned(),
        };
        assert!(seen.insert(what), "{line}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let mut plain = snapshot();
    plain.programs = None;
    plain.usage = None;
    plain.sockets = None;
    plain.status.zones[0].top = None;
    let text = text(&plain).expect("text");
    for name in [
        "limiter_key",
        "limiter_program",
        "limiter_listen",
        "process_",
    ] {
        assert!(!text.contains(name), "{name}");
    }
}
