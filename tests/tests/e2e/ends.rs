//! However a connection begins and ends, it is counted from establishment to close.

use std::{
    io::{ErrorKind, Read},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use tests::{
    Limiter, Server, World,
    client::{self, REFUSED_AFTER},
    mib, settle,
    settle::PATIENCE,
    sockdiag,
    world::address,
};

use crate::{CLIENT, LIMIT_10, PORT, SERVER, ZONE};

#[test]
fn with_syn_cookies_the_limit_holds() {
    let world = World::new();
    // Cookies always, not only when the queue is full.
    world.netns.sysctl("net/ipv4/tcp_syncookies", "2");
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    assert!(mib::counter(&world.netns, "TcpExt", "SyncookiesRecv") >= 10);
    assert_eq!(server.stat().accepted, 10);
    assert_eq!(limiter.zone(ZONE).connections, 10);
    client::close(open.pop().expect("ten are open")).expect("close");
    settle("connections", 9, || limiter.zone(ZONE).connections);
    open.push(world.open(CLIENT, server.address()));
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn with_tcp_fast_open_the_limit_holds_and_refused_data_does_not_arrive() {
    let world = World::new();
    // Client and server, without a cookie on either side (ip-sysctl.rst, tcp_fastopen).
    world.netns.sysctl("net/ipv4/tcp_fastopen", "1543");
    let mut server = Server::start(&world, &[SERVER], &["--fast-open"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let fast_open = |patience: Duration| {
        world
            .netns
            .run(|| open_with_data(address(CLIENT), server.address(), patience))
    };
    let open: Vec<_> = (0..10)
        .map(|_| fast_open(PATIENCE).expect("greeted and echoed"))
        .collect();
    let refused = fast_open(REFUSED_AFTER).expect_err("beyond the limit");
    assert_eq!(refused.kind(), ErrorKind::TimedOut);
    assert_eq!(
        mib::counter(&world.netns, "TcpExt", "TCPFastOpenPassive"),
        10
    );
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.passed), (10, 10));
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(server.stat().accepted, 10);
    limiter.must_be_exact(ZONE);
}

fn open_with_data(
    from: std::net::IpAddr,
    to: std::net::SocketAddr,
    patience: Duration,
) -> std::io::Result<TcpStream> {
    let mut stream = client::connect_with_data(from, to, b"x", patience)?;
    let mut answer = [0; 2];
    stream
        .read_exact(&mut answer)
        .map_err(|e| match e.raw_os_error() {
            Some(libc::EAGAIN) => ErrorKind::TimedOut.into(),
            _ => e,
        })?;
    assert_eq!(&answer, b"!x");
    Ok(stream)
}

#[test]
fn a_half_closed_connection_holds_its_slot() {
    let world = World::new();
    let mut server = Server::start(&world, &[SERVER], &["--hold"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut open = world.open_many(CLIENT, server.address(), 10);
    for stream in &mut open[..5] {
        stream.shutdown(Shutdown::Write).expect("half-close");
    }
    for stream in &mut open[5..] {
        client::half_close_by_server(stream).expect("half-close by the server");
    }
    settle("CLOSE_WAIT", 5, || {
        sockdiag::connections(&world.netns, PORT)
            .iter()
            .filter(|socket| socket.state == sockdiag::state::CLOSE_WAIT)
            .count()
    });
    assert_eq!(limiter.zone(ZONE).connections, 10);
    world.must_be_refused(CLIENT, server.address());
    server.command("close");
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn time_wait_holds_no_slot() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    for stream in world.open_many(CLIENT, server.address(), 10) {
        client::close_by_server(stream).expect("close by the server");
    }
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let waiting = sockdiag::dump(&world.netns)
        .iter()
        .filter(|s| s.local.port() == PORT && s.state == sockdiag::state::TIME_WAIT)
        .count();
    assert_eq!(waiting, 10);
    let _again = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
}

#[test]
fn a_server_that_dies_with_connections_nobody_accepted_frees_their_slots() {
    let world = World::new();
    let server = Server::start(&world, &[SERVER], &["--paused"]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let (from, to) = (address(CLIENT), server.address());
    let queued: Vec<_> = world.netns.run(|| {
        (0..10)
            .map(|_| client::connect_here(from, to, PATIENCE).expect("connect"))
            .collect()
    });
    settle("connections", 10, || limiter.zone(ZONE).connections);
    world.must_be_refused(CLIENT, to);
    server.kill();
    settle("connections", 0, || limiter.zone(ZONE).connections);
    drop(queued);
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.passed), (0, 10));
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_closed_listener_leaves_accepted_connections_counted() {
    let world = World::new();
    let mut server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 4);
    server.command("unlisten");
    assert_eq!(limiter.zone(ZONE).connections, 4);
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_killed_server_frees_all_slots() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let open = world.open_many(CLIENT, server.address(), 10);
    server.kill();
    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let server = world.serve(&[SERVER]);
    let _again = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_socket_destroyed_from_outside_frees_its_slot() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let _open = world.open_many(CLIENT, server.address(), 10);
    for socket in &sockdiag::connections(&world.netns, PORT)[..5] {
        match sockdiag::destroy(&world.netns, socket) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                eprintln!("skipped: this kernel has no CONFIG_INET_DIAG_DESTROY");
                return;
            }
            Err(e) => panic!("destroy a socket: {e}"),
        }
    }
    settle("connections", 5, || limiter.zone(ZONE).connections);
    let _more = world.open_many(CLIENT, server.address(), 5);
    world.must_be_refused(CLIENT, server.address());
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_reset_from_either_side_frees_the_slot() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    for _ in 0..3 {
        let mut open = world.open_many(CLIENT, server.address(), 10);
        for stream in open.split_off(5) {
            client::reset(stream).expect("reset");
        }
        for stream in open {
            client::reset_by_server(stream).expect("reset by the server");
        }
        settle("connections", 0, || limiter.zone(ZONE).connections);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.passed, zone.rejected, zone.keys), (30, 0, 0));
    limiter.must_be_exact(ZONE);
}

#[test]
fn a_forged_reset_that_the_kernel_ignores_frees_no_slot() {
    let world = World::new();
    let tun = tests::tun::Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1"]);
    let flow = tests::packet::Flow {
        client: "10.7.7.7:4000".parse().expect("literal"),
        server: server.address(),
        isn: 1,
    };
    tun.connect(flow, PATIENCE).expect("a connection");
    settle("connections", 1, || limiter.zone(ZONE).connections);
    // Inside the window, but not the next number: challenged, not obeyed (RFC 5961 §3.2).
    tun.send(&flow.rst_after(100));
    assert_eq!(world.open_at(PORT), 1);
    assert_eq!(limiter.zone(ZONE).connections, 1);
    let another = tests::packet::Flow {
        client: "10.7.7.7:4001".parse().expect("literal"),
        ..flow
    };
    tun.send(&another.syn());
    assert_eq!(limiter.zone(ZONE).rejected, 1);
    tun.send(&flow.rst());
    settle("connections", 0, || limiter.zone(ZONE).connections);
}
