//! nginx: its room, its workers, what it waits for.

use std::{io::Write as _, thread, time::Duration};

use limiter::api::doctor::{Cause, Confidence, Level, WorkerRole};
use nix::sys::signal::Signal;
use tests::{
    Server, World, client,
    nginx::{Nginx, Shape, get_again},
    settle,
    settle::{PATIENCE, poll},
    world::address,
};

use super::{Load, examine, must_say};
use crate::SERVER;

const STUB_STATUS: &str = "http://127.0.0.1:8080/status";
const UPSTREAM: &str = "127.0.9.9:9000";

fn clients() -> impl Iterator<Item = String> {
    (1..=10_u8)
        .cycle()
        .map(|network| format!("127.0.{network}.5"))
}

fn small(worker_connections: u32) -> Shape {
    Shape {
        workers: 1,
        worker_connections,
        server: "location /status { stub_status; }".to_owned(),
        ..Shape::default()
    }
}

#[test]
fn a_herd_of_idle_connections_is_a_keep_alive_pile_up() {
    let world = World::new();
    let nginx = Nginx::start_as(&world, SERVER.parse().expect("literal"), &small(128));
    let _kept: Vec<_> = clients()
        .take(100)
        .map(|from| nginx.get(&world, address(&from), PATIENCE))
        .map(|kept| kept.expect("an answer"))
        .collect();
    let report = examine(&world, &["--stub-status", STUB_STATUS]);
    let listener = must_say(&report, Level::Warning, Cause::KeepAlive, Confidence::High);
    assert_eq!(listener.activity.idle, 100);
    let found = &report.nginx[0];
    assert_eq!((found.pid, found.workers), (nginx.id(), 1));
    assert_eq!(
        (found.worker_connections, found.proxies, found.capacity),
        (Some(128), Some(false), Some(128))
    );
    let status = found.stub_status.expect("it was asked");
    // The one that asks is there as well.
    assert_eq!((status.active, status.waiting), (101, 100));
    assert_eq!((found.clients, found.used_percent), (101, Some(78)));
    assert_eq!(status.dropped_per_s, 0.0);
    assert!(report.unseen.is_empty(), "{:?}", report.unseen);

    // Without an answer it does without.
    let report = examine(&world, &["--stub-status", "http://127.0.0.1:1/"]);
    must_say(&report, Level::Warning, Cause::KeepAlive, Confidence::High);
    assert_eq!(report.nginx[0].clients, 100);
    let unseen = &report.unseen[0];
    assert!(unseen.starts_with("--stub-status: "), "{unseen}");
}

#[test]
fn idle_connections_are_no_matter_where_there_is_room() {
    let world = World::new();
    let nginx = Nginx::start(&world, SERVER.parse().expect("literal"));
    let _kept: Vec<_> = clients()
        .take(100)
        .map(|from| nginx.get(&world, address(&from), PATIENCE))
        .collect();
    let report = examine(&world, &[]);
    assert_eq!(report.verdict.level, Level::Healthy, "{report:#?}");
    assert_eq!(report.nginx[0].capacity, Some(2_048));
    let roles: Vec<_> = report.processes.iter().filter_map(|it| it.role).collect();
    let count = |role| roles.iter().filter(|it| **it == role).count();
    assert_eq!(
        (count(WorkerRole::Master), count(WorkerRole::Worker)),
        (1, 2)
    );
}

#[test]
fn an_upstream_that_sleeps_is_named_and_so_are_old_workers() {
    let world = World::new();
    // The kernel takes the connections, and nobody answers.
    let _upstream = Server::start(&world, &[UPSTREAM], &["--paused"]);
    let shape = Shape {
        location: format!("proxy_pass http://{UPSTREAM};"),
        ..Shape::default()
    };
    let nginx = Nginx::start_as(&world, SERVER.parse().expect("literal"), &shape);
    let ask = |from: String| {
        let to = nginx.address();
        let mut stream = client::connect_here(address(&from), to, PATIENCE).expect("connect");
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            .expect("write");
        stream
    };
    let _waiting: Vec<_> = world.netns.run(|| clients().take(40).map(ask).collect());
    settle("requests at the upstream", 40, || world.open_at(9000));
    let report = examine(&world, &["--listen", "8080"]);
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::SlowUpstream,
        Confidence::High,
    );
    assert_eq!(listener.activity.waiting, 40);
    let verdict = &report.verdict;
    assert!(verdict.summary.contains(UPSTREAM), "{}", verdict.summary);
    let avoid = verdict.avoid.join("\n");
    assert!(avoid.contains("worker_connections"), "{avoid}");
    let waits: u64 = report
        .processes
        .iter()
        .flat_map(|it| &it.upstreams)
        .map(|it| it.waiting)
        .sum();
    assert_eq!(waits, 40);
    // Two connections each.
    assert_eq!(report.nginx[0].proxies, Some(true));
    assert_eq!(report.nginx[0].capacity, Some(1_024));

    nginx.signal(Signal::SIGHUP);
    let has_old_workers = poll(PATIENCE, || {
        let report = examine(&world, &["--listen", "8080"]);
        (report.nginx[0].old_workers, report.nginx[0].workers) == (2, 2)
    });
    assert!(has_old_workers, "nginx says: {}", nginx.stderr());
}

