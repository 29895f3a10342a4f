//! The zones: an array of LRU hash maps, and what the keys of each zone share.

mod steps;

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    btf_maps::{Array, ArrayOfMaps, LruHashMap},
    helpers::{bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_update_elem},
    macros::btf_map,
};
use limiter_common::{
    admission::{self, Word as _},
    entry::{Occupancy, ZoneEntry, ZoneState},
    key::{ZoneKey, ZoneKeyWords},
    policy::MAX_ZONE_INDICES,
};

pub use self::steps::Zones;
use crate::atomic::AtomicWord;

/// The programs give it a whole [`ZoneKey`], of which it takes the words.
type ZoneMap = LruHashMap<ZoneKeyWords, ZoneEntry, 1>;

/// One more than there are zones: the daemon waits by writing it (maybe_wait_bpf_programs).
const ZONE_PLACES: u32 = MAX_ZONE_INDICES + 1;

#[btf_map]
static ZONES: ArrayOfMaps<ZoneMap, { ZONE_PLACES as usize }> = ArrayOfMaps::new();

#[btf_map]
static ZONE_STATES: Array<ZoneState, { MAX_ZONE_INDICES as usize }> = Array::new();

/// Index plus one of the zone whose keys this one takes over; 0: none.
#[btf_map]
static PREDECESSORS: Array<u32, { MAX_ZONE_INDICES as usize }> = Array::new();

/// Never used by a program: the daemon makes the maps of zones after it, in their own sizes.
#[btf_map]
static ZONE_TEMPLATE: ZoneMap = LruHashMap::new();

/// The zone at `index`.
#[inline(always)]
pub fn zone_at(index: u32) -> Option<Zone> {
    let state = ZONE_STATES.get_ptr_mut(index)?;
    let map = core::ptr::from_ref(ZONES.get(index)?);
    Some(Zone {
        map: map.cast_mut().cast(),
        state,
        index,
    })
}

/// [`ZoneState::freed`] of the zone at `index`.
#[inline(always)]
pub fn freed(index: u32) -> Option<u64> {
    let state = ZONE_STATES.get_ptr_mut(index)?;
    // SAFETY: an aligned word of a map value.
    Some(unsafe { AtomicWord::new(&raw mut (*state).freed) }.load())
}

/// One zone.
#[derive(Clone, Copy)]
pub struct Zone {
    map: *mut c_void,
    state: *mut ZoneState,
    index: u32,
}

/// An entry of a zone's map. Its memory may be reused for another key at any time, see
/// [`limiter_common::admission`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(*mut ZoneEntry);

impl Entry {
    /// [`ZoneEntry::refusals`]
    #[inline(always)]
    pub fn refusals(self) -> AtomicWord {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*self.0).refusals) }
    }

    /// [`ZoneEntry::reported`]
    #[inline(always)]
    pub fn reported(self) -> AtomicWord<u32> {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*self.0).reported) }
    }
}

impl Zone {
    /// What the zone that this one takes the place of knows of the key.
    #[inline(always)]
    fn past(self, key: &ZoneKey) -> Option<Entry> {
        let predecessor = PREDECESSORS.get(self.index)?.checked_sub(1)?;
        admission::Zone::find(zone_at(predecessor)?, key)
    }
}

impl admission::Zone for Zone {
    type Word = AtomicWord;
    type HalfWord = AtomicWord<u32>;
    type Entry = Entry;

    #[inline(always)]
    fn find(self, key: &ZoneKey) -> Option<Entry> {
        // SAFETY: `map` is a zone's map, whose keys are of this type.
        let value = unsafe { bpf_map_lookup_elem(self.map, core::ptr::from_ref(key).cast()) };
        (!value.is_null()).then(|| Entry(value.cast()))
    }

    #[inline(always)]
    fn insert(self, key: &ZoneKey, occupancy: Occupancy) -> bool {
        let mut entry = ZoneEntry {
            occupancy: occupancy.word(),
            ..ZoneEntry::default()
        };
        if let Some(past) = self.past(key) {
            entry.refusals = past.refusals().load();
            entry.reported = past.reported().load();
        }
        let key = core::ptr::from_ref(key).cast();
        let entry = core::ptr::from_ref(&entry).cast();
        // SAFETY: as above, and likewise its values.
        unsafe { bpf_map_update_elem(self.map, key, entry, BPF_NOEXIST.into()) == 0 }
    }

    #[inline(always)]
    fn remove(self, key: &ZoneKey) {
        // SAFETY: as above.
        unsafe { bpf_map_delete_elem(self.map, core::ptr::from_ref(key).cast()) };
    }

    #[inline(always)]
    fn occupancy(self, entry: Entry) -> AtomicWord {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*entry.0).occupancy) }
    }

    #[inline(always)]
    fn waiting(self, entry: Entry) -> AtomicWord<u32> {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*entry.0).waiting) }
    }

    #[inline(always)]
    fn recount(self, entry: Entry) -> AtomicWord {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*entry.0).recount) }
    }

    #[inline(always)]
    fn live_recount(self) -> AtomicWord {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*self.state).live_recount) }
    }

    #[inline(always)]
    fn slot_recount(self) -> AtomicWord {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*self.state).slot_recount) }
    }

    #[inline(always)]
    fn freed(self) -> AtomicWord {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*self.state).freed) }
    }

    #[inline(always)]
    fn live(self) -> AtomicWord {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*self.state).live) }
    }

    #[inline(always)]
    fn entries(self) -> AtomicWord {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*self.state).entries) }
    }

    #[inline(always)]
    fn generation(self) -> AtomicWord {
        // SAFETY: as above.
        unsafe { AtomicWord::new(&raw mut (*self.state).generation) }
    }

    #[inline(always)]
    fn capacity(self) -> u64 {
        // SAFETY: written by the daemon before the zone is used, read only here.
        unsafe { (*self.state).capacity }
    }

    #[inline(always)]
    fn room(self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.state).room }
    }

    #[inline(always)]
    fn idle(self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.state).idle }
    }

    #[inline(always)]
    fn evicts(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.state).evicts != 0 }
    }
}
