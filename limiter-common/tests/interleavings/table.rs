//! A zone's map, as far as the counting can tell it from the kernel's (kernel/bpf/hashtab.c,
//! kernel/bpf/bpf_lru_list.c).
//!
//! - A look-up takes no lock: it reads where the key's element is, in one step.
//! - Adding takes a free element and writes key and value into it *before* it looks whether the key
//!   has one already; whoever still has a pointer to that element sees the new value. If there is
//!   none free, the kernel throws another key's element out.
//! - Removing unlinks the element and then frees it. A free element may be taken at once.

use std::collections::BTreeMap;

use limiter_common::{
    admission::Zone,
    entry::{Occupancy, Recount},
    key::ZoneKey,
};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::words::{Shared, SharedHalf};

/// The map and the state of one zone.
pub struct Table {
    /// The key's element plus one; 0: it has none.
    buckets: Vec<AtomicU64>,
    occupancies: Vec<AtomicU64>,
    waiting: Vec<AtomicU32>,
    recounts: Vec<AtomicU64>,
    live_recount: AtomicU64,
    slot_recount: AtomicU64,
    freed: AtomicU64,
    /// A bit for each element that is free.
    free: AtomicU64,
    live: AtomicU64,
    entries: AtomicU64,
    generation: AtomicU64,
    settings: Settings,
}

/// What the daemon writes of a zone.
#[derive(Clone, Copy)]
pub struct Settings {
    pub capacity: u64,
    pub room: u64,
    pub idle: u64,
    pub evicts: bool,
}

impl Settings {
    /// So many live keys, and no idle one stays.
    pub const fn capacity(capacity: u64) -> Self {
        Self {
            capacity,
            room: capacity,
            idle: 0,
            evicts: false,
        }
    }

    /// The kernel makes room.
    pub const EVICTS: Self = Self {
        capacity: 1,
        room: 1,
        idle: 0,
        evicts: true,
    };
}

/// What is in the map at the end, when nobody changes it any more.
#[derive(Debug)]
struct End {
    /// The occupancy of each key that has an entry.
    keys: BTreeMap<u32, Occupancy>,
    live: u64,
    entries: u64,
}

impl Table {
    /// For keys 0, 1, … and with so many elements.
    pub fn new(keys: usize, elements: usize, settings: Settings) -> Self {
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            buckets: words(keys),
            occupancies: words(elements),
            waiting: (0..elements).map(|_| AtomicU32::new(0)).collect(),
            recounts: words(elements),
            live_recount: AtomicU64::new(0),
            slot_recount: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            free: AtomicU64::new((1 << elements) - 1),
            live: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            settings,
        }
    }

    /// The kernel throws the key out, of its own accord.
    pub fn evict(&self, key: u32) {
        self.unlink(key as usize);
    }

    /// Checks what must be true of any map, and tells the rest.
    fn end(&self) -> End {
        let read = |word: &AtomicU64| word.fetch_add(0, SeqCst);
        let mut free = read(&self.free);
        let mut keys = BTreeMap::new();
        for (key, bucket) in self.buckets.iter().enumerate() {
            let Some(element) = read(bucket).checked_sub(1) else {
                continue;
            };
            assert_eq!(free & 1 << element, 0, "an element is in use or free");
            free |= 1 << element;
            let occupancy = Occupancy::from_word(read(&self.occupancies[element as usize]));
            assert_ne!(occupancy.generation, 0, "what is removed is not in the map");
            keys.insert(key as u32, occupancy);
        }
        assert_eq!(
            free,
            (1 << self.occupancies.len()) - 1,
            "no element is lost"
        );
        End {
            keys,
            live: read(&self.live),
            entries: read(&self.entries),
        }
    }

    /// As [`Self::end`], and the zone's own counts are those of its entries.
    #[track_caller]
    pub fn exact_end(&self) -> BTreeMap<u32, Occupancy> {
        let end = self.end();
        let live = end.keys.values().filter(|it| it.connections > 0).count();
        let (live, entries) = if self.settings.evicts {
            (0, 0)
        } else {
            (live as u64, end.keys.len() as u64)
        };
        assert_eq!((end.live, end.entries), (live, entries), "{end:?}");
        end.keys
    }

    /// As [`Self::exact_end`], and what was counted again in this pass is the same.
    #[track_caller]
    pub fn recounted_end(&self, pass: u32) {
        let mut slots = 0;
        for (key, occupancy) in self.exact_end() {
            let element = self.buckets[key as usize].fetch_add(0, SeqCst) - 1;
            let again = self.recounts[element as usize].fetch_add(0, SeqCst);
            let again = Recount::count_of(again, pass);
            assert_eq!(
                i64::from(again),
                i64::from(occupancy.connections),
                "key {key}"
            );
            slots += again;
        }
        let of_pass = |word: &AtomicU64| Recount::count_of(word.fetch_add(0, SeqCst), pass);
        assert_eq!(of_pass(&self.slot_recount), slots, "slots");
        let live = self.live.fetch_add(0, SeqCst);
        assert_eq!(i64::from(of_pass(&self.live_recount)), live as i64, "live");
    }

    /// The lowest that is free: what was freed last is likely to be used next.
    fn take_free(&self, but: usize) -> Option<usize> {
        loop {
            let free = self.free.fetch_add(0, SeqCst);
            if free == 0 {
                // Of an evicting zone only: the others have room for everybody.
                assert!(self.settings.evicts, "the map is larger than the zone");
                let victim = (0..self.buckets.len())
                    .find(|key| *key != but && self.buckets[*key].fetch_add(0, SeqCst) != 0)?;
                self.unlink(victim);
                continue;
            }
            let element = free.trailing_zeros();
            let rest = free & !(1 << element);
            if self
                .free
                .compare_exchange(free, rest, SeqCst, SeqCst)
                .is_ok()
            {
                return Some(element as usize);
            }
        }
    }

    fn give_free(&self, element: usize) {
        self.free.fetch_or(1 << element, SeqCst);
    }

    fn unlink(&self, key: usize) {
        if let Some(element) = self.buckets[key].swap(0, SeqCst).checked_sub(1) {
            self.give_free(element as usize);
        }
    }
}

