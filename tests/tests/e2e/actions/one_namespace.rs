//! What goes wrong in one network namespace, where somebody else is master, stays there.

use tests::{
    Limiter, Server, World, client,
    netns::NetNs,
    programs, settle,
    settle::{PATIENCE, poll},
    usage::Usage,
    world::address,
};

use super::{flags, must_be_reset_and_counted};
use crate::{CLIENT, SERVER, ZONE};

#[test]
fn a_namespace_without_a_free_port_holds_nobody_else_up() {
    const RANGE: &str = "net/ipv4/ip_local_port_range";
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let to = server.address();
    let greedy = NetNs::new();
    // Its only port is taken.
    greedy.sysctl(RANGE, "60001 60001");
    let _taken = Server::start_at(&greedy, None, &["[::]:60001"], &[]);
    let _limited = Server::start_at(&greedy, Some(&world.cgroup), &[SERVER], &[]);
    let limiter = Limiter::start(&world, &flags("1", "reset"));
    limiter.must_say(
        "open a socket of limiter: Address already in use (os error 98); \
         refused attempts are dropped",
    );
    assert_eq!(programs::at_lookup(&greedy), 0);

    let _open = world.open(CLIENT, to);
    must_be_reset_and_counted(&world, &limiter, to);
    // There they are dropped. (The namespace has no port for a client, either.)
    greedy.sysctl(RANGE, "60002 60003");
    greedy.sysctl("net/ipv4/ip_local_reserved_ports", "60002-60003");
    // Others still come, and the policy may change.
    let new = NetNs::new();
    let _new = Server::start_at(&new, Some(&world.cgroup), &[SERVER], &[]);
    settle("programs at sk_lookup", 1, || programs::at_lookup(&new));
    client::must_be_reset(&new, address(CLIENT), to);
    limiter.cli_ok(&["action", "close", "delay=1h"]);
    drop(world.must_wait(CLIENT, to));
    limiter.cli_ok(&["action", "reset"]);

    // And when there is a port again, it is found by itself.
    greedy.sysctl("net/ipv4/ip_local_reserved_ports", "");
    greedy.sysctl(RANGE, "32768 60999");
    settle("programs at sk_lookup", 1, || programs::at_lookup(&greedy));
    client::must_be_reset(&greedy, address(CLIENT), to);
    limiter.must_say("refused attempts are dropped");
    let said = limiter.stderr();
    assert_eq!(
        said.matches("refused attempts are dropped").count(),
        1,
        "{said}"
    );
    limiter.must_be_exact(ZONE);
}

#[test]
fn namespaces_that_come_and_go_leave_nothing_behind() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", "close delay=1h"));
    let _open = world.open(CLIENT, server.address());
    let waiting = world.must_wait(CLIENT, server.address());
    drop(waiting);
    let descriptors = || Usage::of(limiter.id()).descriptors;
    let before = descriptors();
    let mut most = before;
    for _ in 0..3 {
        let others: Vec<_> = (0..5)
            .map(|_| {
                let netns = NetNs::new();
                let server = Server::start_at(&netns, Some(&world.cgroup), &[SERVER], &[]);
                (netns, server)
            })
            .collect();
        for (netns, _) in &others {
            settle("programs at sk_lookup", 1, || programs::at_lookup(netns));
        }
        most = most.max(descriptors());
        drop(others);
        let gone = poll(PATIENCE, || descriptors() <= before);
        assert!(gone, "{} descriptors, before {before}", descriptors());
    }
    assert!(most > before);
}
