//! One pass: the walk, and the comparison.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    thread::sleep,
    time::Duration,
};

use limiter_common::{
    admission::Difference,
    audit::{AuditDesk, CONNECTIONS, Correction, ENTRIES, LIVE, SLOTS},
    entry::{Occupancy, Recount, ZoneEntry, ZoneState},
    key::ZoneKey,
    names::PROGRAM_AUDIT,
};

use super::suspects::smaller;
use crate::kernel::{
    error::{Context, KernelError},
    iterator,
    zones::{KeyReader, SharedCounts, ZoneMaps},
};

/// How often a difference is looked at again. It has to be there every time.
const LOOKS: usize = 8;
/// In between. What one connection is in the middle of takes far less, unless its process is made to
/// wait just then.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// A pass of the audit that is going on.
pub struct AuditPass {
    pub(super) number: u32,
    pub(super) before: AuditDesk,
    program: OwnedFd,
    tokens: OwnedFd,
    shared: SharedCounts,
    zones: Vec<(u16, KeyReader)>,
}

/// What was counted in a pass.
#[derive(Debug, Default)]
pub struct Counted {
    pub(super) zones: Vec<CountedZone>,
}

#[derive(Debug)]
pub(super) struct CountedZone {
    pub(super) index: u16,
    pub(super) count: ZoneCount,
    pub(super) differences: Vec<Correction>,
    evicts: bool,
    capacity: u64,
}

impl CountedZone {
    /// Its index, if it evicts and has as many live keys as it is for.
    pub(super) fn full(&self) -> Option<u16> {
        (self.evicts && self.count.keys >= self.capacity).then_some(self.index)
    }
}

/// Both counts of a zone, each key read at its own moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCount {
    /// Keys with at least one connection.
    pub keys: u64,
    /// Connections, by the counts that limits go by.
    pub connections: u64,
    /// Connections that were counted again.
    pub recount: u64,
}

