//! Zones of a new policy: those of before, or new ones.

use aya::maps::IterableMap as _;
use limiter_common::{
    entry::ZoneState,
    names::{MAP_PREDECESSORS, MAP_ZONE_STATES},
};

use super::{
    OneZone, ZoneMaps,
    memory::{memory, possible_cpus},
};
use crate::{
    kernel::{
        error::{Context, KernelError},
        object::create_zone_map,
        raw::Raw,
    },
    policy::{OnFull, Zone},
    zone_map::MapSize,
};

/// Where a zone of a new policy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the one of before.
    Kept,
    /// It takes the place of the one of this name and key, which had another size.
    Resized {
        /// Index of that one.
        from: u16,
    },
    /// There was one of this name that counted by something else.
    OtherKey,
    /// It goes on with the counters of one that another version has made.
    Carried,
    /// There was none of this name.
    New,
}

/// A zone of a new policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Placed {
    pub(in crate::kernel) index: u16,
    pub(in crate::kernel) origin: Origin,
}

impl ZoneMaps {
    /// Finds or makes each of these zones. Those that are not among them stay as they are.
    ///
    /// # Errors
    ///
    /// No zone is made then.
    pub(in crate::kernel) fn place(&mut self, zones: &[Zone]) -> Result<Vec<Placed>, KernelError> {
        let mut placed = Vec::new();
        let mut result = Ok(());
        for zone in zones {
            match self.place_one(zone) {
                Ok(one) => placed.push(one),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let made = placed.iter().filter(|one| one.origin != Origin::Kept);
        let made: Vec<u16> = made.map(|one| one.index).collect();
        if let Err(error) = result.and_then(|()| self.put(&made)) {
            self.discard(&placed);
            return Err(error);
        }
        Ok(placed)
    }

    fn place_one(&mut self, zone: &Zone) -> Result<Placed, KernelError> {
        let of_this_name = self
            .zones
            .iter()
            .find(|(_, one)| !one.is_retired && one.zone.name == zone.name);
        let origin = match of_this_name {
            None => Origin::New,
            Some((_, one)) if !one.zone.counts_like(zone) => Origin::OtherKey,
            Some((&index, one)) if one.zone.is_sized_like(zone) => {
                return Ok(Placed {
                    index,
                    origin: Origin::Kept,
                });
            }
            Some((&from, _)) => Origin::Resized { from },
        };
        let index = self.dispenser.take()?;
        match self.make(index, zone, origin) {
            Ok(one) => {
                self.zones.insert(index, one);
                Ok(Placed { index, origin })
            }
            Err(error) => {
                self.dispenser.give_back(index);
                Err(error)
            }
        }
    }

    fn make(&mut self, index: u16, zone: &Zone, origin: Origin) -> Result<OneZone, KernelError> {
        let mut size = MapSize::of(zone.capacity(), possible_cpus()?);
        let mut predecessor = 0;
        if let Origin::Resized { from } = origin {
            size = size.with_room_for(self.live(from)?);
            predecessor = u32::from(from) + 1;
        }
        let map = create_zone_map(&self.vacant, &zone.name, size.max_entries())?;
        let place = u32::from(index);
        let past = self
            .states
            .get(&place, 0)
            .context("read map", MAP_ZONE_STATES)?;
        let state = ZoneState {
            evicts: (zone.on_full == OnFull::Evict).into(),
            // Of whoever had the index before: no generation comes twice.
            generation: past.0.generation,
            ..size.state()
        };
        self.states
            .set(place, Raw(state), 0)
            .context("write map", MAP_ZONE_STATES)?;
        self.predecessors
            .set(place, predecessor, 0)
            .context("write map", MAP_PREDECESSORS)?;
        Ok(OneZone {
            zone: zone.clone(),
            max_entries: size.max_entries(),
            memory_bytes: memory(map.map())?,
            map,
            is_retired: false,
        })
    }
}
