//! Connects that wait for a slot.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    thread::sleep,
    time::{Duration, Instant},
};

use limiter::api::{QueueStatus, Reason};
use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World,
    netns::NetNs,
    outgoing::{Order, Outgoing, Visit, Way, most_at_once},
    settle,
    settle::PATIENCE,
};

use super::{active, all_given_back, at, outside, server};
use crate::SERVER;

fn backend(max_conns: u32, queue: &str) -> String {
    format!("upstream backend {{ server {SERVER} max_conns={max_conns}; queue {queue}; }}\n")
}

#[track_caller]
fn queue(limiter: &Limiter) -> QueueStatus {
    limiter.status().upstreams[0].queue.expect("a queue")
}

fn visit(count: usize, gap_ms: u64, hold_ms: u64) -> Order {
    let to = at(SERVER);
    Order::Visit {
        count,
        gap_ms,
        hold_ms,
        to,
    }
}

/// Waits until so many wait.
#[track_caller]
fn queued(limiter: &Limiter, number: u64) {
    settle("connects that wait", number, || queue(limiter).queued);
}

fn at_once(visits: &[Visit]) -> i64 {
    most_at_once(visits.iter().map(|it| (it.returned, it.closed)))
}

fn ends(visits: &[Visit]) -> BTreeSet<&str> {
    visits.iter().map(|it| it.end.as_str()).collect()
}

#[test]
fn fifty_wait_in_the_order_in_which_they_came_and_the_fifty_ninth_is_refused() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(8, "50 timeout=60s"));
    let mut holder = Outgoing::start(&world);
    assert_eq!(holder.connect(8, at(SERVER)), (8, 0));
    let mut waiting = Outgoing::start(&world);
    waiting.say(visit(50, 3, 20));
    queued(&limiter, 50);
    let mut late = Outgoing::start(&world);
    assert_eq!(late.connect(1, at(SERVER)), (0, 1));
    let counted = server(&limiter, at(SERVER));
    assert_eq!(
        (counted.active, counted.passed, counted.rejected),
        (8, 8, 1)
    );
    assert_eq!(queue(&limiter).rejected, 1);

    holder.obey(Order::Close);
    let visits = waiting.visits();
    assert_eq!(ends(&visits), BTreeSet::from(["established"]));
    assert!(at_once(&visits) <= 8);
    // Eight may be under way at the same time.
    let mut order: Vec<usize> = (0..visits.len()).collect();
    order.sort_by_key(|&number| visits[number].returned);
    for (place, number) in order.iter().enumerate() {
        assert!(place.abs_diff(*number) < 8, "{order:?}");
    }
    all_given_back(&limiter, at(SERVER));
    let queue = queue(&limiter);
    assert_eq!((queue.queued, queue.waited, queue.timed_out), (0, 50, 0));
    assert!(queue.longest_wait_ms > 0);
    assert_eq!(server(&limiter, at(SERVER)).passed, 58);
}

#[test]
fn a_free_slot_is_used_at_once_with_a_daemon_and_soon_without() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(1, "50"));
    let mut process = Outgoing::start(&world);
    let with = turn(&mut process, 40, at(SERVER));
    limiter.signal(Signal::SIGSTOP);
    let without = turn(&mut process, 8, at(SERVER));
    limiter.signal(Signal::SIGCONT);
    assert!(with * 3 < without, "{with:?}, {without:?}");
    all_given_back(&limiter, at(SERVER));
    queued(&limiter, 0);
}

/// How long one takes of so many that wait for each other.
#[track_caller]
fn turn(process: &mut Outgoing, count: usize, to: SocketAddr) -> Duration {
    let begin = Instant::now();
    let (gap_ms, hold_ms) = (0, 5);
    process.say(Order::Visit {
        count,
        gap_ms,
        hold_ms,
        to,
    });
    let visits = process.visits();
    assert_eq!(ends(&visits), BTreeSet::from(["established"]));
    assert_eq!(at_once(&visits), 1);
    begin.elapsed() / count as u32
}

#[test]
fn a_turn_is_as_quick_in_another_namespace_and_over_ipv6() {
    const V6: &str = "[::1]:8080";
    let world = World::new();
    let elsewhere = NetNs::new();
    let _server = Server::start_at(&elsewhere, None, &[SERVER, V6], &[]);
    let text = format!(
        "upstream backend {{ server {SERVER} max_conns=1; server {V6} max_conns=1; queue 50; }}"
    );
    let limiter = Limiter::start_config(&world, &text);
    let mut process = Outgoing::start_at(&elsewhere, Some(&world.cgroup));
    let with = [SERVER, V6].map(|to| turn(&mut process, 40, at(to)));
    limiter.signal(Signal::SIGSTOP);
    let without = [SERVER, V6].map(|to| turn(&mut process, 8, at(to)));
    limiter.signal(Signal::SIGCONT);
    for (with, without) in with.into_iter().zip(without) {
        assert!(with * 3 < without, "{with:?}, {without:?}");
    }
}