/// The keys that the tests use, by their number.
fn number(key: &ZoneKey) -> usize {
    key.remote().words()[3] as usize
}

impl<'a> Zone for &'a Table {
    type Word = Shared<'a>;
    type HalfWord = SharedHalf<'a>;
    type Entry = usize;

    fn find(self, key: &ZoneKey) -> Option<usize> {
        let element = self.buckets[number(key)].fetch_add(0, SeqCst);
        element.checked_sub(1).map(|element| element as usize)
    }

    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool {
        let key = number(key);
        let Some(element) = self.take_free(key) else {
            return false;
        };
        Shared(&self.occupancies[element]).store(occupancy.word());
        self.waiting[element].swap(0, SeqCst);
        Shared(&self.recounts[element]).store(0);
        let linked = self.buckets[key].compare_exchange(0, element as u64 + 1, SeqCst, SeqCst);
        if linked.is_err() {
            self.give_free(element);
        }
        linked.is_ok()
    }

    fn remove(self, key: &ZoneKey) {
        self.unlink(number(key));
    }

    fn occupancy(self, entry: usize) -> Shared<'a> {
        Shared(&self.occupancies[entry])
    }

    fn waiting(self, entry: usize) -> SharedHalf<'a> {
        SharedHalf(&self.waiting[entry])
    }

    fn recount(self, entry: usize) -> Shared<'a> {
        Shared(&self.recounts[entry])
    }

    fn live_recount(self) -> Shared<'a> {
        Shared(&self.live_recount)
    }

    fn freed(self) -> Shared<'a> {
        Shared(&self.freed)
    }

    fn slot_recount(self) -> Shared<'a> {
        Shared(&self.slot_recount)
    }

    fn live(self) -> Shared<'a> {
        Shared(&self.live)
    }

    fn entries(self) -> Shared<'a> {
        Shared(&self.entries)
    }

    fn generation(self) -> Shared<'a> {
        Shared(&self.generation)
    }

    fn capacity(self) -> u64 {
        self.settings.capacity
    }

    fn room(self) -> u64 {
        self.settings.room
    }

    fn idle(self) -> u64 {
        self.settings.idle
    }

    fn evicts(self) -> bool {
        self.settings.evicts
    }
}
