//! The case of nginx's mailing list: several worker processes, and a cap that is for all of them.

use tests::{
    Limiter, World,
    outgoing::{Order, Outgoing, most_at_once},
};

use super::{all_given_back, at, outside, server};
use crate::SERVER;

const OTHER: &str = "127.0.0.1:8082";
const MAX: i64 = 8;
const MINUTE_MS: u64 = 60_000;

/// Four processes connect at random for a minute, and say when each connection was there.
fn four_workers(queue: &str) {
    let world = World::new();
    world
        .netns
        .sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    let servers = [SERVER, OTHER].map(|listen| outside(&world, &[listen]));
    let text = format!(
        "upstream backend {{ server {SERVER} max_conns={MAX}; server {OTHER} max_conns={MAX}; {queue} }}"
    );
    let limiter = Limiter::start_config(&world, &text);
    let to = [SERVER, OTHER].map(at);
    let mut workers: Vec<_> = (0..4).map(|_| Outgoing::start(&world)).collect();
    for worker in &mut workers {
        worker.say(Order::Load {
            for_ms: MINUTE_MS,
            hold_ms: 20,
            to,
        });
    }
    let loads: Vec<_> = workers.iter().map(Outgoing::load).collect();
    let established: u64 = loads.iter().map(|it| it.ends["established"]).sum();
    for (which, server) in to.iter().enumerate() {
        let open = loads.iter().flat_map(|it| it.open[which].iter().copied());
        assert_eq!(most_at_once(open), MAX, "{server}");
    }
    if !queue.is_empty() {
        assert!(loads.iter().all(|it| it.ends.len() == 1), "not all got in");
    }
    to.iter().for_each(|to| all_given_back(&limiter, *to));
    let passed: u64 = to.iter().map(|to| server(&limiter, *to).passed).sum();
    assert_eq!(passed, established);
    let accepted: u64 = servers.into_iter().map(|mut it| it.stat().accepted).sum();
    assert_eq!(accepted, established);
}

#[test]
fn four_workers_and_two_servers_for_a_minute_never_more_than_eight_each() {
    four_workers("");
}

#[test]
fn the_same_with_a_queue_and_nobody_is_refused() {
    four_workers("queue 100;");
}
