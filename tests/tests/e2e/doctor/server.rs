//! Servers that do not accept, do not close, do not answer, or have no descriptors.

use std::{
    io::Write as _,
    net::{Shutdown, TcpStream},
    thread,
};

use limiter::api::doctor::{Cause, Confidence, DoctorReport, Level};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    Server, World,
    client::{REFUSED_AFTER, connect_here},
    world::address,
};

use super::{Load, examine, must_say};
use crate::{CLIENT, SERVER};

/// A report while further clients knock.
fn examine_while_others_come(world: &World, server: &Server) -> DoctorReport {
    let load = Load::default();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                world.netns.run(|| {
                    while load.goes_on() {
                        let _ = connect_here(address(CLIENT), server.address(), REFUSED_AFTER);
                    }
                });
            });
        }
        let _end = load.end_at_drop();
        examine(world, &[])
    })
}

/// As many as a queue takes that is made for four: one more (net/core/sock.h, sk_acceptq_is_full).
fn fill_a_queue_of_four(world: &World, server: &Server) -> Vec<TcpStream> {
    let open = || connect_here(address(CLIENT), server.address(), REFUSED_AFTER);
    let open = || world.netns.run(open).expect("there is room");
    (0..5).map(|_| open()).collect()
}

#[test]
fn a_server_that_does_not_accept_loses_clients_at_its_queue() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &["--paused", "--backlog", "4"]);
    let _waiting = fill_a_queue_of_four(&world, &server);
    let report = examine_while_others_come(&world, &server);
    let listener = must_say(
        &report,
        Level::Critical,
        Cause::AcceptQueue,
        Confidence::High,
    );
    let queue = listener.queue;
    assert_eq!((queue.depth, queue.limit), (5, 4));
    assert!(!queue.cut_by_somaxconn);
    assert_eq!(listener.activity.queued_before, 5);
    assert_eq!(listener.pids, [server.id()]);
    assert!(report.kernel.listen_overflows.per_s > 0.0);
    assert!(queue.drops.per_s > 0.0);
    let evidence = report.verdict.evidence.join("\n");
    assert!(evidence.contains("does not accept"), "{evidence}");

    // Nobody knocks: nobody is lost now, but the next one would be.
    let report = examine(&world, &[]);
    must_say(
        &report,
        Level::Critical,
        Cause::AcceptQueue,
        Confidence::High,
    );
    let overflows = report.kernel.listen_overflows;
    assert!(overflows.total > 0, "it happened before");
}

#[test]
fn who_has_cut_a_queue_is_told() {
    let world = World::new();
    world.netns.sysctl("net/core/somaxconn", "4");
    let server = Server::start(&world, &[SERVER], &["--paused", "--backlog", "4096"]);
    let _waiting = fill_a_queue_of_four(&world, &server);
    let report = examine(&world, &[]);
    let listener = must_say(
        &report,
        Level::Critical,
        Cause::AcceptQueue,
        Confidence::High,
    );
    assert_eq!(report.kernel.somaxconn, Some(4));
    assert_eq!(listener.queue.limit, 4);
    assert!(listener.queue.cut_by_somaxconn);
}

#[test]
fn a_server_that_never_closes_is_found_by_close_wait() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &["--hold"]);
    let _busy = world.open_many("127.0.0.6", server.address(), 5);
    let leaked = world.open_many(CLIENT, server.address(), 40);
    for stream in &leaked {
        stream.shutdown(Shutdown::Write).expect("shut down");
    }
    let report = examine(&world, &["--listen", "8080"]);
    let listener = must_say(&report, Level::Warning, Cause::NotClosed, Confidence::High);
    assert_eq!(listener.states.close_wait, 40);
    assert_eq!(listener.activity.not_closed, 40);
    let advice = format!("{:?}", report.verdict.advice);
    assert!(advice.contains(&server.id().to_string()), "{advice}");
}

#[test]
fn a_server_with_64_descriptors_runs_out_of_them() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &["--descriptors", "64"]);
    let clients = [
        "127.0.0.5",
        "127.0.1.5",
        "127.0.2.5",
        "127.0.3.5",
        "127.0.4.5",
    ];
    let _open: Vec<_> = clients
        .iter()
        .flat_map(|from| world.open_many(from, server.address(), 11))
        .collect();
    // Nobody accepts these.
    let knock = || connect_here(address(CLIENT), server.address(), REFUSED_AFTER);
    let _queued: Vec<_> = (0..9)
        .map(|_| world.netns.run(knock).expect("room in the queue"))
        .collect();
    let report = examine(&world, &[]);
    let listener = must_say(
        &report,
        Level::Critical,
        Cause::Descriptors,
        Confidence::High,
    );
    assert!(listener.activity.queued > 0);
    let process = &report.processes[0];
    assert_eq!(process.descriptor_limit, Some(64));
    assert!(process.descriptors >= Some(62), "{process:?}");
    let advice = format!("{:?}", report.verdict.advice);
    let line = format!("prlimit --pid {} --nofile=65536", server.id());
    assert!(advice.contains(&line), "{advice}");
}

#[test]
fn a_server_that_is_stuck_leaves_requests_unread() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &[]);
    let mut open = world.open_many(CLIENT, server.address(), 40);
    let id = Pid::from_raw(i32::try_from(server.id()).expect("process ids fit"));
    kill(id, Signal::SIGSTOP).expect("stop the server");
    for stream in &mut open {
        stream.write_all(b"request").expect("write");
    }
    let report = examine(&world, &[]);
    // Long polling would look the same, but for the unread requests.
    let listener = must_say(
        &report,
        Level::Warning,
        Cause::SlowUpstream,
        Confidence::Medium,
    );
    assert_eq!(
        (listener.activity.waiting, listener.activity.unread),
        (40, 40)
    );
    kill(id, Signal::SIGCONT).expect("let the server go on");
}
