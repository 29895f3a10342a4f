use super::*;
use crate::{
    api::doctor::{
        ActivityReport, QueueReport, Rate, SourceReport, SourcesReport, StateReport, StubStatus,
        UpstreamReport, ZoneRoom,
    },
    config,
};

const PID: u32 = 7;

/// A server with many clients, each with a few connections, and room for more.
#[derive(Clone)]
struct Case {
    kernel: KernelReport,
    listener: ListenerReport,
    process: ProcessReport,
    nginx: Option<NginxReport>,
    limits: Option<LimitsReport>,
}

fn source(source: &str, connections: u64, percent: u64) -> SourceReport {
    SourceReport {
        source: source.to_owned(),
        connections,
        percent,
    }
}

fn happening() -> Rate {
    Rate {
        total: 90,
        per_s: 2.0,
    }
}

impl Case {
    fn healthy() -> Self {
        Self {
            kernel: KernelReport {
                somaxconn: Some(4_096),
                listen_overflows: Rate {
                    total: 12,
                    per_s: 0.0,
                },
                ..KernelReport::default()
            },
            listener: ListenerReport {
                listen: ([192, 0, 2, 1], 443).into(),
                sockets: 1,
                queue: QueueReport {
                    limit: 511,
                    ..QueueReport::default()
                },
                states: StateReport {
                    established: 400,
                    time_wait: 9_000,
                    ..StateReport::default()
                },
                activity: ActivityReport {
                    busy: 200,
                    idle: 200,
                    ..ActivityReport::default()
                },
                sources: SourcesReport {
                    connections: 400,
                    clients: 100,
                    networks: 80,
                    top_clients: vec![source("198.51.100.7", 9, 2), source("198.51.100.9", 8, 2)],
                    top_networks: vec![
                        source("198.51.100.0/24", 20, 5),
                        source("203.0.113.0/24", 8, 2),
                    ],
                },
                pids: vec![PID],
                remarks: Vec::new(),
            },
            process: ProcessReport {
                pid: PID,
                name: "server".to_owned(),
                descriptors: Some(450),
                descriptor_limit: Some(20_000),
                ..ProcessReport::default()
            },
            nginx: None,
            limits: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::healthy();
        change(&mut case);
        case
    }

    fn judge(&self) -> (Diagnosis, Vec<Diagnosis>) {
        let nginx: Vec<_> = self.nginx.iter().cloned().collect();
        judge(&Facts {
            kernel: &self.kernel,
            listeners: std::slice::from_ref(&self.listener),
            processes: std::slice::from_ref(&self.process),
            nginx: &nginx,
            limits: self.limits.as_ref(),
            is_blind: false,
            is_everything: true,
        })
    }
}

fn nginx(clients: u64, capacity: u64) -> NginxReport {
    NginxReport {
        pid: PID,
        workers: 1,
        worker_connections: Some(capacity),
        proxies: Some(false),
        capacity: Some(capacity),
        clients,
        used_percent: Some(clients * 100 / capacity),
        ..NginxReport::default()
    }
}

#[track_caller]
fn must_be(what: &str, case: &Case, level: Level, cause: Cause, words: &str) {
    let (verdict, also) = case.judge();
    assert_eq!(
        (verdict.level, verdict.cause),
        (level, cause),
        "{what}: {also:?}"
    );
    let text = format!("{verdict:?}");
    assert!(text.contains(words), "{what}: {words:?} is not in {text}");
    if cause != Cause::None {
        assert!(!verdict.evidence.is_empty(), "{what}: no evidence");
        assert!(!verdict.advice.is_empty(), "{what}: nothing to do");
        assert!(!verdict.avoid.is_empty(), "{what}: nothing to avoid");
    }
    for line in verdict.advice.iter().filter_map(|it| it.line.as_ref()) {
        if line.starts_with("limit_conn_zone") {
            config::parse("advice", line).expect(line);
        }
    }
}

#[test]
fn what_is_common_is_no_cause() {
    let past = "it happened before";
    must_be(
        "as usual",
        &Case::healthy(),
        Level::Healthy,
        Cause::None,
        past,
    );
    for (what, case) in [
        (
            "all idle, and room enough",
            Case::with(|it| it.listener.activity.busy = 0),
        ),
        (
            "one address holds everything, as a proxy does",
            Case::with(|it| {
                it.listener.sources.clients = 1;
                it.listener.sources.top_clients = vec![source("10.0.0.1", 400, 100)];
                it.listener.sources.top_networks = vec![source("10.0.0.0/24", 400, 100)];
            }),
        ),
        (
            "a burst that is gone",
            Case::with(|it| it.listener.queue.depth = 511),
        ),
        (
            "refusals of limiter at the listener",
            Case::with(|it| it.listener.queue.drops = happening()),
        ),
        (
            "a few slow ones",
            Case::with(|it| {
                it.listener.activity.slow = 19;
                it.listener.activity.waiting = 19;
                it.listener.activity.not_closed = 19;
            }),
        ),
        (
            "nginx has room",
            Case::with(|it| it.nginx = Some(nginx(400, 512))),
        ),
    ] {
        must_be(what, &case, Level::Healthy, Cause::None, "nothing is wrong");
    }
}

#[test]
fn each_cause_is_named_for_itself() {
    use Cause::*;
    use Level::*;
    let full = |it: &mut Case| {
        it.listener.queue.depth = 512;
        it.listener.queue.depth_before = 512;
    };
    for (what, case, level, cause, words) in [
        (
            "a leak",
            Case::with(|it| it.listener.activity.not_closed = 120),
            Warning,
            NotClosed,
            "CLOSE_WAIT",
        ),
        (
            "a leak that has filled the queue",
            Case::with(|it| {
                it.listener.activity.not_closed = 120;
                full(it);
            }),
            Critical,
            NotClosed,
            "the accept queue is full",
        ),
        (
            "slowloris",
            Case::with(|it| it.listener.activity.slow = 500),
            Warning,
            SlowClients,
            "client_header_timeout",
        ),
        (
            "silent clients",
            Case::with(|it| it.listener.activity.silent = 500),
            Warning,
            SlowClients,
            "Medium",
        ),
        (
            "the application itself",
            Case::with(|it| it.listener.activity.waiting = 500),
            Warning,
            SlowUpstream,
            "server (process 7)",
        ),
        (
            "another server",
            Case::with(|it| {
                it.listener.activity.waiting = 500;
                it.process.upstreams = vec![UpstreamReport {
                    address: ([10, 0, 0, 9], 9_000).into(),
                    waiting: 490,
                }];
            }),
            Warning,
            SlowUpstream,
            "10.0.0.9:9000 is silent",
        ),
        (
            "one client",
            Case::with(|it| {
                it.listener.sources.top_clients =
                    vec![source("192.0.2.66", 300, 75), source("x", 9, 2)];
            }),
            Warning,
            GreedySource,
            "limit_conn addr 20;",
        ),
        (
            "one network",
            Case::with(|it| {
                it.listener.sources.top_networks =
                    vec![source("192.0.2.0/24", 300, 75), source("x", 15, 3)];
            }),
            Warning,
            GreedySource,
            "v4_prefix=24 v6_prefix=64; server { listen 443; limit_conn net 30; }",
        ),
        (
            "descriptors",
            Case::with(|it| it.process.descriptor_limit = Some(460)),
            Critical,
            Descriptors,
            "--nofile=65536",
        ),
        (
            "descriptors, nearly",
            Case::with(|it| it.process.descriptor_limit = Some(540)),
            Warning,
            Descriptors,
            "450 of 540 descriptors",
        ),
        (
            "kept alive",
            Case::with(|it| {
                it.listener.activity.busy = 10;
                it.nginx = Some(nginx(380, 400));
            }),
            Critical,
            KeepAlive,
            "keepalive_timeout",
        ),
        (
            "a full queue",
            Case::with(full),
            Critical,
            AcceptQueue,
            "a backlog of 4096",
        ),
        (
            "a queue that overflows in bursts",
            Case::with(|it| {
                it.kernel.listen_overflows = happening();
                it.listener.queue.drops = happening();
            }),
            Critical,
            AcceptQueue,
            "2.0 handshakes per second",
        ),
        (
            "a server that does not accept",
            Case::with(|it| {
                full(it);
                it.listener.activity.queued = 512;
                it.listener.activity.queued_before = 512;
            }),
            Critical,
            AcceptQueue,
            "does not accept",
        ),
        (
            "a flood of SYNs",
            Case::with(|it| {
                it.listener.states.syn_recv = 500;
                it.kernel.syn_queue_cookies = happening();
            }),
            Warning,
            SynQueue,
            "tcp_syncookies",
        ),
        (
            "more than nginx has room for",
            Case::with(|it| it.nginx = Some(nginx(400, 450))),
            Warning,
            Capacity,
            "worker_connections 2048",
        ),
    ] {
        must_be(what, &case, level, cause, words);
    }
}

#[test]
fn a_gap_that_grows_is_critical() {
    let case = Case::with(|it| {
        it.nginx = Some(NginxReport {
            stub_status: Some(StubStatus {
                accepts: 100,
                handled: 90,
                dropped_per_s: 3.0,
                ..StubStatus::default()
            }),
            ..nginx(400, 410)
        });
    });
    must_be(
        "it closes unserved",
        &case,
        Level::Critical,
        Cause::Capacity,
        "the gap grows by 3.0 a second",
    );
}

#[test]
fn half_a_request_is_told_from_a_whole_one_by_nginx() {
    let case = |proxies, reading: Option<u64>| {
        Case::with(|it| {
            it.listener.activity.waiting = 500;
            it.nginx = Some(NginxReport {
                proxies: Some(proxies),
                stub_status: reading.map(|reading| StubStatus {
                    reading,
                    ..StubStatus::default()
                }),
                ..nginx(900, 5_000)
            });
        })
    };
    for (what, case, cause) in [
        (
            "it passes on nothing",
            case(false, None),
            Cause::SlowClients,
        ),
        ("it may wait itself", case(true, None), Cause::SlowUpstream),
        ("it reads", case(true, Some(499)), Cause::SlowClients),
        ("it has read", case(true, Some(0)), Cause::SlowUpstream),
    ] {
        must_be(what, &case, Level::Warning, cause, "");
    }
}

#[test]
fn the_cause_that_explains_the_others_comes_first_and_is_as_bad_as_they_are() {
    let case = Case::with(|it| {
        it.listener.activity.waiting = 500;
        it.listener.queue.depth = 600;
        it.listener.queue.depth_before = 600;
        it.nginx = Some(NginxReport {
            proxies: Some(true),
            ..nginx(900, 1_000)
        });
    });
    let (verdict, also) = case.judge();
    assert_eq!(
        (verdict.cause, verdict.level),
        (Cause::SlowUpstream, Level::Critical)
    );
    let also: Vec<_> = also.iter().map(|it| it.cause).collect();
    assert_eq!(also, [Cause::AcceptQueue, Cause::Capacity]);
    assert!(
        format!("{verdict:?}").contains("do not raise worker_connections under a slow upstream")
    );
}

#[test]
fn overflows_are_those_of_the_full_queue() {
    let mut case = Case::healthy();
    case.kernel.listen_overflows = happening();
    // Nobody can tell where.
    let (verdict, _) = case.judge();
    assert_eq!(
        (verdict.cause, verdict.confidence, verdict.listener),
        (Cause::AcceptQueue, Confidence::Low, None)
    );
    case.listener.queue.drops = happening();
    let full = ListenerReport {
        listen: ([192, 0, 2, 1], 80).into(),
        queue: QueueReport {
            depth: 5,
            depth_before: 5,
            limit: 4,
            drops: happening(),
            ..QueueReport::default()
        },
        ..case.listener.clone()
    };
    let listeners = [case.listener.clone(), full.clone()];
    let mut facts = Facts {
        kernel: &case.kernel,
        listeners: &listeners,
        processes: &[],
        nginx: &[],
        limits: None,
        is_blind: true,
        is_everything: true,
    };
    let (verdict, also) = judge(&facts);
    assert_eq!((verdict.listener, also.len()), (Some(full.listen), 0));
    // Those of others do not matter to who asks for one.
    let quiet = [Case::healthy().listener];
    facts.listeners = &quiet;
    facts.is_everything = false;
    assert_eq!(judge(&facts).0.level, Level::Healthy);
    assert_eq!(judge(&facts).0.confidence, Confidence::Medium);
}

#[test]
fn a_zone_without_room_is_a_cause() {
    let zone = |keys| {
        Case::with(|it| {
            it.limits = Some(LimitsReport {
                zones: vec![ZoneRoom {
                    zone: "addr".to_owned(),
                    keys,
                    capacity: 16_384,
                    used_percent: keys * 100 / 16_384,
                    refuses_when_full: true,
                    ..ZoneRoom::default()
                }],
            });
        })
    };
    let line = "zone=addr:2m";
    must_be("near", &zone(14_000), Level::Warning, Cause::ZoneFull, line);
    must_be(
        "full",
        &zone(16_384),
        Level::Critical,
        Cause::ZoneFull,
        line,
    );
    must_be("room", &zone(100), Level::Healthy, Cause::None, "nothing");
}
