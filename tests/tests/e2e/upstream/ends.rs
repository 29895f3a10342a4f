//! However a connect() or a connection ends, its slot is given back.

use std::{net::TcpStream, time::Duration};

use tests::{
    Limiter, World,
    outgoing::{Order, Outgoing, Way},
};

use super::{active, all_given_back, at, outside, server};
use crate::SERVER;

const REFUSED: &str = "127.0.0.1:9";
/// Documentation addresses, RFC 5737: no route leads there.
const NO_ROUTE: &str = "203.0.113.9:80";
const SILENT: &str = "127.0.0.1:8082";

fn upstream(max_conns: u32) -> String {
    let servers = [SERVER, REFUSED, NO_ROUTE, SILENT];
    let servers = servers.map(|it| format!("server {it} max_conns={max_conns};"));
    format!("upstream all {{ {} }}", servers.join(" "))
}

fn mixed(count: usize) {
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    world.netns.sysctl("net/ipv4/tcp_fastopen", "3");
    let _server = outside(&world, &[SERVER]);
    let _silent = silent(&world);
    let limiter = Limiter::start_config(&world, &upstream(10));
    let mut processes: Vec<_> = (0..4).map(|_| Outgoing::start(&world)).collect();
    for process in &mut processes {
        process.say(Order::Mix {
            count: count / 4,
            open: at(SERVER),
            refused: at(REFUSED),
            no_route: at(NO_ROUTE),
            silent: at(SILENT),
        });
    }
    processes.iter().for_each(|it| drop(it.answer()));
    for addr in [SERVER, REFUSED, NO_ROUTE, SILENT].map(at) {
        all_given_back(&limiter, addr);
        assert!(server(&limiter, addr).passed > 0, "{addr}");
    }
    // All slots are there, and not one more.
    assert_eq!(processes[0].connect(12, at(SERVER)), (10, 2));
}

/// A listener that takes no more connections: further SYNs stay without an answer.
fn silent(world: &World) -> (tests::Server, Vec<TcpStream>) {
    let server = tests::Server::start_in(world, None, &[SILENT], &["--paused", "--backlog", "1"]);
    let connect = || TcpStream::connect_timeout(&at(SILENT), Duration::from_millis(300)).ok();
    let filled = world.netns.run(|| std::iter::from_fn(connect).collect());
    (server, filled)
}

#[test]
fn no_slot_is_lost_over_a_hundred_thousand_connects_with_every_way_to_fail() {
    let _heavy = crate::heavy();
    mixed(100_000);
}

#[test]
fn a_connect_that_never_sent_a_syn_gives_back_as_it_is_closed() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, &upstream(2));
    let mut process = Outgoing::start(&world);
    let (count, way, to) = (50, Way::Blocking, at(NO_ROUTE));
    // Each is closed before the next.
    let ends = process.obey(Order::Connect { count, way, to });
    assert_eq!(ends.get("ENETUNREACH"), Some(&50), "{ends:?}");
    assert_eq!(active(&limiter, to), 0);
}

#[test]
fn a_socket_that_found_no_route_holds_no_slot_for_long() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &upstream(2));
    let mut process = Outgoing::start(&world);
    let to = at(NO_ROUTE);
    // They stay open. So do the sockets of the kernel behind MPTCP, which nothing tells of.
    for way in [Way::Kept, Way::Mptcp] {
        let ends = process.obey(Order::Connect { count: 2, way, to });
        assert_eq!(ends.get("ENETUNREACH"), Some(&2), "{way:?}: {ends:?}");
        all_given_back(&limiter, to);
    }
    let ends = process.obey(Order::Connect {
        count: 2,
        way: Way::Kept,
        to,
    });
    assert_eq!(ends.get("ENETUNREACH"), Some(&2), "{ends:?}");
    // What was given up is not given back again.
    process.obey(Order::Close);
    all_given_back(&limiter, to);
    assert_eq!(process.connect(3, at(SERVER)), (2, 1));
}

#[test]
fn a_process_that_is_killed_gives_everything_back() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let _silent = silent(&world);
    let limiter = Limiter::start_config(&world, &upstream(5));
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(6, at(SERVER)), (5, 1));
    let (count, way, to) = (6, Way::NonBlocking, at(SILENT));
    let ends = process.obey(Order::Connect { count, way, to });
    assert_eq!(ends.get("EINPROGRESS"), Some(&5), "{ends:?}");
    assert_eq!(active(&limiter, at(SERVER)), 5);
    assert_eq!(active(&limiter, at(SILENT)), 5);
    process.kill();
    all_given_back(&limiter, at(SERVER));
    all_given_back(&limiter, at(SILENT));
}
