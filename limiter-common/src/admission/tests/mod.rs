extern crate std;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    thread,
    vec::Vec,
};

use super::*;
use crate::{
    addr::Addr,
    key::{Connection, KeyFields, KeyShape},
    policy::{Limit, ServerPolicy},
    token::{Charge, Token},
};

mod connections;
mod recount;
mod settle;
mod slots;

impl Word for &AtomicU64 {
    fn load(self) -> u64 {
        AtomicU64::load(self, SeqCst)
    }

    fn compare_exchange(self, current: u64, new: u64) -> u64 {
        AtomicU64::compare_exchange(self, current, new, SeqCst, SeqCst).unwrap_or_else(|was| was)
    }

    fn fetch_add(self, n: u64) -> u64 {
        AtomicU64::fetch_add(self, n, SeqCst)
    }
}

/// A zone whose elements are reused at once, as those of a preallocated BPF map are.
struct Table {
    occupancies: Vec<AtomicU64>,
    waiting: Vec<AtomicU64>,
    recounts: Vec<AtomicU64>,
    index: Mutex<Index>,
    live_recount: AtomicU64,
    slot_recount: AtomicU64,
    live: AtomicU64,
    entries: AtomicU64,
    generation: AtomicU64,
    capacity: u64,
    room: u64,
    idle: u64,
    evicts: bool,
}

struct Index {
    places: HashMap<ZoneKey, usize>,
    free: Vec<usize>,
}

impl Table {
    fn new(capacity: u64, idle: u64) -> Self {
        let elements = (capacity + idle + 64) as usize;
        Self {
            occupancies: (0..elements).map(|_| AtomicU64::new(0)).collect(),
            waiting: (0..elements).map(|_| AtomicU64::new(0)).collect(),
            recounts: (0..elements).map(|_| AtomicU64::new(0)).collect(),
            index: Mutex::new(Index {
                places: HashMap::new(),
                free: (0..elements).collect(),
            }),
            live_recount: AtomicU64::new(0),
            slot_recount: AtomicU64::new(0),
            live: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            capacity,
            room: capacity,
            idle,
            evicts: false,
        }
    }

    fn connections(&self) -> u64 {
        let index = self.index.lock().expect("not poisoned");
        index
            .places
            .values()
            .map(|&place| {
                let word = self.occupancies[place].load(SeqCst);
                u64::from(Occupancy::from_word(word).connections)
            })
            .sum()
    }

    fn live_keys(&self) -> u64 {
        self.live.load(SeqCst)
    }
}

impl<'a> Zone for &'a Table {
    type Word = &'a AtomicU64;
    type Entry = usize;

    fn find(self, key: &ZoneKey) -> Option<usize> {
        self.index
            .lock()
            .expect("not poisoned")
            .places
            .get(key)
            .copied()
    }

    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool {
        let mut index = self.index.lock().expect("not poisoned");
        if index.places.contains_key(key) {
            return false;
        }
        let Some(place) = index.free.pop() else {
            return false;
        };
        self.occupancies[place].store(occupancy.word(), SeqCst);
        self.waiting[place].store(0, SeqCst);
        self.recounts[place].store(0, SeqCst);
        index.places.insert(*key, place);
        true
    }

    fn remove(self, key: &ZoneKey) {
        let mut index = self.index.lock().expect("not poisoned");
        if let Some(place) = index.places.remove(key) {
            index.free.push(place);
        }
    }

    fn occupancy(self, entry: usize) -> &'a AtomicU64 {
        &self.occupancies[entry]
    }

    fn waiting(self, entry: usize) -> &'a AtomicU64 {
        &self.waiting[entry]
    }

    fn recount(self, entry: usize) -> &'a AtomicU64 {
        &self.recounts[entry]
    }

    fn live_recount(self) -> &'a AtomicU64 {
        &self.live_recount
    }

    fn slot_recount(self) -> &'a AtomicU64 {
        &self.slot_recount
    }

    fn live(self) -> &'a AtomicU64 {
        &self.live
    }

    fn entries(self) -> &'a AtomicU64 {
        &self.entries
    }

    fn generation(self) -> &'a AtomicU64 {
        &self.generation
    }

    fn capacity(self) -> u64 {
        self.capacity
    }

    fn room(self) -> u64 {
        self.room
    }

    fn idle(self) -> u64 {
        self.idle
    }

    fn evicts(self) -> bool {
        self.evicts
    }
}

