//! What kernels do that lack something. `cargo xtask verify` runs these tests on such kernels.

use tests::{Limiter, World, client, settle, world::address};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

/// Before it, an iterator cannot ask to be told of a socket's end (net/core/filter.c,
/// `bpf_sock_ops_cb_flags_set` from programs of kind `iter`).
const ADOPTS: (u32, u32) = (6, 12);

#[test]
fn connections_open_before_start_are_not_counted_and_the_log_says_so() {
    if version() >= ADOPTS {
        eprintln!("not tried: this kernel can count connections that were open before");
        return;
    }
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let early = world.open_many(CLIENT, server.address(), 5);
    let limiter = Limiter::start(&world, &LIMIT_10);
    assert_eq!(limiter.zone(ZONE).connections, 0);
    let log = limiter.stderr();
    assert!(
        log.contains("5 connections that were open before are not counted")
            && log.contains("older than Linux 6.12"),
        "{log}"
    );

    let late = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    // What holds no slot gives none back.
    for stream in early {
        client::close(stream).expect("close");
    }
    assert_eq!(limiter.connections_of(ZONE, address(CLIENT)), 10);
    world.must_be_refused(CLIENT, server.address());
    drop(late);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

fn version() -> (u32, u32) {
    let name = nix::sys::utsname::uname().expect("ask for the kernel's name");
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|number| number.parse().ok());
    let version = numbers.next().zip(numbers.next());
    version.unwrap_or_else(|| panic!("{release} has no version"))
}
