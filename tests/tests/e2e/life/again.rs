//! Another daemon goes on, with the same policy or with another one.

use nix::sys::signal::Signal;
use tests::{Limiter, World, limiter::cli, programs::Programs, settle, world::address};

use crate::{CLIENT, SERVER};

const FIRST: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;
    limit_conn_zone $server_name zone=name:1m;
    limit_conn addr 3; limit_conn name 100;
    limit_conn_exempt 10.0.0.0/8;
    limit_conn_override addr 127.0.9.0/24 1;
    server { server_name one; listen 127.0.0.1:8080; }
    server { server_name two; listen 8081-8090; }";

#[test]
fn counters_resets_and_everything_of_the_policy_are_taken_over() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, FIRST);
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    limiter.cli_ok(&["reset", "addr"]);
    world.must_be_refused(CLIENT, server.address());
    let _other = world.open("127.0.9.1", server.address());
    let before = limiter.status();
    limiter.end(Signal::SIGKILL);
    let limiter = Limiter::start_config(&world, FIRST);
    let after = limiter.status();
    assert_eq!(after.servers, before.servers);
    assert_eq!(after.zones, before.zones);
    world.must_be_refused("127.0.9.1", server.address());
    assert_eq!(
        limiter.top("name", 10)[0].parts.server_name.as_deref(),
        Some("one")
    );
    limiter.must_be_exact("addr");
}

#[test]
fn what_the_next_policy_has_otherwise_is_as_after_a_reload() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, FIRST);
    let open = world.open_many(CLIENT, server.address(), 3);
    limiter.end(Signal::SIGKILL);
    let _more = world.open("127.0.0.6", server.address());
    // Another order, a larger zone, another key, a new zone; none of the exemptions.
    let limiter = Limiter::start_config(
        &world,
        "limit_conn_zone $server_port zone=new:1m;
        limit_conn_zone $server_port zone=name:1m;
        limit_conn_zone $binary_remote_addr zone=addr:2m;
        limit_conn addr 4; limit_conn name 100; limit_conn new 100;
        server { server_name two; listen 8081-8089; }
        server { server_name one; listen 8080; }",
    );
    for zone in ["addr", "name", "new"] {
        assert_eq!(limiter.zone(zone).connections, 4, "{zone}");
    }
    assert_eq!(limiter.zone("addr").passed, 4);
    assert_eq!(limiter.connections_of("addr", address(CLIENT)), 3);
    let _fourth = world.open(CLIENT, server.address());
    world.must_be_refused(CLIENT, server.address());
    drop(open);
    settle("connections", 2, || limiter.zone("addr").connections);
    limiter.must_be_exact("addr");
}

#[test]
fn at_another_cgroup_connections_are_counted_anew() {
    let world = World::new();
    let elsewhere = World::new();
    let server = elsewhere.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &["--limit", "3"]);
    limiter.end(Signal::SIGKILL);
    let _open = elsewhere.open_many(CLIENT, server.address(), 2);
    // The same socket, and so the same instance.
    let limiter = Limiter::try_start(&elsewhere, &world.control(), &["--limit", "3"])
        .unwrap_or_else(|failed| panic!("{}", failed.stderr));
    limiter.must_say("took the place");
    assert_eq!(limiter.zone("addr").connections, 2);
    settle("programs", Programs::NONE, || {
        Programs::attached(world.cgroup.path())
    });
    let (status, said) = limiter.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
}

#[test]
fn instances_have_names_and_do_not_disturb_each_other() {
    let world = World::new();
    let elsewhere = World::new();
    let server = world.serve(&[SERVER]);
    let start = |world: &World, name: &str, limit: &str| {
        let flags = ["--instance", name, "--limit", limit];
        Limiter::try_start(world, &world.control(), &flags)
    };
    // Names of other tests are other names.
    let name = |world: &World| {
        let cgroup = world.cgroup.path().file_name().expect("a name");
        cgroup.to_string_lossy().into_owned()
    };
    let (one, two) = (name(&world), name(&elsewhere));
    let first = start(&world, &one, "3").unwrap_or_else(|failed| panic!("{}", failed.stderr));
    let taken = start(&elsewhere, &one, "5").expect_err("the name is taken");
    assert_eq!(taken.code, Some(1), "{}", taken.stderr);
    assert!(taken.stderr.contains("--instance"), "{}", taken.stderr);
    let second = start(&elsewhere, &two, "5").unwrap_or_else(|failed| panic!("{}", failed.stderr));
    let _open = world.open_many(CLIENT, server.address(), 3);
    world.must_be_refused(CLIENT, server.address());
    assert_eq!(second.zone("addr").connections, 0);
    first.end(Signal::SIGKILL);
    let (status, said) = second.end(Signal::SIGTERM);
    assert!(status.success(), "{said}");
    world.must_be_refused(CLIENT, server.address());
    let detached = cli(&world.control(), &["detach", "--instance", &one]);
    assert_eq!(detached.code, Some(0), "{}", detached.stderr);
    let _free = world.open(CLIENT, server.address());
    let bad = cli(&world.control(), &["detach", "--instance", "a.b"]);
    assert_eq!(bad.code, Some(2), "{}", bad.stderr);
}
