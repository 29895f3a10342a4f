//! Refusals of keys that their entries do not know of yet, see [`limiter_common::tally`].

use std::collections::HashMap;

use aya::maps::{MapData, PerCpuArray};
use limiter_common::{
    entry::{Occupancy, Refusals, ZoneEntry},
    key::ZoneKey,
    names::MAP_TALLIES,
    tally::{SLOTS, State, Tally},
};

use super::KeyReader;
use crate::kernel::{
    error::{Context, KernelError},
    raw::Raw,
};

/// How often it is read again because a program has just brought refusals to the entry. It does so
/// once a tick or second, and reading takes a hundredth of one.
const TRIES: usize = 16;

/// Reads them for one zone, also while the daemon does something else.
pub struct UntoldReader {
    pub(super) tallies: PerCpuArray<MapData, Raw<Tally>>,
    pub(super) zone: u16,
}

/// The keys that have some, and in which place.
pub struct Untold<'a> {
    reader: &'a UntoldReader,
    slots: HashMap<ZoneKey, u32>,
}

impl UntoldReader {
    /// Looks which keys have some.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read(&self) -> Result<Untold<'_>, KernelError> {
        let mut slots = HashMap::new();
        for slot in 0..SLOTS {
            for tally in self.all_cpus(slot)? {
                let owner = tally.owner;
                if tally.untold_of(self.zone, &owner.key) != 0 {
                    slots.insert(owner.key, slot);
                }
            }
        }
        Ok(Untold {
            reader: self,
            slots,
        })
    }

    /// The tallies in one place.
    fn all_cpus(&self, slot: u32) -> Result<Vec<Tally>, KernelError> {
        let per_cpu = self.tallies.get(&slot, 0);
        let per_cpu = per_cpu.context("read map", MAP_TALLIES)?;
        Ok(per_cpu.iter().map(|Raw(tally)| *tally).collect())
    }
}

impl Untold<'_> {
    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &ZoneKey> {
        self.slots.keys()
    }

    /// Whether this is one of them.
    pub fn has(&self, key: &ZoneKey) -> bool {
        self.slots.contains_key(key)
    }

    /// The entry of one of them, with all its refusals.
    ///
    /// # Errors
    ///
    /// If a map cannot be read.
    pub fn entry(&self, keys: &KeyReader, key: &ZoneKey) -> Result<Option<ZoneEntry>, KernelError> {
        let tallies = || match self.slots.get(key) {
            Some(slot) => self.reader.all_cpus(*slot),
            None => Ok(Vec::new()),
        };
        let mut before = tallies()?;
        let mut entry = keys.entry(key)?;
        for _ in 0..TRIES {
            let after = tallies()?;
            if are_at_rest(&before, &after) {
                break;
            }
            before = after;
            entry = keys.entry(key)?;
        }
        Ok(entry.map(|entry| with_untold(entry, self.reader.zone, key, &before)))
    }
}

/// Whether nothing was brought to an entry from the first reading to the second.
fn are_at_rest(before: &[Tally], after: &[Tally]) -> bool {
    let state = |tally: &Tally| {
        let State {
            version, is_taken, ..
        } = State::from_word(tally.word);
        (!is_taken).then_some(version)
    };
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| {
            let version = state(before);
            version.is_some() && version == state(after)
        })
}

/// The entry as it will be when it has been told. What was refused in another life of it, it will not
/// be told.
fn with_untold(entry: ZoneEntry, zone: u16, key: &ZoneKey, tallies: &[Tally]) -> ZoneEntry {
    let generation = Occupancy::from_word(entry.occupancy).generation;
    let of_this_life = tallies
        .iter()
        .filter(|tally| tally.owner.generation == generation);
    let untold: u64 = of_this_life
        .map(|tally| u64::from(tally.untold_of(zone, key)))
        .sum();
    let refusals = Refusals::from_word(entry.refusals);
    let refusals = Refusals {
        count: refusals.count + untold,
        ..refusals
    };
    ZoneEntry {
        refusals: refusals.word(),
        ..entry
    }
}

#[cfg(test)]
mod tests {
    use limiter_common::{
        addr::Addr,
        key::{Connection, KeyFields, KeyShape},
        tally::Owner,
    };

    use super::*;

    fn key(client: u32) -> ZoneKey {
        let connection = Connection {
            remote: Addr::from_v4_word(client),
            ..Connection::default()
        };
        ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
    }

    fn tally(client: u32, version: u32, count: u32) -> Tally {
        let word = State {
            version,
            is_taken: false,
            count,
        };
        let owner = Owner {
            key: key(client),
            generation: 7,
            zone: 3,
            padding: 0,
        };
        Tally {
            word: word.word(),
            owner,
            ..Tally::default()
        }
    }

    #[test]
    fn refusals_of_this_key_in_this_life_are_added() {
        let entry = ZoneEntry {
            occupancy: 7 << 32 | 2,
            refusals: 5 << 40 | 100,
            ..ZoneEntry::default()
        };
        let (mut another_life, mut another_zone) = (tally(1, 0, 1_000), tally(1, 0, 1_000));
        another_life.owner.generation = 8;
        another_zone.owner.zone = 4;
        let tallies = [
            tally(1, 0, 10),
            tally(2, 0, 1_000),
            another_life,
            another_zone,
            tally(1, 4, 20),
        ];
        let with = with_untold(entry, 3, &key(1), &tallies);
        assert_eq!(with.refusals, 5 << 40 | 130);
        assert_eq!(with.occupancy, entry.occupancy);
    }

    #[test]
    fn what_is_on_its_way_is_read_again() {
        let before = [tally(1, 2, 10), tally(1, 0, 0)];
        assert!(are_at_rest(&before, &before));
        assert!(are_at_rest(&before, &[tally(1, 2, 11), tally(1, 0, 1)]));
        assert!(!are_at_rest(&before, &[tally(1, 3, 0), tally(1, 0, 0)]));
        let mut half_way = before;
        half_way[1].word |= 1 << 31;
        assert!(!are_at_rest(&before, &half_way));
        assert!(!are_at_rest(&half_way, &half_way));
    }
}
