//! The audit counts again while connections come and go: when all are done, both counts are the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use limiter_common::{
    admission::{self, Mode, Slot, Word as _, Zones, has_met, meet, part, start},
    key::{Connection, KeyFields, KeyShape},
    token::{Charge, KeyRef, Token},
};
use loom::sync::atomic::{AtomicU32, AtomicU64};

use super::{
    alike::{BOUND, at_once, connection, explore, key, task},
    table::{Settings, Table},
    words::{Shared, SharedHalf},
};

const PASS: u32 = 5;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Who closes does not say so to the walk.
    PartsInSilence,
    /// Who comes takes its slots before it says which pass has it.
    StartsLate,
}

/// Two keys, and the sockets of connections of them.
struct Scene {
    table: Table,
    sockets: [Socket; 2],
    mistake: Mistake,
    /// Whether the walk has collided. No access to it is a step of the interleaving.
    has_collided: AtomicBool,
}

/// A token, each field that the walk reads as a word of its own.
#[derive(Default)]
struct Socket {
    audited: AtomicU32,
    is_counted: AtomicU64,
    /// Generation plus the number of the key.
    charge: AtomicU64,
}

impl Scene {
    fn new(mistake: Mistake) -> Arc<Self> {
        Arc::new(Self {
            table: Table::new(2, 2 + 3, Settings::capacity(4)),
            sockets: Default::default(),
            mistake,
            has_collided: AtomicBool::new(false),
        })
    }

    /// A connection is established.
    fn open(&self, socket: usize, number: u32, pass: u32) {
        let Socket {
            audited,
            is_counted,
            charge,
        } = &self.sockets[socket];
        if pass != 0 && self.mistake != Mistake::StartsLate {
            start(SharedHalf(audited), pass);
        }
        Shared(is_counted).store(1);
        let slot = admission::take(&self.table, &key(number), 9, Mode::Enforce);
        let Slot::Taken { generation, .. } = slot else {
            // Another one's entry was being removed all the time: it is let in, and not tracked.
            assert_eq!(slot, Slot::Contended);
            return;
        };
        let held = Self::charge(generation);
        Shared(charge).store(word(held, number));
        if pass != 0 {
            if self.mistake == Mistake::StartsLate {
                start(SharedHalf(audited), pass);
            }
            assert!(self.count_again(&connection(number), held, pass));
        }
    }

    /// It is closed, while a pass goes on.
    fn close(&self, socket: usize) {
        let Socket {
            audited,
            is_counted,
            charge,
        } = &self.sockets[socket];
        let (held, number) = from_word(Shared(charge).load());
        let mut token = Token {
            connection: connection(number),
            ..Token::default()
        };
        token.charges[0] = held;
        if self.mistake != Mistake::PartsInSilence {
            part(self, SharedHalf(audited), &token, PASS);
        }
        Shared(charge).store(0);
        assert!(self.release(&token.connection, held.key, held.generation));
        Shared(is_counted).store(0);
    }

    /// The walk comes by.
    fn visit(&self, socket: usize) {
        let Socket {
            audited,
            is_counted,
            charge,
        } = &self.sockets[socket];
        let found = SharedHalf(audited).load();
        let is_counted = Shared(is_counted).load() != 0;
        let (held, number) = from_word(Shared(charge).load());
        let met = is_counted && meet(SharedHalf(audited), found, PASS);
        if met && held.generation != 0 {
            self.count_again(&connection(number), held, PASS);
        }
        if met && !has_met(SharedHalf(audited), PASS) {
            self.has_collided.store(true, Ordering::Relaxed);
        }
    }

    /// When all are done.
    #[track_caller]
    fn end(&self) {
        if !self.has_collided.load(Ordering::Relaxed) {
            self.table.recounted_end(PASS);
        }
    }

