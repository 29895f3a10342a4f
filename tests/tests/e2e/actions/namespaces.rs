//! Refused attempts are answered in every network namespace where a server listens, and nowhere
//! else.

use tests::{
    Limiter, Server, World, client, link, netns::NetNs, programs, settle, settle::PATIENCE,
    sockdiag, world::address,
};

use super::{LONG, flags};
use crate::{CLIENT, PORT, SERVER, ZONE};

/// A server of `world`, in another namespace.
fn serve_at(world: &World, netns: &NetNs, listen: &[&str]) -> Server {
    Server::start_at(netns, Some(&world.cgroup), listen, &[])
}

#[track_caller]
fn settle_diverting(netns: &NetNs, count: u32) {
    settle("programs at sk_lookup", count, || {
        programs::at_lookup(netns)
    });
}

#[test]
fn a_policy_that_drops_attaches_nothing_and_a_change_to_drop_detaches_everything() {
    let world = World::new();
    let other = NetNs::new();
    let server = world.serve(&[SERVER]);
    let _other = serve_at(&world, &other, &[SERVER]);
    let limiter = Limiter::start(&world, &flags("1", "drop"));
    let _open = world.open(CLIENT, server.address());
    let at_lookup = || [&world.netns, &other].map(programs::at_lookup);
    assert_eq!(at_lookup(), [0, 0]);
    for action in ["reset", "close"] {
        limiter.cli_ok(&["action", action]);
        assert_eq!(at_lookup(), [1, 1], "{action}");
        limiter.cli_ok(&["action", "drop"]);
        assert_eq!(at_lookup(), [0, 0], "{action}");
        world.must_be_refused(CLIENT, server.address());
        // Nor is a socket left.
        for netns in [&world.netns, &other] {
            settle("listeners", 1, || listeners(netns));
        }
    }
}

fn listeners(netns: &NetNs) -> usize {
    sockdiag::dump(netns)
        .iter()
        .filter(|socket| socket.state == sockdiag::state::LISTEN)
        .count()
}

#[test]
fn a_server_in_another_namespace_is_found_whenever_it_comes() {
    let world = World::new();
    let (before, after) = (NetNs::new(), NetNs::new());
    let mut servers = vec![serve_at(&world, &before, &[SERVER])];
    let limiter = Limiter::start(&world, &flags("1", "reset"));
    assert_eq!(programs::at_lookup(&before), 1);
    servers.push(serve_at(&world, &after, &[SERVER]));
    let new = NetNs::new();
    servers.push(serve_at(&world, &new, &["[::]:8080"]));
    let to = SERVER.parse().expect("literal");
    // One key over all of them.
    let _open = client::open(&before, address(CLIENT), to);
    for netns in [&before, &after, &new] {
        settle_diverting(netns, 1);
        client::must_be_reset(netns, address(CLIENT), to);
    }
    assert_eq!(limiter.zone(ZONE).rejected, 3);
    assert_eq!(programs::at_lookup(&world.netns), 0, "nobody listens there");
    for server in &mut servers[1..] {
        assert_eq!(server.stat().accepted, 0);
    }
}

#[test]
fn a_server_that_comes_late_to_its_namespace_is_found() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let flags = ["--listen", "8080-8081", "--limit", "1", "--action", "reset"];
    let limiter = Limiter::start(&world, &flags);
    let late = world.serve(&["127.0.0.1:8081"]);
    let _open = world.open(CLIENT, server.address());
    for to in [late.address(), server.address()] {
        world.must_be_reset(CLIENT, to);
    }
    assert_eq!(limiter.zone(ZONE).rejected, 2);
}

#[test]
fn a_listener_outside_of_the_cgroup_is_left_alone_beside_one_that_is_limited() {
    for (ours, theirs, options) in [
        (SERVER, "127.0.0.2:8080", &[][..]),
        ("0.0.0.0:8080", "127.0.0.2:8080", &["--reuse-port"][..]),
        ("[::]:8080", "127.0.0.2:8080", &["--reuse-port"][..]),
        ("[::]:8080", "0.0.0.0:8080", &["--reuse-port"][..]),
    ] {
        let world = World::new();
        let server = Server::start(&world, &[ours], options);
        let mut other = Server::start_in(&world, None, &[theirs], options);
        for action in ["reset", LONG] {
            let limiter = Limiter::start(&world, &flags("1", action));
            let _open = match ours {
                // The only address of it that is left.
                "[::]:8080" if theirs.starts_with("0.") => {
                    world.open("::1", "[::1]:8080".parse().expect("literal"))
                }
                _ => world.open(CLIENT, (address("127.0.0.1"), server.port()).into()),
            };
            let theirs = (address("127.0.0.2"), PORT).into();
            let _free = world.open_many(CLIENT, theirs, 3);
            let zone = limiter.zone(ZONE);
            assert_eq!((zone.connections, zone.rejected), (1, 0), "{ours} {action}");
        }
        assert_eq!(other.stat().accepted, 6);
    }
}

#[test]
fn a_listener_outside_of_the_cgroup_is_left_alone_in_a_namespace_where_another_is_limited() {
    let world = World::new();
    let other = NetNs::new();
    let server = world.serve(&[SERVER]);
    let _limited = serve_at(&world, &other, &["127.0.0.1:8081"]);
    let mut free = Server::start_at(&other, None, &[SERVER], &[]);
    let flags = ["--listen", "8080-8081", "--limit", "1", "--action", "reset"];
    let limiter = Limiter::start(&world, &flags);
    let _open = world.open(CLIENT, server.address());
    assert_eq!(programs::at_lookup(&other), 1);
    let limited = "127.0.0.1:8081".parse().expect("literal");
    client::must_be_reset(&other, address(CLIENT), limited);
    let _free = client::open_many(&other, address(CLIENT), free.address(), 3);
    assert_eq!(free.stat().accepted, 3);
    assert_eq!(limiter.zone(ZONE).rejected, 1);
}

#[test]
fn a_namespace_without_servers_is_given_up_and_ends() {
    for action in ["reset", LONG] {
        let world = World::new();
        let other = NetNs::new();
        let server = serve_at(&world, &other, &["[::]:8080"]);
        let limiter = Limiter::start(&world, &flags("1", action));
        let to = SERVER.parse().expect("literal");
        let _open = client::open(&other, address(CLIENT), to);
        settle_diverting(&other, 1);
        if action != "reset" {
            // Sockets hold a namespace, too.
            let here = other.run(|| client::connect_here(address(CLIENT), to, PATIENCE));
            drop(here.expect("waits to be closed"));
        }
        // The other end of the cable lives as long as the namespace.
        link::add_veth(&world.netns, "edge0", "edge1");
        link::move_to(&world.netns, "edge1", &other);

        drop(_open);
        server.kill();
        settle_diverting(&other, 0);
        drop(other);
        settle("the cable", false, || {
            world
                .netns
                .run(|| nix::net::if_::if_nametoindex("edge0").is_ok())
        });
        limiter.must_be_exact(ZONE);
    }
}
