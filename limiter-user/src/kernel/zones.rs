//! The zones' maps and counters.
//!
//! A zone keeps its index and its map from one policy to the next if its name, its key and its size
//! stay. In all other cases a new one takes its place, into which every open connection is counted
//! before the policy is in force ([`super::change`]); the old one is retired and freed when no
//! connection holds a slot of it any more.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::fd::{AsFd as _, AsRawFd, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, IterableMap as _, Map, MapData, PerCpuArray},
};
use limiter_common::{
    counters::ZoneCounters,
    entry::{Occupancy, ZoneEntry, ZoneState},
    key::ZoneKey,
    names::{MAP_PREDECESSORS, MAP_ZONE_COUNTERS, MAP_ZONE_STATES, MAP_ZONE_TEMPLATE, MAP_ZONES},
    policy::MAX_ZONE_INDICES,
};

use super::{
    ZoneReading,
    error::{Context, KernelError},
    indices::Dispenser,
    object::{ZoneMap, create_zone_map},
    pins::RecordedZone,
    policy::take,
    raw::Raw,
    syscall::put_maps,
};
use crate::{
    policy::{OnFull, Zone},
    zone_map::MapSize,
};

/// All zones.
pub(super) struct ZoneMaps {
    outer: ArrayOfMaps<MapData, ZoneMap>,
    outer_fd: OwnedFd,
    states: Array<MapData, Raw<ZoneState>>,
    counters: PerCpuArray<MapData, Raw<ZoneCounters>>,
    predecessors: Array<MapData, u32>,
    dispenser: Dispenser,
    zones: HashMap<u16, OneZone>,
    /// What the maps of zones are made after; stands where no zone is.
    vacant: ZoneMap,
}

struct OneZone {
    zone: Zone,
    map: ZoneMap,
    max_entries: u32,
    memory_bytes: u64,
    is_retired: bool,
}

/// include/linux/errno.h; not for user space, but it gets it.
const ENOTSUPP: i32 = 524;

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
pub(super) struct Placed {
    pub(super) index: u16,
    pub(super) origin: Origin,
}