    fn charge(generation: u32) -> Charge {
        Charge {
            generation,
            key: KeyRef::new(0, KeyShape::whole(KeyFields::REMOTE_ADDR), 0),
        }
    }
}

fn word(held: Charge, number: u32) -> u64 {
    u64::from(held.generation) << 32 | u64::from(number)
}

fn from_word(word: u64) -> (Charge, u32) {
    (Scene::charge((word >> 32) as u32), word as u32)
}

impl Zones for Scene {
    fn take(&self, connection: &Connection, key: KeyRef, number: u32, mode: Mode) -> Slot {
        admission::take(&self.table, &key.key(connection), number, mode)
    }

    fn release(&self, connection: &Connection, key: KeyRef, generation: u32) -> bool {
        admission::release(&self.table, &key.key(connection), generation)
    }

    fn count_again(&self, connection: &Connection, charge: Charge, pass: u32) -> bool {
        let key = charge.key.key(connection);
        admission::count_again(&self.table, &key, charge.generation, pass)
    }

    fn leave_count(&self, connection: &Connection, charge: Charge, pass: u32) {
        let key = charge.key.key(connection);
        admission::leave_count(&self.table, &key, charge.generation, pass);
    }

    fn is_held(&self, connection: &Connection, charge: Charge) -> bool {
        let key = charge.key.key(connection);
        admission::is_held(&self.table, &key, charge.generation)
    }
}

fn one_closes_as_the_walk_comes_by(mistake: Mistake) {
    explore(None, move || {
        let scene = Scene::new(mistake);
        scene.open(0, 0, 0);
        at_once(&scene, [task(|it: &Scene| it.visit(0))], |it| it.close(0));
        scene.end();
    });
}

fn one_comes_as_the_walk_comes_by(mistake: Mistake) {
    explore(None, move || {
        let scene = Scene::new(mistake);
        let comes = task(|it: &Scene| it.open(0, 0, PASS));
        at_once(&scene, [comes], |it| it.visit(0));
        scene.end();
    });
}

#[test]
fn who_closes_is_counted_no_more_whoever_is_first() {
    one_closes_as_the_walk_comes_by(Mistake::None);
}

#[test]
fn who_comes_is_counted_once_whoever_is_first() {
    one_comes_as_the_walk_comes_by(Mistake::None);
}

#[test]
#[should_panic(expected = "slots")]
fn a_close_that_the_walk_does_not_know_of_is_found() {
    one_closes_as_the_walk_comes_by(Mistake::PartsInSilence);
}

#[test]
#[should_panic(expected = "key 0")]
fn a_connection_that_says_too_late_who_counts_it_is_found() {
    one_comes_as_the_walk_comes_by(Mistake::StartsLate);
}

/// Of one key: its entry may go and come again.
#[test]
fn one_closes_and_one_comes_as_the_walk_comes_by() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Mistake::None);
        scene.open(0, 0, 0);
        let closes = task(|it: &Scene| it.close(0));
        let comes = task(|it: &Scene| it.open(1, 0, PASS));
        at_once(&scene, [closes, comes], |it| {
            it.visit(0);
            it.visit(1);
        });
        scene.end();
    });
}

/// Of two keys: one element may be used for the other.
#[test]
fn one_closes_and_its_element_is_used_for_another_key() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Mistake::None);
        scene.open(0, 0, 0);
        let closes = task(|it: &Scene| it.close(0));
        let comes = task(|it: &Scene| it.open(1, 1, PASS));
        at_once(&scene, [closes, comes], |it| it.visit(0));
        scene.end();
    });
}

/// The socket is used again at once.
#[test]
fn one_closes_and_its_socket_opens_another_connection() {
    explore(Some(BOUND), || {
        let scene = Scene::new(Mistake::None);
        scene.open(0, 0, 0);
        at_once(&scene, [task(|it: &Scene| it.visit(0))], |it| {
            it.close(0);
            it.open(0, 0, PASS);
        });
        scene.end();
    });
}