impl AuditPass {
    pub(super) fn new(
        program: BorrowedFd<'_>,
        tokens: BorrowedFd<'_>,
        maps: &ZoneMaps,
        zones: &[u16],
    ) -> Result<Self, KernelError> {
        let zones = zones.iter();
        let zones = zones.map(|index| maps.keys(*index).map(|keys| (*index, keys)));
        const OPERATION: &str = "begin to audit with";
        Ok(Self {
            number: 0,
            before: AuditDesk::default(),
            program: program
                .try_clone_to_owned()
                .context(OPERATION, PROGRAM_AUDIT)?,
            tokens: tokens
                .try_clone_to_owned()
                .context(OPERATION, PROGRAM_AUDIT)?,
            shared: maps.shared()?,
            zones: zones.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn with_number(self, number: u32, before: AuditDesk) -> Self {
        Self {
            number,
            before,
            ..self
        }
    }

    /// Counts again, and compares. Takes long, and nothing waits for it.
    ///
    /// # Errors
    ///
    /// If the kernel does not walk, or a map cannot be read.
    pub fn run(&self) -> Result<Counted, KernelError> {
        const OPERATION: &str = "run program";
        let walk = iterator::over_map(self.program.as_fd(), self.tokens.as_fd());
        let walk = walk.context(OPERATION, PROGRAM_AUDIT)?;
        iterator::drive(walk).context(OPERATION, PROGRAM_AUDIT)?;
        let zones = self.zones.iter();
        let zones = zones.map(|(index, keys)| self.compare(*index, keys));
        Ok(Counted {
            zones: zones.collect::<Result<_, _>>()?,
        })
    }

    fn compare(&self, index: u16, keys: &KeyReader) -> Result<CountedZone, KernelError> {
        let before = self.shared.state(index)?;
        let mut count = ZoneCount::default();
        let mut entries = 0_u64;
        let mut differences = Vec::new();
        keys.each(|key, entry| {
            entries += 1;
            let found = self.look(entry);
            count.keys += u64::from(found.connections > 0);
            count.connections += u64::from(found.connections);
            count.recount += u64::try_from(found.recount).unwrap_or(0);
            if found.difference != 0 {
                differences.push(Correction {
                    count: CONNECTIONS,
                    zone: index.into(),
                    generation: found.generation,
                    difference: found.difference,
                    key,
                });
            }
        })?;
        let after = self.shared.state(index)?;
        let of_zone = |count, difference| Correction {
            count,
            zone: index.into(),
            generation: 0,
            difference,
            key: ZoneKey::default(),
        };
        differences.push(of_zone(SLOTS, self.slots(index)?));
        if before.evicts == 0 {
            differences.push(of_zone(LIVE, self.live(&after)));
            let is_quiet = (before.entries, before.generation) == (after.entries, after.generation);
            if is_quiet {
                // No key has come: `entries` would be less if one had gone.
                let counted = after.entries as i64 - entries as i64;
                differences.push(of_zone(ENTRIES, clamp(counted)));
            }
        }
        self.look_again(index, keys, &mut differences)?;
        Ok(CountedZone {
            index,
            count,
            differences,
            evicts: before.evicts != 0,
            capacity: before.capacity,
        })
    }

    /// Looks again at what differs. What does not do so every time, in the same direction, is left out or
    /// becomes 0; of the rest each is the smallest that was seen.
    fn look_again(
        &self,
        index: u16,
        keys: &KeyReader,
        differences: &mut Vec<Correction>,
    ) -> Result<(), KernelError> {
        for _ in 1..LOOKS {
            differences.retain(|it| it.difference != 0);
            if differences.is_empty() {
                break;
            }
            sleep(BETWEEN_LOOKS);
            for difference in &mut *differences {
                let now = self.difference(index, keys, difference)?;
                difference.difference = if now.signum() == difference.difference.signum() {
                    smaller(now, difference.difference)
                } else {
                    0
                };
            }
        }
        Ok(())
    }

    /// By how much a count that differed does so now.
    fn difference(
        &self,
        index: u16,
        keys: &KeyReader,
        before: &Correction,
    ) -> Result<Difference, KernelError> {
        Ok(match before.count {
            CONNECTIONS => {
                let entry = keys.entry(&before.key)?;
                let found = entry.map(|entry| self.look(&entry));
                let same = found.filter(|it| it.generation == before.generation);
                same.map_or(0, |it| it.difference)
            }
            SLOTS => self.slots(index)?,
            LIVE => self.live(&self.shared.state(index)?),
            // `ENTRIES` was told when no key came or went, and is not told again.
            _ => before.difference,
        })
    }

    fn look(&self, entry: &ZoneEntry) -> Look {
        let Occupancy {
            generation,
            connections,
        } = Occupancy::from_word(entry.occupancy);
        let recount = Recount::count_of(entry.recount, self.number);
        Look {
            generation,
            connections,
            recount,
            difference: clamp(i64::from(connections) - i64::from(recount)),
        }
    }

    fn live(&self, state: &ZoneState) -> Difference {
        let recount = Recount::count_of(state.live_recount, self.number);
        clamp(state.live as i64 - i64::from(recount))
    }

    /// First the state: what begins in between is taken for a slot too many, which it is not the next
    /// time.
    fn slots(&self, index: u16) -> Result<Difference, KernelError> {
        let state = self.shared.state(index)?;
        let recount = Recount::count_of(state.slot_recount, self.number);
        let counters = self.shared.counters(index)?;
        let slots = counters.opened.wrapping_sub(counters.closed) as i64;
        Ok(clamp(slots - i64::from(recount)))
    }
}

/// Both counts of a key.
struct Look {
    generation: u32,
    connections: u32,
    recount: i32,
    difference: Difference,
}

fn clamp(difference: i64) -> Difference {
    difference.clamp(i32::MIN.into(), i32::MAX.into()) as Difference
}
