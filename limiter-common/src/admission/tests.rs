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
    index: Mutex<Index>,
    live: AtomicU64,
    entries: AtomicU64,
    generation: AtomicU64,
    capacity: u64,
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
            index: Mutex::new(Index {
                places: HashMap::new(),
                free: (0..elements).collect(),
            }),
            live: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            capacity,
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

#[test]
fn the_limit_is_the_limit() {
    let table = Table::new(8, 8);
    let slots: Vec<_> = (0..10).filter_map(|_| take_one(&table, 1, 10)).collect();
    assert_eq!(slots.len(), 10);
    assert_eq!(
        take(&table, &key(1), 10, Mode::Enforce),
        Slot::Full { connections: 10 }
    );
    assert!(matches!(
        peek(&table, &key(1), 10),
        Peek::Full {
            connections: 10,
            ..
        }
    ));
    assert!(release(&table, &key(1), slots[0]));
    assert_eq!(peek(&table, &key(1), 10), Peek::Room);
    assert!(take_one(&table, 1, 10).is_some());
}

#[test]
fn counting_goes_beyond_the_limit_and_back() {
    let table = Table::new(8, 8);
    let slots: Vec<_> = (0..20)
        .map(|_| match take(&table, &key(1), 10, Mode::Count) {
            Slot::Taken { generation, .. } => generation,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(table.connections(), 20);
    for generation in slots {
        assert!(release(&table, &key(1), generation));
    }
    assert_eq!((table.connections(), table.live_keys()), (0, 0));
}

#[test]
fn a_full_zone_refuses_new_keys_and_only_those() {
    let table = Table::new(3, 8);
    for n in 0..3 {
        assert!(take_one(&table, n, 10).is_some());
    }
    assert_eq!(take(&table, &key(3), 10, Mode::Enforce), Slot::Exhausted);
    assert_eq!(take(&table, &key(3), 10, Mode::Count), Slot::Exhausted);
    assert_eq!(peek(&table, &key(3), 10), Peek::Exhausted);
    assert!(take_one(&table, 2, 10).is_some());
    assert_eq!(table.live_keys(), 3);
}

#[test]
fn a_slot_goes_back_to_its_own_generation_only() {
    let table = Table::new(4, 0);
    let first = take_one(&table, 1, 10).expect("room");
    assert!(release(&table, &key(1), first));
    let second = take_one(&table, 1, 10).expect("room");
    assert_ne!(first, second);
    assert!(!release(&table, &key(1), first));
    assert!(!release(&table, &key(2), second));
    assert_eq!(table.connections(), 1);
}

#[test]
fn idle_keys_stay_only_as_long_as_there_is_room_for_them() {
    let table = Table::new(8, 2);
    for n in 0..6 {
        let generation = take_one(&table, n, 10).expect("room");
        assert!(release(&table, &key(n), generation));
    }
    assert_eq!(table.entries.load(SeqCst), 2);
    assert_eq!(table.index.lock().expect("not poisoned").places.len(), 2);
    // An idle key comes back to life without a new entry.
    assert!(take_one(&table, 0, 10).is_some());
    assert_eq!(table.entries.load(SeqCst), 2);
}

/// More threads than keys, elements reused at once, and each key removed as soon as it is idle: the
/// races that the module speaks of happen all the time.
#[test]
fn nothing_is_lost_and_nothing_is_over_the_limit_under_contention() {
    const NUMBER: u32 = 3;
    const KEYS: u32 = 5;
    const ROUNDS: u32 = 20_000;
    for idle in [0, 1, 64] {
        let table = Table::new(4, idle);
        let holders: Vec<_> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
        thread::scope(|scope| {
            for seed in 1..=6_u32 {
                let (table, holders) = (&table, &holders);
                scope.spawn(move || {
                    let mut random = seed.wrapping_mul(0x9e37_79b9);
                    let mut held: Vec<(u32, u32)> = Vec::new();
                    for _ in 0..ROUNDS {
                        random ^= random << 13;
                        random ^= random >> 17;
                        random ^= random << 5;
                        let n = random % KEYS;
                        if random & 0x100 == 0 {
                            if let Some(generation) = take_one(table, n, NUMBER) {
                                let now = holders[n as usize].fetch_add(1, SeqCst) + 1;
                                assert!(now <= NUMBER, "{now} hold key {n}");
                                held.push((n, generation));
                            }
                        } else if let Some((n, generation)) = held.pop() {
                            holders[n as usize].fetch_sub(1, SeqCst);
                            assert!(release(table, &key(n), generation), "key {n} was lost");
                        }
                    }
                    for (n, generation) in held {
                        holders[n as usize].fetch_sub(1, SeqCst);
                        assert!(release(table, &key(n), generation), "key {n} was lost");
                    }
                });
            }
        });
        assert_eq!(table.connections(), 0);
        assert_eq!(table.live_keys(), 0);
        let index = table.index.lock().expect("not poisoned");
        assert_eq!(table.entries.load(SeqCst), index.places.len() as u64);
        assert!(index.places.len() as u64 <= idle);
    }
}

#[test]
fn so_many_may_wait_as_have_a_slot() {
    let table = Table::new(4, 0);
    assert_eq!(begin_wait(&table, &key(1), 2), None, "no entry, no waiting");
    let slot = take_one(&table, 1, 2).expect("room");
    let entry = (&table).find(&key(1)).expect("there");
    let first = begin_wait(&table, &key(1), 2).expect("room");
    assert!(may_wait(&table, entry, 2));
    assert_eq!(begin_wait(&table, &key(1), 2), Some(first));
    assert!(!may_wait(&table, entry, 2));
    assert_eq!(begin_wait(&table, &key(1), 2), None);
    // Waiting takes no slot.
    assert_eq!(table.connections(), 1);
    end_wait(&table, &key(1), first);
    assert!(may_wait(&table, entry, 2));

    // In its next life the entry has nobody waiting, and those of the last one change nothing.
    assert!(release(&table, &key(1), slot));
    take_one(&table, 1, 2).expect("room");
    let second = begin_wait(&table, &key(1), 1).expect("room");
    assert_ne!(first, second);
    end_wait(&table, &key(1), first);
    assert_eq!(begin_wait(&table, &key(1), 1), None);
    end_wait(&table, &key(1), second);
    end_wait(&table, &key(1), second);
    assert_eq!(begin_wait(&table, &key(1), 1), Some(second));
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
        self.note(if evicted { "evicted" } else { "back" }, charge.zone);
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

fn from_client(n: u32) -> Connection {
    Connection {
        remote: Addr::from_v4_word(n),
        ..Connection::default()
    }
}

#[test]
fn all_limits_are_charged_or_none() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let server = ServerPolicy {
        index: 4,
        ..two_limits()
    };
    let admit_client = |n, mode| {
        let mut token = Token::default();
        let admission = admit(
            &zones,
            &OneMore,
            &seen,
            &server,
            &from_client(n),
            mode,
            &mut token,
        );
        (admission, token)
    };

    let mut tokens = Vec::new();
    for n in [1, 1, 2] {
        let (admission, token) = admit_client(n, Mode::Enforce);
        assert!(!admission.is_refused);
        assert_eq!(seen.drain(), [("within", 0), ("within", 1)]);
        tokens.push((n, token));
    }

    // The second limit says no: nothing is left over in the first.
    let (admission, token) = admit_client(2, Mode::Enforce);
    assert!(admission.is_refused);
    assert_eq!((admission.limit, admission.connections), (1, 3));
    assert_eq!(Admission::from_word(admission.to_word()), admission);
    assert_eq!(seen.drain(), [("full", 1)]);
    assert!(token.charges.iter().all(|charge| charge.generation == 0));
    assert_eq!(zones.0[0].connections(), 3);

    // In dry run both are charged, and both are said.
    let (admission, token) = admit_client(1, Mode::Count);
    assert!(admission.is_refused);
    assert_eq!((admission.limit, admission.connections), (0, 3));
    assert_eq!(seen.drain(), [("over", 0), ("over", 1)]);
    tokens.push((1, token));

    for (n, mut token) in tokens {
        discharge(&zones, &seen, 4, &from_client(n), &mut token);
        assert_eq!(seen.drain(), [("back", 0), ("back", 1)]);
        discharge(&zones, &seen, 4, &from_client(n), &mut token);
        assert_eq!(seen.drain(), []);
    }
    for table in &zones.0 {
        assert_eq!((table.connections(), table.live_keys()), (0, 0));
    }
}

#[test]
fn an_empty_key_is_not_accounted() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let mut server = two_limits();
    server.limits[0].fields = KeyFields::EMPTY;
    let mut token = Token::default();
    let client = from_client(1);
    let admission = admit(
        &zones,
        &OneMore,
        &seen,
        &server,
        &client,
        Mode::Enforce,
        &mut token,
    );
    assert!(!admission.is_refused);
    assert_eq!(seen.drain(), [("skipped", 0), ("within", 1)]);
}

#[test]
fn a_client_may_have_a_number_of_its_own() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let server = two_limits();
    let admit_client = |n| {
        let client = from_client(n);
        let mut token = Token::default();
        admit(
            &zones,
            &OneMore,
            &seen,
            &server,
            &client,
            Mode::Enforce,
            &mut token,
        )
    };
    for _ in 0..3 {
        assert!(!admit_client(9).is_refused);
    }
    let refused = admit_client(9);
    assert!(refused.is_refused);
    assert_eq!((refused.limit, refused.number), (0, 3));
    assert_eq!(Admission::from_word(refused.to_word()), refused);
}

/// Neighbours count together, and so do the networks of both lengths.
#[test]
fn prefixes_make_keys() {
    let mut limit = two_limits().limits[0];
    limit.v4_bits = 96 + 24;
    limit.v6_bits = 64;
    let key = |addr: &str| {
        let remote: IpAddr = addr.parse().expect("literal");
        let connection = Connection {
            remote: remote.into(),
            ..Connection::default()
        };
        ZoneKey::new(limit.shape(&connection), &connection, 0)
    };
    assert_eq!(key("192.0.2.1"), key("192.0.2.200"));
    assert_ne!(key("192.0.2.1"), key("192.0.3.1"));
    assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
    assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
}

#[test]
fn slots_survive_the_way_through_a_word() {
    let generation = 1 << 31 | 5;
    for slot in [
        Slot::Taken {
            generation,
            before: u32::MAX,
        },
        Slot::Full {
            connections: u32::MAX,
        },
        Slot::Full { connections: 0 },
        Slot::Exhausted,
        Slot::Contended,
    ] {
        assert_eq!(Slot::from_word(slot.to_word()), slot);
    }
}
