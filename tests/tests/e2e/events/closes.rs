//! Connections that pass and close.

use limiter::api::{Event, EventState};
use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    churn::{Churn, Ending, churn},
    http::Events,
    limiter::QUIET,
    settle,
    settle::PATIENCE,
    world::address,
};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

fn next(events: &Events) -> Event {
    events.next(PATIENCE).expect("an event")
}

#[test]
fn a_connection_is_told_of_when_it_passes_and_when_it_closes() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let refusals = limiter.events();
    let all = Events::subscribe(limiter.control(), "?all=1");
    let closes = Events::subscribe(limiter.control(), "?status=CLOSED&addr=127.0.0.0/8");
    let mut open = world.open_many(CLIENT, server.address(), 3);
    let passed: Vec<_> = (0..3).map(|_| next(&all)).collect();
    for (event, connections) in passed.iter().zip(1..) {
        assert_eq!(event.status, EventState::Passed);
        assert_eq!((event.connections, event.limit), (connections, 10));
        assert_eq!(event.duration_s, None);
    }
    let first = open.remove(0);
    let port = first.local_addr().expect("a socket").port();
    drop(first);
    let closed = next(&all);
    assert_eq!(closed.status, EventState::Closed);
    assert_eq!((closed.connections, closed.limit), (2, 10));
    assert_eq!(closed.remote_port, port);
    let lasted = closed.duration_s.expect("it was seen to begin");
    let between = closed.time.duration_since(passed[0].time).as_secs_f64();
    assert!(
        (0.0..=between + 0.01).contains(&lasted),
        "{lasted} s, {between} s"
    );
    assert_eq!(next(&closes), closed);
    let numbers: Vec<_> = passed.iter().chain([&closed]).map(|it| it.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    drop(open);
    assert!(refusals.rest(QUIET).is_empty());
}

#[test]
fn nobody_knows_how_long_an_adopted_connection_lasted() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let open = world.open(CLIENT, server.address());
    let limiter = Limiter::start(&world, &LIMIT_10);
    let all = Events::subscribe(limiter.control(), "?all=1");
    drop(open);
    let closed = next(&all);
    assert_eq!(closed.status, EventState::Closed);
    assert_eq!(closed.duration_s, None);
}

#[test]
fn they_cost_nothing_when_nobody_asks() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let all = Events::subscribe(limiter.control(), "?all=1");
    drop(world.open(CLIENT, server.address()));
    assert_eq!(next(&all).status, EventState::Passed);
    assert_eq!(next(&all).status, EventState::Closed);
    drop(all);
    // The daemon notices when it looks after the connection.
    settle("no more events", true, || {
        let sent = limiter.status().events.sent;
        drop(world.open(CLIENT, server.address()));
        settle("connections", 0, || limiter.zone("addr").connections);
        limiter.status().events.sent == sent
    });
    let status = limiter.status().events;
    assert_eq!((status.lost, status.suppressed), (0, 0));
}

#[test]
fn however_many_pass_refusals_find_room() {
    let _heavy = crate::heavy();
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let refusals = limiter.events();
    let _all = Events::subscribe(limiter.control(), "?all=1");
    let _open = world.open_many(CLIENT, server.address(), 10);
    // Nobody reads the ring: twice as many events as half of it holds.
    limiter.signal(Signal::SIGSTOP);
    let plan = Churn {
        connections: 6_000,
        threads: 4,
        from: (20..28).map(|n| address(&format!("127.0.0.{n}"))).collect(),
        to: vec![server.address()],
        endings: vec![Ending::ClientReset],
        patience: PATIENCE,
    };
    let report = world.netns.run(|| churn(&plan));
    assert_eq!(report.done, plan.connections, "{:?}", report.failures);
    world.must_be_refused(CLIENT, server.address());
    limiter.signal(Signal::SIGCONT);
    let refusal = next(&refusals);
    assert_eq!(refusal.status, EventState::Rejected);
    settle("connections", 10, || limiter.zone(ZONE).connections);
    let status = limiter.status().events;
    assert_eq!(status.lost, 0, "{status:?}");
    assert!(status.suppressed > 0, "{status:?}");
    let offered = 10 + 2 * 6_000 + 1;
    assert_eq!(status.sent + status.suppressed, offered, "{status:?}");
}