#[test]
fn more_clients_than_worker_connections_is_plain_capacity() {
    let world = World::new();
    let nginx = Nginx::start_as(&world, SERVER.parse().expect("literal"), &small(32));
    let load = Load::default();
    let busy = |from: String| {
        while load.goes_on() {
            let Ok(mut stream) = nginx.get(&world, address(&from), PATIENCE) else {
                continue;
            };
            // Closed by nginx if it has no connections left.
            while load.goes_on() && get_again(&mut stream).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        }
    };
    thread::scope(|scope| {
        let _end = load.end_at_drop();
        for from in clients().take(27) {
            scope.spawn(|| busy(from));
        }
        settle("it is at its end", true, || world.open_at(8080) >= 26);
        let report = examine(&world, &[]);
        let listener = must_say(&report, Level::Warning, Cause::Capacity, Confidence::High);
        assert!(listener.activity.busy >= 20, "{listener:?}");
        let found = &report.nginx[0];
        assert_eq!(found.capacity, Some(32));
        assert!(found.used_percent >= Some(80), "{found:?}");
        let advice = format!("{:?}", report.verdict.advice);
        assert!(advice.contains("worker_connections 2048"), "{advice}");
    });
}

#[test]
fn connections_that_nginx_accepts_and_does_not_handle_are_critical() {
    let world = World::new();
    let _upstream = Server::start(&world, &[UPSTREAM], &["--paused"]);
    let shape = Shape {
        location: format!("proxy_pass http://{UPSTREAM};"),
        ..small(64)
    };
    let nginx = Nginx::start_as(&world, SERVER.parse().expect("literal"), &shape);
    let send = |from: String, request: &[u8]| {
        let to = nginx.address();
        let mut stream = client::connect_here(address(&from), to, PATIENCE)?;
        stream.write_all(request)?;
        std::io::Result::Ok(stream)
    };
    // Two connections each.
    let whole = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    let _waiting: Vec<_> = world.netns.run(|| {
        let sent = clients().take(26).map(|from| send(from, whole));
        sent.collect::<std::io::Result<_>>().expect("requests")
    });
    settle("requests at the upstream", 26, || world.open_at(9000));
    let load = Load::default();
    thread::scope(|scope| {
        let _end = load.end_at_drop();
        scope.spawn(|| {
            world.netns.run(|| {
                while load.goes_on() {
                    // nginx closes none of these to make room: it has begun to read a request.
                    let burst = clients().take(12).map(|from| send(from, b"GET /"));
                    let burst: Vec<_> = burst.collect();
                    thread::sleep(Duration::from_millis(30));
                    drop(burst);
                    // Room for who asks for the status.
                    thread::sleep(Duration::from_millis(70));
                }
            });
        });
        settle("the gap between accepted and handled grows", true, || {
            let arguments = ["--listen", "8080", "--stub-status", STUB_STATUS];
            let report = examine(&world, &arguments);
            let status = report.nginx[0].stub_status;
            let grows = status.is_some_and(|it| it.dropped_per_s > 0.0);
            if grows {
                // What holds them explains it.
                must_say(
                    &report,
                    Level::Critical,
                    Cause::SlowUpstream,
                    Confidence::High,
                );
                let mut also = report.also.iter();
                let capacity = also.find(|it| it.cause == Cause::Capacity);
                let capacity = capacity.expect("it has no room");
                assert_eq!(capacity.level, Level::Critical);
                let evidence = capacity.evidence.join("\n");
                assert!(evidence.contains("the gap grows by"), "{evidence}");
            }
            grows
        });
    });
}
