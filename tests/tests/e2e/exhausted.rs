//! A zone without room for another key.

use std::net::IpAddr;

use limiter::api::{EventState, Reason};
use tests::{Limiter, World, client, settle, settle::PATIENCE};

use crate::{PORT, SERVER, ZONE};

/// Sixty-four kibibytes: 1 024 keys of 64 bytes.
const FLAGS: [&str; 6] = ["--listen", "8080", "--limit", "2", "--zone-size", "64k"];

fn client_address(number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number).expect("few clients").to_be_bytes();
    [127, 7, high, low].into()
}

#[test]
fn of_1025_clients_the_last_is_refused_as_exhausted_and_the_others_go_on() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &FLAGS);
    assert_eq!(limiter.zone(ZONE).capacity, 1_024);
    let events = limiter.events();
    let mut open: Vec<_> = (1..=1_024)
        .map(|n| client::open(&world.netns, client_address(n), server.address()))
        .collect();
    let last = client_address(1_025);
    client::must_be_refused(&world.netns, last, server.address());

    let zone = limiter.zone(ZONE);
    assert_eq!(
        (zone.keys, zone.connections, zone.exhausted, zone.rejected),
        (1_024, 1_024, 1, 0)
    );
    let event = events.next(PATIENCE).expect("an event");
    assert_eq!(
        (event.status, event.reason, event.remote_addr),
        (EventState::Rejected, Reason::Exhausted, last)
    );

    // Those who have a key may use it up to their limit.
    for number in [1, 512, 1_024] {
        open.push(client::open(
            &world.netns,
            client_address(number),
            server.address(),
        ));
    }
    client::must_be_refused(&world.netns, client_address(512), server.address());
    assert_eq!(limiter.zone(ZONE).rejected, 1);
    assert_eq!(world.open_at(PORT), 1_027);

    // One leaves, and there is room for one.
    client::close(open.remove(1)).expect("close");
    settle("keys", 1_023, || limiter.zone(ZONE).keys);
    open.push(client::open(&world.netns, last, server.address()));
    client::must_be_refused(&world.netns, client_address(2), server.address());
    assert_eq!(limiter.zone(ZONE).keys, 1_024);

    drop(open);
    settle("connections", 0, || limiter.zone(ZONE).connections);
    assert_eq!(limiter.zone(ZONE).keys, 0);
    limiter.must_be_exact(ZONE);
}

#[test]
fn keys_that_fell_to_zero_make_room_for_others_over_and_over() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &FLAGS);
    for round in 0..8 {
        let open: Vec<_> = (1..=1_000)
            .map(|n| {
                let from = client_address(round * 1_000 + n);
                client::open(&world.netns, from, server.address())
            })
            .collect();
        assert_eq!(limiter.zone(ZONE).keys, 1_000, "round {round}");
        drop(open);
        settle("keys", 0, || limiter.zone(ZONE).keys);
    }
    let zone = limiter.zone(ZONE);
    assert_eq!((zone.passed, zone.exhausted), (8_000, 0));
    limiter.must_be_exact(ZONE);
}