#[test]
fn whoever_waits_too_long_fails_and_frees_its_place() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(1, "5 timeout=2s"));
    let mut holder = Outgoing::start(&world);
    assert_eq!(holder.connect(1, at(SERVER)), (1, 0));
    let events = limiter.events();
    let mut waiting = Outgoing::start(&world);
    waiting.say(visit(3, 0, 0));
    let visits = waiting.visits();
    assert_eq!(ends(&visits), BTreeSet::from(["ETIMEDOUT"]));
    let event = events.next(PATIENCE).expect("an event");
    assert_eq!(
        (event.reason, event.server.as_str(), event.remote_port),
        (Reason::Timeout, "backend", 8080)
    );
    assert_eq!((event.connections, event.limit), (1, 1));
    for visit in &visits {
        let waited = visit.returned - visit.called;
        assert!(waited >= 2_000_000, "{waited} us");
    }
    let counted = queue(&limiter);
    assert_eq!(
        (counted.queued, counted.timed_out, counted.waited),
        (0, 3, 0)
    );
    assert_eq!(active(&limiter, at(SERVER)), 1);
    holder.obey(Order::Close);
    assert_eq!(waiting.connect(1, at(SERVER)), (1, 0));
}

#[test]
fn whoever_gives_up_frees_its_place_and_is_passed_over() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(1, "20"));
    let mut holder = Outgoing::start(&world);
    assert_eq!(holder.connect(1, at(SERVER)), (1, 0));
    // In every way: a process that ends, a socket that is closed, one that goes elsewhere.
    let mut killed = Outgoing::start(&world);
    killed.say(visit(5, 0, 0));
    queued(&limiter, 5);
    let mut closes = Outgoing::start(&world);
    let (count, way, to) = (5, Way::NonBlocking, at(SERVER));
    let ends = closes.obey(Order::Connect { count, way, to });
    assert_eq!(ends.get("EINPROGRESS"), Some(&5));
    queued(&limiter, 10);
    let mut last = Outgoing::start(&world);
    last.say(visit(1, 0, 0));
    queued(&limiter, 11);
    killed.kill();
    closes.obey(Order::Close);
    queued(&limiter, 1);
    holder.obey(Order::Close);
    assert_eq!(last.visits()[0].end, "established");
    all_given_back(&limiter, at(SERVER));
    let counted = queue(&limiter);
    assert_eq!(
        (counted.queued, counted.waited, counted.timed_out),
        (0, 1, 0)
    );
}

#[test]
fn a_killed_daemon_keeps_nobody_waiting_and_the_next_one_knows_of_all() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let text = backend(2, "50");
    let limiter = Limiter::start_config(&world, &text);
    let mut holder = Outgoing::start(&world);
    assert_eq!(holder.connect(2, at(SERVER)), (2, 0));
    let mut waiting = Outgoing::start(&world);
    waiting.say(visit(6, 1, 10));
    queued(&limiter, 6);
    limiter.end(Signal::SIGKILL);
    holder.obey(Order::Close);
    let visits = waiting.visits();
    assert_eq!(ends(&visits), BTreeSet::from(["established"]));
    assert!(at_once(&visits) <= 2);
    // However often the kernel has tried to send the SYN.
    assert!(visits.iter().all(|it| it.window >= 10), "{visits:?}");

    assert_eq!(holder.connect(2, at(SERVER)), (2, 0));
    waiting.say(visit(4, 1, 10));
    sleep(Duration::from_millis(100));
    let limiter = Limiter::start_config(&world, &text);
    queued(&limiter, 4);
    holder.obey(Order::Close);
    assert_eq!(ends(&waiting.visits()), BTreeSet::from(["established"]));
    all_given_back(&limiter, at(SERVER));
    assert_eq!(queue(&limiter).waited, 10);
}

#[test]
fn a_reload_raises_the_limit_for_those_who_wait_and_takes_the_queue_away() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let limiter = Limiter::start_config(&world, &backend(1, "50"));
    let mut holder = Outgoing::start(&world);
    assert_eq!(holder.connect(1, at(SERVER)), (1, 0));
    let mut waiting = Outgoing::start(&world);
    waiting.say(visit(5, 1, 0));
    queued(&limiter, 5);
    limiter.reload(&world, &backend(4, "50"));
    assert_eq!(ends(&waiting.visits()), BTreeSet::from(["established"]));
    assert_eq!(active(&limiter, at(SERVER)), 1);

    assert_eq!(holder.connect(3, at(SERVER)), (3, 0));
    waiting.say(visit(5, 1, 0));
    queued(&limiter, 5);
    // Those who wait go on waiting, and nobody else may.
    limiter.reload(&world, &super::backend(4));
    let mut late = Outgoing::start(&world);
    assert_eq!(late.connect(1, at(SERVER)), (0, 1));
    assert_eq!(active(&limiter, at(SERVER)), 4);
    holder.obey(Order::Close);
    assert_eq!(ends(&waiting.visits()), BTreeSet::from(["established"]));
    all_given_back(&limiter, at(SERVER));
}

#[test]
fn dry_run_makes_nobody_wait() {
    let world = World::new();
    let _server = outside(&world, &[SERVER]);
    let text = format!("limit_conn_dry_run on;\n{}", backend(1, "50"));
    let limiter = Limiter::start_config(&world, &text);
    let mut process = Outgoing::start(&world);
    assert_eq!(process.connect(5, at(SERVER)), (5, 0));
    let counted = server(&limiter, at(SERVER));
    assert_eq!((counted.passed, counted.rejected_dry_run), (1, 4));
    limiter.cli_ok(&["dry-run", "off"]);
    process.say(visit(1, 0, 0));
    queued(&limiter, 1);
    limiter.cli_ok(&["dry-run", "on"]);
    assert_eq!(process.visits()[0].end, "established");
}
