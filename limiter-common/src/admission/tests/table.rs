//! A zone in ordinary memory.

extern crate std;

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    vec::Vec,
};

use crate::{
    admission::{Word, Zone},
    entry::Occupancy,
    key::ZoneKey,
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

impl Word<u32> for &AtomicU32 {
    fn load(self) -> u32 {
        AtomicU32::load(self, SeqCst)
    }

    fn compare_exchange(self, current: u32, new: u32) -> u32 {
        AtomicU32::compare_exchange(self, current, new, SeqCst, SeqCst).unwrap_or_else(|was| was)
    }

    fn fetch_add(self, n: u32) -> u32 {
        AtomicU32::fetch_add(self, n, SeqCst)
    }
}

/// A zone whose elements are reused at once, as those of a preallocated BPF map are.
pub struct Table {
    pub(super) occupancies: Vec<AtomicU64>,
    pub(super) waiting: Vec<AtomicU32>,
    pub(super) recounts: Vec<AtomicU64>,
    pub(super) index: Mutex<Index>,
    pub(super) live_recount: AtomicU64,
    pub(super) slot_recount: AtomicU64,
    pub(super) freed: AtomicU64,
    pub(super) live: AtomicU64,
    pub(super) entries: AtomicU64,
    pub(super) generation: AtomicU64,
    pub(super) capacity: u64,
    pub(super) room: u64,
    pub(super) idle: u64,
    pub(super) evicts: bool,
}

pub(super) struct Index {
    pub(super) places: HashMap<ZoneKey, usize>,
    pub(super) free: Vec<usize>,
}

impl Table {
    pub fn new(capacity: u64, idle: u64) -> Self {
        let elements = (capacity + idle + 64) as usize;
        Self {
            occupancies: (0..elements).map(|_| AtomicU64::new(0)).collect(),
            waiting: (0..elements).map(|_| AtomicU32::new(0)).collect(),
            recounts: (0..elements).map(|_| AtomicU64::new(0)).collect(),
            index: Mutex::new(Index {
                places: HashMap::new(),
                free: (0..elements).collect(),
            }),
            live_recount: AtomicU64::new(0),
            slot_recount: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            live: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            capacity,
            room: capacity,
            idle,
            evicts: false,
        }
    }

    pub fn connections(&self) -> u64 {
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

    pub fn live_keys(&self) -> u64 {
        self.live.load(SeqCst)
    }
}

impl<'a> Zone for &'a Table {
    type Word = &'a AtomicU64;
    type HalfWord = &'a AtomicU32;
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

    fn waiting(self, entry: usize) -> &'a AtomicU32 {
        &self.waiting[entry]
    }

    fn recount(self, entry: usize) -> &'a AtomicU64 {
        &self.recounts[entry]
    }

    fn live_recount(self) -> &'a AtomicU64 {
        &self.live_recount
    }

    fn freed(self) -> &'a AtomicU64 {
        &self.freed
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
