//! Counts that were damaged are healed within two passes.

use limiter_common::entry::{Occupancy, ZoneEntry};
use tests::{Limiter, Server, World, settle, zone_map::ZoneMap};

use super::{audit, audit_zone};
use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

/// A limit of ten, and six connections.
struct Scene {
    limiter: Limiter,
    map: ZoneMap,
    server: Server,
    open: Vec<std::net::TcpStream>,
    world: World,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve(&[SERVER]);
        let limiter = Limiter::start(&world, &LIMIT_10);
        let open = world.open_many(CLIENT, server.address(), 6);
        settle("connections", 6, || limiter.zone(ZONE).connections);
        Self {
            map: ZoneMap::first_of(&limiter),
            limiter,
            server,
            open,
            world,
        }
    }

    /// What the limit goes by.
    fn count(&self) -> u32 {
        let entry = self.map.entry(&self.map.only_key());
        Occupancy::from_word(entry.occupancy).connections
    }

    /// Ten fit and no more, and nothing is left when they are closed.
    fn must_be_right(mut self, drift: u64) {
        assert_eq!(self.count(), 6);
        let more = self.world.open_many(CLIENT, self.server.address(), 4);
        self.world.must_be_refused(CLIENT, self.server.address());
        self.open.extend(more);
        self.open.clear();
        settle("connections", 0, || self.limiter.zone(ZONE).connections);
        settle("keys", 0, || self.limiter.zone(ZONE).keys);
        let zone = self.limiter.zone(ZONE);
        assert_eq!((zone.drift, zone.evicted), (drift, 0), "{zone:?}");
        let state = self.map.state();
        assert_eq!(
            (state.live, state.entries),
            (0, self.map.keys().len() as u64)
        );
    }
}

#[test]
fn a_count_that_is_too_high_is_corrected_in_the_second_pass() {
    let scene = Scene::new();
    scene.map.set_connections(&scene.map.only_key(), 9);
    let first = audit_zone(&scene.limiter);
    assert_eq!(
        (
            first.connections,
            first.recount,
            first.suspected,
            first.corrected
        ),
        (9, 6, 3, 0)
    );
    assert_eq!(scene.count(), 9);
    let second = audit_zone(&scene.limiter);
    assert_eq!((second.suspected, second.corrected), (0, 3));
    let third = audit_zone(&scene.limiter);
    assert_eq!(
        (
            third.connections,
            third.recount,
            third.suspected,
            third.corrected
        ),
        (6, 6, 0, 0)
    );
    assert_eq!(scene.limiter.zone(ZONE).drift, 3);
    scene.must_be_right(3);
}

#[test]
fn a_count_that_is_too_low_is_corrected_in_the_second_pass() {
    for (count, missing) in [(1, 5), (0, 6)] {
        let scene = Scene::new();
        scene.map.set_connections(&scene.map.only_key(), count);
        assert_eq!(audit_zone(&scene.limiter).suspected, missing);
        assert_eq!(audit_zone(&scene.limiter).corrected, missing);
        scene.must_be_right(missing);
    }
}

#[test]
fn the_daemon_heals_by_itself() {
    let scene = Scene::new();
    scene.map.set_connections(&scene.map.only_key(), 10);
    settle("connections of the key", 6, || scene.count());
    settle("drift", 4, || scene.limiter.zone(ZONE).drift);
    scene.must_be_right(4);
}

#[test]
fn a_key_that_is_gone_is_made_again_at_once() {
    let scene = Scene::new();
    scene.map.remove(&scene.map.only_key());
    let first = audit(&scene.limiter);
    assert_eq!(first.lost, 6);
    assert_eq!(scene.count(), 6);
    // Its place among the live ones was not given back when it went.
    assert_eq!(audit_zone(&scene.limiter).keys_corrected, 1);
    assert_eq!(scene.limiter.zone(ZONE).connections, 6);
    scene.must_be_right(6);
}

#[test]
fn a_key_that_nobody_has_is_emptied() {
    let scene = Scene::new();
    let mut nobody = scene.map.only_key();
    nobody[3] ^= 1 << 24;
    let occupancy = Occupancy {
        generation: 1 << 31 | 12345,
        connections: 7,
    };
    scene.map.put(
        &nobody,
        ZoneEntry {
            occupancy: occupancy.word(),
            ..ZoneEntry::default()
        },
    );
    assert_eq!(audit_zone(&scene.limiter).suspected, 7);
    assert_eq!(audit_zone(&scene.limiter).corrected, 7);
    let entry = scene.map.entry(&nobody);
    assert_eq!(Occupancy::from_word(entry.occupancy).connections, 0);
    assert_eq!(scene.map.state().entries, 2);
    scene.map.remove(&nobody);
    scene.map.set_state(|state| state.entries -= 1);
    scene.must_be_right(7);
}

#[test]
fn how_many_keys_there_are_is_corrected_too() {
    for by in [5, -1_i64] {
        let scene = Scene::new();
        scene.map.set_state(|state| {
            state.live = state.live.wrapping_add_signed(by);
            state.entries = state.entries.wrapping_add_signed(by);
        });
        audit(&scene.limiter);
        assert_eq!(audit_zone(&scene.limiter).keys_corrected, by.unsigned_abs());
        let state = scene.map.state();
        assert_eq!((state.live, state.entries), (1, 1));
        scene.must_be_right(0);
    }
}
