//! Refusals of keys that their entries do not know of yet, see [`limiter_common::standing`].

use std::collections::HashMap;

use aya::maps::{MapData, PerCpuArray};
use limiter_common::{
    entry::{Occupancy, Refusals, ZoneEntry},
    key::ZoneKey,
    names::MAP_STANDING,
    standing::{SLOTS, Standing},
};

use super::KeyReader;
use crate::kernel::{
    error::{Context, KernelError},
    raw::Raw,
};

/// How often it is read again because a program has just brought refusals to the entry. It does so
/// once a tick, and reading takes a hundredth of one.
const TRIES: usize = 16;

/// Reads them for one zone, also while the daemon does something else.
pub struct UntoldReader {
    pub(super) slots: PerCpuArray<MapData, Raw<Standing>>,
    pub(super) zone: u16,
}

/// The keys that have some, and where.
pub struct Untold<'a> {
    reader: &'a UntoldReader,
    slots: HashMap<ZoneKey, Vec<u32>>,
}

impl UntoldReader {
    /// Looks which keys have some.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read(&self) -> Result<Untold<'_>, KernelError> {
        let mut slots: HashMap<ZoneKey, Vec<u32>> = HashMap::new();
        for slot in 0..SLOTS {
            for Raw(standing) in self.slot(slot)? {
                let known = slots.get(&standing.key);
                if standing.refusals != 0
                    && standing.zone == self.zone
                    && known.is_none_or(|slots| slots.last() != Some(&slot))
                {
                    slots.entry(standing.key).or_default().push(slot);
                }
            }
        }
        Ok(Untold {
            reader: self,
            slots,
        })
    }

    /// One slot, of each CPU.
    fn slot(&self, slot: u32) -> Result<Vec<Raw<Standing>>, KernelError> {
        let per_cpu = self.slots.get(&slot, 0);
        Ok(per_cpu.context("read map", MAP_STANDING)?.to_vec())
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
        let slots = || -> Result<Vec<_>, KernelError> {
            let mut all = Vec::new();
            for slot in self.slots.get(key).into_iter().flatten() {
                all.extend(self.reader.slot(*slot)?.into_iter().map(|Raw(one)| one));
            }
            Ok(all)
        };
        let mut before = slots()?;
        let mut entry = keys.entry(key)?;
        for _ in 0..TRIES {
            let after = slots()?;
            if are_settled(&before, &after) {
                break;
            }
            before = after;
            entry = keys.entry(key)?;
        }
        Ok(entry.map(|entry| with_untold(entry, self.reader.zone, key, &before)))
    }
}

/// Whether nothing was brought to an entry from the first reading to the second.
fn are_settled(before: &[Standing], after: &[Standing]) -> bool {
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(before, after)| before.settled == after.settled && before.settled % 2 == 0)
}

/// The entry as it will be when it has been told. What was refused in another life of it, it will not
/// be told.
fn with_untold(entry: ZoneEntry, zone: u16, key: &ZoneKey, slots: &[Standing]) -> ZoneEntry {
    let generation = Occupancy::from_word(entry.occupancy).generation;
    let of_this_life = slots.iter().filter(|slot| slot.generation == generation);
    let untold: u64 = of_this_life.map(|slot| slot.untold(zone, key)).sum();
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
    };

    use super::*;

    fn key(client: u32) -> ZoneKey {
        let connection = Connection {
            remote: Addr::from_v4_word(client),
            ..Connection::default()
        };
        ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
    }

    fn slot(client: u32, settled: u32, refusals: u64) -> Standing {
        let mut slot = Standing::default();
        slot.zone = 3;
        slot.key = key(client);
        slot.generation = 7;
        slot.settled = settled;
        slot.refusals = refusals;
        slot
    }

    #[test]
    fn refusals_of_this_key_in_this_life_are_added() {
        let entry = ZoneEntry {
            occupancy: 7 << 32 | 2,
            refusals: 5 << 40 | 100,
            ..ZoneEntry::default()
        };
        let (mut another_life, mut another_zone) = (slot(1, 0, 1_000), slot(1, 0, 1_000));
        another_life.generation = 8;
        another_zone.zone = 4;
        let slots = [
            slot(1, 0, 10),
            slot(2, 0, 1_000),
            another_life,
            another_zone,
            slot(1, 4, 20),
        ];
        let with = with_untold(entry, 3, &key(1), &slots);
        assert_eq!(with.refusals, 5 << 40 | 130);
        assert_eq!(with.occupancy, entry.occupancy);
    }

    #[test]
    fn what_is_on_its_way_is_read_again() {
        let still = [slot(1, 2, 10), slot(1, 0, 0)];
        assert!(are_settled(&still, &still));
        assert!(are_settled(&still, &[slot(1, 2, 11), slot(1, 0, 1)]));
        assert!(!are_settled(&still, &[slot(1, 4, 0), slot(1, 0, 0)]));
        let half_way = [slot(1, 3, 10)];
        assert!(!are_settled(&half_way, &half_way));
    }
}