fn key(n: u32) -> ZoneKey {
    let connection = Connection {
        remote: Addr::from_v4_word(n),
        ..Connection::default()
    };
    ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
}

fn take_one(table: &Table, n: u32, number: u32) -> Option<u32> {
    match take(table, &key(n), number, Mode::Enforce) {
        Slot::Taken { generation, .. } => Some(generation),
        Slot::Full { .. } | Slot::Exhausted | Slot::Contended => None,
    }
}

/// Zones of the kind that a server's limits name.
struct Tables([Table; 2]);

impl Zones for Tables {
    fn take(&self, index: u16, key: &ZoneKey, number: u32, mode: Mode) -> Slot {
        take(&self.0[usize::from(index)], key, number, mode)
    }

    fn release(&self, index: u16, key: &ZoneKey, generation: u32) -> bool {
        release(&self.0[usize::from(index)], key, generation)
    }

    fn count_again(&self, charge: Charge, connection: &Connection, pass: u32) -> bool {
        let table = &self.0[usize::from(charge.key.zone())];
        count_again(table, &charge.key.key(connection), charge.generation, pass)
    }

    fn leave_count(&self, charge: Charge, connection: &Connection, pass: u32) {
        let table = &self.0[usize::from(charge.key.zone())];
        leave_count(table, &charge.key.key(connection), charge.generation, pass);
    }

    fn is_held(&self, charge: Charge, connection: &Connection) -> bool {
        let table = &self.0[usize::from(charge.key.zone())];
        is_held(table, &charge.key.key(connection), charge.generation)
    }
}

#[derive(Default)]
struct Observed(Mutex<Vec<(&'static str, u16)>>);

impl Observed {
    fn note(&self, what: &'static str, zone: u16) {
        self.0.lock().expect("not poisoned").push((what, zone));
    }

    fn drain(&self) -> Vec<(&'static str, u16)> {
        core::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

impl Observer for Observed {
    fn taken(&self, limit: &Limit, within: bool) {
        self.note(if within { "within" } else { "over" }, limit.zone);
    }

    fn refused(&self, limit: &Limit, why: Refusal) {
        let what = match why {
            Refusal::Full => "full",
            Refusal::Exhausted => "exhausted",
        };
        self.note(what, limit.zone);
    }

    fn contended(&self, limit: &Limit) {
        self.note("contended", limit.zone);
    }

    fn skipped(&self, limit: &Limit) {
        self.note("skipped", limit.zone);
    }

    fn given_back(&self, charge: &Charge, evicted: bool) {
        let what = if evicted { "evicted" } else { "back" };
        self.note(what, charge.key.zone());
    }

    fn lost(&self, charge: &Charge) {
        self.note("lost", charge.key.zone());
    }
}

/// Client 9 may have one connection more.
struct OneMore;

impl Numbers for OneMore {
    fn number(&self, server: &ServerPolicy, position: usize, client: &Addr) -> u16 {
        server.limits[position].number + u16::from(*client == Addr::from_v4_word(9))
    }
}

/// Per client 2 in zone 0, per server 3 in zone 1.
fn two_limits() -> ServerPolicy {
    let mut policy = ServerPolicy {
        limit_count: 2,
        ..ServerPolicy::default()
    };
    policy.limits[0] = Limit {
        number: 2,
        zone: 0,
        fields: KeyFields::REMOTE_ADDR,
        v4_bits: 128,
        v6_bits: 128,
        has_overrides: 0,
    };
    policy.limits[1] = Limit {
        number: 3,
        zone: 1,
        fields: KeyFields::SERVER_NAME,
        ..Limit::default()
    };
    policy
}

/// Of a connection of this client that holds no slot yet.
fn token_of(n: u32) -> Token {
    Token {
        connection: Connection {
            remote: Addr::from_v4_word(n),
            ..Connection::default()
        },
        ..Token::default()
    }
}
