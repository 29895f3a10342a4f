//! Refused connections that wait to be closed: so many a key as its limit, besides those that it
//! has a slot for.
//!
//! They are counted in the entry of their key, which exists because the key is at its limit. If the
//! entry is removed or reused meanwhile, the count begins anew with its next life: then, and only
//! then, more of them may wait for a moment. What they hold can never be taken for a slot.

use super::{Word, Zone, slot::TRIES};
use crate::{
    entry::{Occupancy, Waiting},
    key::ZoneKey,
};

/// Counts one more waiting connection of `key`, at most `number`. The generation to give to
/// [`end_wait`], or `None` if it may not wait.
#[inline(always)]
pub fn begin_wait(zone: impl Zone, key: &ZoneKey, number: u32) -> Option<u32> {
    let entry = zone.find(key)?;
    let generation = Occupancy::from_word(zone.occupancy(entry).load()).generation;
    if generation == 0 {
        return None;
    }
    let waiting = zone.waiting(entry);
    for _ in 0..TRIES {
        let word = waiting.load();
        let count = Waiting::count_of(word, generation);
        if count >= number || count >= u16::MAX.into() {
            return None;
        }
        let more = Waiting::of(generation, count as u16 + 1);
        if waiting.compare_exchange(word, more.word()) == word {
            return Some(generation);
        }
    }
    None
}

/// Counts one waiting connection less, if its life of the entry is still the same.
#[inline(always)]
pub fn end_wait(zone: impl Zone, key: &ZoneKey, generation: u32) {
    let Some(entry) = zone.find(key) else { return };
    // The word knows only half of it.
    if Occupancy::from_word(zone.occupancy(entry).load()).generation != generation {
        return;
    }
    let waiting = zone.waiting(entry);
    for _ in 0..TRIES {
        let word = waiting.load();
        if Waiting::count_of(word, generation) == 0
            || waiting.compare_exchange(word, word.wrapping_sub(1)) == word
        {
            return;
        }
    }
    // Others won every time. Should the entry be reused at this very moment, the word gets a
    // life that is not the entry's (but for one in 65 536), which means none.
    waiting.fetch_add(u32::MAX);
}

/// Whether one more connection of this entry's key may wait.
#[inline(always)]
pub fn may_wait<Z: Zone>(zone: Z, entry: Z::Entry, number: u32) -> bool {
    let generation = Occupancy::from_word(zone.occupancy(entry).load()).generation;
    generation != 0 && Waiting::count_of(zone.waiting(entry).load(), generation) < number
}