impl ZoneMaps {
    /// Takes the maps; there is no zone yet.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        // aya's type for it does not show the descriptor.
        let outer_fd = match ebpf.map(MAP_ZONES) {
            Some(Map::ArrayOfMaps(map)) => map.fd().as_fd().try_clone_to_owned(),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Self {
            outer_fd: outer_fd.context("find map", MAP_ZONES)?,
            outer: take(ebpf, MAP_ZONES)?,
            states: take(ebpf, MAP_ZONE_STATES)?,
            counters: take(ebpf, MAP_ZONE_COUNTERS)?,
            predecessors: take(ebpf, MAP_PREDECESSORS)?,
            dispenser: Dispenser::of_zones(),
            zones: HashMap::new(),
            vacant: take(ebpf, MAP_ZONE_TEMPLATE)?,
        })
    }

    /// Takes the maps that another daemon has made. Zones that are not in force are retired.
    pub(super) fn take_over(
        ebpf: &mut Ebpf,
        recorded: &[RecordedZone],
        in_force: &HashSet<u16>,
    ) -> Result<Self, KernelError> {
        let mut maps = Self::take(ebpf)?;
        for one in recorded {
            let map = maps.outer.get(&one.index.into(), 0);
            let map: ZoneMap = map.context("read map", MAP_ZONES)?;
            maps.dispenser.reserve(one.index);
            let zone = OneZone {
                zone: one.zone(),
                max_entries: one.max_entries,
                memory_bytes: memory(map.map())?,
                map,
                is_retired: !in_force.contains(&one.index),
            };
            maps.zones.insert(one.index, zone);
        }
        Ok(maps)
    }

    /// Every zone that there is, for the next daemon.
    pub(super) fn record(&self) -> Vec<RecordedZone> {
        let zones = self.zones.iter();
        zones
            .map(|(&index, one)| {
                RecordedZone::new(index, &one.zone, one.max_entries, one.is_retired)
            })
            .collect()
    }

    /// Finds or makes each of these zones. Those that are not among them stay as they are.
    ///
    /// # Errors
    ///
    /// No zone is made then.
    pub(super) fn place(&mut self, zones: &[Zone]) -> Result<Vec<Placed>, KernelError> {
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

    /// Writes the maps of zones to their places, or, where no zone is, the vacant one. Returns when
    /// every program that is running now has ended.
    fn put(&mut self, indices: &[u16]) -> Result<(), KernelError> {
        if indices.is_empty() {
            return Ok(());
        }
        let map = |index: &u16| self.zones.get(index).map_or(&self.vacant, |one| &one.map);
        let maps: Vec<_> = indices
            .iter()
            .map(|index| (u32::from(*index), map(index).map().fd().as_fd()))
            .collect();
        match put_maps(self.outer_fd.as_fd(), &maps) {
            Err(error) if error.raw_os_error() == Some(ENOTSUPP) => {}
            result => return result.context("write map", MAP_ZONES),
        }
        // One by one, and a wait for each.
        for index in indices {
            self.outer
                .set((*index).into(), map(index), 0)
                .context("write map", MAP_ZONES)?;
        }
        Ok(())
    }

    /// Removes what [`Self::place`] has made and no policy was put in force with. What connections
    /// hold is waited for.
    pub(super) fn discard(&mut self, placed: &[Placed]) {
        for Placed { index, origin } in placed {
            if *origin != Origin::Kept
                && let Some(one) = self.zones.get_mut(index)
            {
                one.is_retired = true;
            }
        }
        self.tidy();
    }

    /// Retires every zone but these.
    pub(super) fn keep_only(&mut self, indices: &[u16]) {
        for (index, one) in &mut self.zones {
            one.is_retired = !indices.contains(index);
        }
        self.tidy();
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

    /// Frees retired zones of which no connection holds a slot any more. A failure leaves them for
    /// the next time.
    fn tidy(&mut self) {
        let retired: Vec<u16> = self
            .zones
            .iter()
            .filter(|(_, one)| one.is_retired)
            .map(|(&index, _)| index)
            .collect();
        let mut freed = Vec::new();
        for index in retired {
            match self.free_if_unused(index) {
                Ok(true) => freed.push(index),
                Ok(false) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
        // Until then the kernel keeps the map.
        if let Err(error) = self.put(&freed) {
            tracing::warn!("{error}");
        }
        for index in freed {
            self.dispenser.give_back(index);
        }
    }

    fn free_if_unused(&mut self, index: u16) -> Result<bool, KernelError> {
        // No program charges a retired zone, so `opened` does not grow. That they are equal says
        // that every slot was given back, however old the figures of some CPUs are.
        let counters = self.read_counters(index)?;
        if counters.opened != counters.closed {
            return Ok(false);
        }
        // Those that took its place have taken over what they want to know of it.
        for successor in 0..MAX_ZONE_INDICES {
            let from = self.predecessors.get(&successor, 0);
            if from.context("read map", MAP_PREDECESSORS)? == u32::from(index) + 1 {
                self.predecessors
                    .set(successor, 0, 0)
                    .context("write map", MAP_PREDECESSORS)?;
            }
        }
        self.zones.remove(&index);
        Ok(true)
    }

    /// Reads the counts of one zone.
    pub(super) fn read(&self, index: u16) -> Result<ZoneReading, KernelError> {
        Ok(ZoneReading {
            counters: self.read_counters(index)?,
            keys: self.live(index)?,
            memory_bytes: self.zones[&index].memory_bytes,
        })
    }

    /// Reads the counters at one index, whatever zone they are of. They only grow.
    pub(super) fn read_counters(&self, index: u16) -> Result<ZoneCounters, KernelError> {
        let per_cpu = self
            .counters
            .get(&index.into(), 0)
            .context("read map", MAP_ZONE_COUNTERS)?;
        let cpus = per_cpu.iter();
        Ok(cpus.fold(ZoneCounters::default(), |sum, cpu| sum.plus(&cpu.0)))
    }

    /// Keys with at least one connection.
    fn live(&self, index: u16) -> Result<u64, KernelError> {
        let state = self
            .states
            .get(&index.into(), 0)
            .context("read map", MAP_ZONE_STATES)?;
        if state.0.evicts == 0 {
            Ok(state.0.live)
        } else {
            self.count_live(index)
        }
    }

    /// In a zone that evicts, the programs do not know how many there are.
    fn count_live(&self, index: u16) -> Result<u64, KernelError> {
        let keys = self.read_keys(index)?;
        let live = keys
            .iter()
            .filter(|(_, entry)| Occupancy::from_word(entry.occupancy).connections > 0);
        Ok(live.count() as u64)
    }

    /// Reads every key of one zone.
    pub(super) fn read_keys(&self, index: u16) -> Result<Vec<(ZoneKey, ZoneEntry)>, KernelError> {
        let zone = &self.zones[&index];
        let mut keys = HashMap::new();
        // The walk begins anew where a key is removed under it (kernel/bpf/hashtab.c,
        // htab_map_get_next_key): it may meet keys twice, and needs a bound.
        for key in zone.map.keys().take(2 * zone.max_entries as usize) {
            let key = key.context("read the map of zone", &zone.zone.name)?;
            // A key may have been removed since.
            if let Ok(entry) = zone.map.get(&key, 0) {
                keys.insert(ZoneKey::from(key.0), entry.0);
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// Returns when every program that is running now has ended: a write to a map of maps waits for
    /// that (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
    pub(super) fn wait_for_programs(&mut self) -> Result<(), KernelError> {
        // Behind the last zone.
        self.outer
            .set(MAX_ZONE_INDICES, &self.vacant, 0)
            .context("write map", MAP_ZONES)
    }
}

/// CPUs that this machine may have, those that are not plugged in included.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn possible_cpus() -> Result<u64, KernelError> {
    aya::util::nr_cpus()
        .map(|cpus| cpus as u64)
        .map_err(|(object, error)| KernelError::new("read", object, error))
}

/// What the kernel charges for a map, from the descriptor's `memlock` line
/// (kernel/bpf/syscall.c, bpf_map_show_fdinfo).
fn memory(map: &MapData) -> Result<u64, KernelError> {
    use std::os::fd::AsFd;
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&path).context("read", &path)?;
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or(0))
}
