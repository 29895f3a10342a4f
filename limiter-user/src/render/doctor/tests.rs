use super::*;
use crate::api::doctor::{
    ActivityReport, Advice, Confidence, KernelReport, NginxReport, QueueReport, SourceReport,
    SourcesReport, StateReport, StubStatus,
};

fn example() -> DoctorReport {
    let source = |source: &str| SourceReport {
        source: source.to_owned(),
        connections: 40,
        percent: 80,
    };
    let listen = ([192, 0, 2, 1], 443).into();
    DoctorReport {
        time: jiff::Timestamp::UNIX_EPOCH,
        interval_ms: 3_000,
        verdict: Diagnosis {
            level: Level::Warning,
            cause: Cause::KeepAlive,
            confidence: Confidence::High,
            listener: Some(listen),
            summary: "192.0.2.1:443: keep-alive pile-up".to_owned(),
            evidence: vec!["50 idle".to_owned()],
            advice: vec![Advice {
                text: "close them sooner".to_owned(),
                place: Some("nginx.conf".to_owned()),
                line: Some("keepalive_timeout 15s;".to_owned()),
            }],
            avoid: vec!["do not switch keep-alive off".to_owned()],
        },
        also: Vec::new(),
        kernel: KernelReport {
            somaxconn: Some(4_096),
            listen_overflows: Rate {
                total: 3,
                per_s: 0.0,
            },
            ..KernelReport::default()
        },
        listeners: vec![ListenerReport {
            listen,
            sockets: 1,
            queue: QueueReport {
                depth: 1,
                limit: 511,
                ..QueueReport::default()
            },
            states: StateReport {
                established: 50,
                time_wait: 7,
                ..StateReport::default()
            },
            activity: ActivityReport {
                idle: 50,
                ..ActivityReport::default()
            },
            sources: SourcesReport {
                connections: 50,
                clients: 2,
                networks: 1,
                top_clients: vec![source("198.51.100.7")],
                top_networks: vec![source("198.51.100.0/24")],
            },
            pids: vec![12, 13],
            remarks: vec!["something".to_owned()],
        }],
        processes: [(12, WorkerRole::Master), (13, WorkerRole::Worker)]
            .map(|(pid, role)| ProcessReport {
                pid,
                name: "nginx".to_owned(),
                role: Some(role),
                descriptors: Some(60),
                descriptor_limit: Some(1_024),
                upstreams: Vec::new(),
            })
            .to_vec(),
        nginx: vec![NginxReport {
            pid: 12,
            workers: 1,
            old_workers: 1,
            worker_connections: Some(64),
            proxies: Some(false),
            capacity: Some(64),
            clients: 51,
            used_percent: Some(79),
            stub_status: Some(StubStatus {
                waiting: 50,
                writing: 1,
                ..StubStatus::default()
            }),
        }],
        limits: None,
        unseen: vec!["much".to_owned()],
    }
}

#[test]
fn the_verdict_stands_first_and_then_what_it_is_made_of() {
    assert_eq!(
        report(&example(), Colour::Off),
        "\
WARNING 192.0.2.1:443: keep-alive pile-up (confidence: high)
  seen    50 idle
  do      close them sooner
          nginx.conf: keepalive_timeout 15s;
  do not  switch keep-alive off

LISTEN         QUEUE  DROPS/S  OPEN  BUSY  IDLE  WAITING  SLOW  CLOSE_WAIT  CLIENTS  TOP CLIENT         PROCESS
192.0.2.1:443  1/511      0.0    50     0    50        0     0           0        2  198.51.100.7 80 %  12 nginx and 1 more

192.0.2.1:443: ESTABLISHED 50, TIME_WAIT 7
  clients   198.51.100.7 40 (80 %)
  networks  198.51.100.0/24 40 (80 %)
  note      something

PROCESS  NAME   ROLE    DESCRIPTORS  WAITS FOR
     12  nginx  master      60/1024  -
     13  nginx  worker      60/1024  -

nginx 12: 1 workers and 1 from before a reload, 51 clients, room for 64 (79 % used; worker_connections 64)
  Reading 0, Writing 1, Waiting 50; 0.0 accepted and 0.0 dropped per second

kernel: ListenOverflows 0.0/s (3 in all), somaxconn 4096

not seen: much
"
    );
    let coloured = report(&example(), Colour::On);
    assert!(coloured.starts_with("\x1b[33mWARNING\x1b[0m"), "{coloured}");
}

#[test]
fn what_has_changed_is_marked() {
    assert_eq!(changes(None, "a\nb\n", Colour::Off), "a\nb\n");
    assert_eq!(
        changes(Some("a\nb\n"), "a\n\nc\n", Colour::Off),
        "a\n\nc  *\n"
    );
}
