//! The promise itself.

use tests::{
    Limiter, World,
    outgoing::{Order, Outgoing, Way},
    settle::PATIENCE,
};

use super::{active, all_given_back, at, backend, outside, server};
use crate::SERVER;

#[test]
fn of_a_hundred_processes_at_once_exactly_eight_get_through() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(8));
    let mut processes: Vec<_> = (0..100).map(|_| Outgoing::start(&world)).collect();
    let (count, way, to) = (1, Way::Blocking, at(SERVER));
    for process in &mut processes {
        process.say(Order::Connect { count, way, to });
    }
    let through = processes.iter().map(|it| {
        let ends = it.answer();
        assert!(
            ends.keys()
                .all(|it| it == "established" || it == "ECONNREFUSED")
        );
        ends.get("established").copied().unwrap_or(0)
    });
    assert_eq!(through.sum::<u64>(), 8);
    let counted = server(&limiter, to);
    assert_eq!(
        (counted.active, counted.passed, counted.rejected),
        (8, 8, 92)
    );
    drop(processes);
    all_given_back(&limiter, to);
}

#[test]
fn every_kind_of_socket_counts_and_udp_does_not() {
    let world = World::new();
    let _server = outside(&world, &[SERVER, "[::1]:8080"]);
    let text = format!(
        "upstream backend {{ server {SERVER} max_conns=4; server [::1]:8080 max_conns=1; }}"
    );
    let limiter = Limiter::start_config(&world, &text);
    let mut process = Outgoing::start(&world);
    let to = at(SERVER);
    for (already, way) in [Way::Blocking, Way::NonBlocking, Way::Mapped, Way::FastOpen]
        .into_iter()
        .enumerate()
    {
        process.obey(Order::Connect { count: 1, way, to });
        assert_eq!(active(&limiter, to), already as u64 + 1, "{way:?}");
    }
    for way in [Way::Blocking, Way::NonBlocking, Way::Mapped, Way::FastOpen] {
        let ends = process.obey(Order::Connect { count: 1, way, to });
        assert_eq!(ends.get("ECONNREFUSED"), Some(&1), "{way:?}: {ends:?}");
    }
    // The unspecified address leads to the same server.
    assert_eq!(process.connect(1, at("0.0.0.0:8080")), (0, 1));
    let way = Way::Udp;
    let ends = process.obey(Order::Connect { count: 9, way, to });
    assert_eq!(ends.get("established"), Some(&9));
    assert_eq!(process.connect(2, at("[::1]:8080")), (1, 1));
    assert_eq!(process.connect(1, at("[::]:8080")), (0, 1));
    process.obey(Order::Close);
    all_given_back(&limiter, to);
    all_given_back(&limiter, at("[::1]:8080"));
}

#[test]
fn what_is_no_upstream_or_outside_of_the_cgroup_is_untouched() {
    let world = World::new();
    let _server = outside(&world, &[SERVER, "127.0.0.1:8081", "127.0.0.2:8080"]);
    let limiter = Limiter::start_config(&world, &backend(1));
    let mut inside = Outgoing::start(&world);
    let mut outside = Outgoing::start_in(&world, None);
    assert_eq!(inside.connect(5, at("127.0.0.1:8081")), (5, 0));
    assert_eq!(inside.connect(5, at("127.0.0.2:8080")), (5, 0));
    assert_eq!(outside.connect(5, at(SERVER)), (5, 0));
    assert_eq!(inside.connect(2, at(SERVER)), (1, 1));
    assert_eq!(outside.connect(5, at(SERVER)), (5, 0));
    assert_eq!(active(&limiter, at(SERVER)), 1);
}

#[test]
fn dry_run_counts_and_reports_and_refuses_nobody() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let text = format!("limit_conn_dry_run on;\n{}", backend(2));
    let limiter = Limiter::start_config(&world, &text);
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(5, at(SERVER)), (5, 0));
    let counted = server(&limiter, at(SERVER));
    assert_eq!(
        (
            counted.active,
            counted.passed,
            counted.rejected,
            counted.rejected_dry_run
        ),
        (5, 2, 0, 3)
    );
    limiter.cli_ok(&["dry-run", "off"]);
    assert_eq!(process.connect(1, at(SERVER)), (0, 1));
    let text = limiter.cli_ok(&["status"]);
    assert!(text.contains("backend"), "{text}");
}

#[test]
fn a_refusal_is_an_event_of_its_own_hook() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(1));
    let events = limiter.events();
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(3, at(SERVER)), (1, 2));
    let event = events.next(PATIENCE).expect("an event");
    assert_eq!(
        (
            event.hook.as_str(),
            event.server.as_str(),
            event.zone.as_str()
        ),
        ("connect", "backend", "")
    );
    assert_eq!(
        (event.remote_addr, event.remote_port),
        (at(SERVER).ip(), 8080)
    );
    assert_eq!((event.connections, event.limit), (1, 1));
}
