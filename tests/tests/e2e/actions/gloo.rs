//! The example of Gloo's guide to connection limits: one connection, two seconds of delay. "The
//! text that you send is not echoed, and the connection is closed after two seconds."

use std::{
    io::{Read, Write},
    net::SocketAddr,
    time::Duration,
};

use tests::{Limiter, World, settle};

use super::{flags, settle_waiting};
use crate::{CLIENT, PORT, ZONE};

#[test]
fn a_second_client_over_ipv4_is_not_echoed_and_closed_after_two_seconds() {
    second_client_is_closed("127.0.0.1:8080", CLIENT);
}

#[test]
fn a_second_client_over_ipv6_is_not_echoed_and_closed_after_two_seconds() {
    second_client_is_closed("[::1]:8080", "::1");
}

#[test]
fn a_second_client_over_ipv4_of_a_dual_stack_server_is_closed_as_well() {
    second_client_is_closed("[::]:8080", CLIENT);
}

const DELAY: Duration = Duration::from_secs(2);
const TOLERANCE: Duration = Duration::from_millis(300);

fn second_client_is_closed(listen: &str, client: &str) {
    // Its figure is part of what is promised, so it wants some CPU.
    let _heavy = crate::heavy();
    let world = World::new();
    let mut server = world.serve(&[listen]);
    let limiter = Limiter::start(&world, &flags("1", "close delay=2s"));
    let to = match client.contains(':') {
        true => format!("[::1]:{PORT}"),
        false => format!("127.0.0.1:{PORT}"),
    };
    let to = to.parse().expect("literal");

    let mut first = world.open(client, to);
    let mut echo = [0; 5];
    first.write_all(b"hello").expect("write");
    first.read_exact(&mut echo).expect("the echo");
    assert_eq!(&echo, b"hello");

    let mut refused = 0;
    for text in [&b"hello"[..], b""] {
        // On a machine that is busy anything can be late. It is never early.
        let late: Vec<_> = std::iter::from_fn(|| {
            refused += 1;
            let after = second(&world, client, to, text);
            assert!(after + TOLERANCE > DELAY, "{after:?}");
            (after > DELAY + TOLERANCE).then_some(after)
        })
        .take(4)
        .collect();
        assert!(late.len() < 4, "{late:?}");
    }
    assert_eq!(server.stat().accepted, 1);
    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.connections, zone.passed, zone.rejected, zone.excess),
        (1, 1, refused, 0)
    );

    // The first one has not noticed.
    first.write_all(b"again").expect("write");
    first.read_exact(&mut echo).expect("the echo");
    assert_eq!(&echo, b"again");
    drop(first);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    let _third = world.open(client, to);
    limiter.must_be_exact(ZONE);
}

/// A second client that sends `text`. When it is closed, after it has begun to connect.
fn second(world: &World, from: &str, to: SocketAddr, text: &[u8]) -> Duration {
    let mut second = world.must_wait(from, to);
    second.say(text).expect("write");
    let after = second.must_be_closed();
    // Before another one comes: one may wait at a time.
    settle_waiting(world, 0);
    after
}
