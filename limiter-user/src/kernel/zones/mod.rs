//! The zones' maps and counters.
//!
//! A zone keeps its index and its map from one policy to the next if its name, its key and its size
//! stay. In all other cases a new one takes its place, into which every open connection is counted
//! before the policy is in force ([`super::change`]); the old one is retired and freed when no
//! connection holds a slot of it any more.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, IterableMap as _, Map, MapData, PerCpuArray},
};
use limiter_common::{
    counters::ZoneCounters,
    entry::ZoneState,
    names::{
        MAP_PREDECESSORS, MAP_TALLIES, MAP_ZONE_COUNTERS, MAP_ZONE_STATES, MAP_ZONE_TEMPLATE,
        MAP_ZONES,
    },
    policy::MAX_ZONE_INDICES,
    tally::Tally,
};

use self::memory::memory;
pub use self::{keys::KeyReader, memory::possible_cpus, place::Origin, untold::UntoldReader};
pub(super) use self::{place::Placed, read::SharedCounts};
use super::{
    error::{Context, KernelError},
    indices::Dispenser,
    object::ZoneMap,
    pins::RecordedZone,
    policy::take,
    raw::Raw,
    syscall::put_maps,
};
use crate::policy::Zone;

mod keys;
mod memory;
mod place;
mod read;
mod retire;
mod untold;

/// All zones.
pub(super) struct ZoneMaps {
    outer: ArrayOfMaps<MapData, ZoneMap>,
    outer_fd: OwnedFd,
    states: Array<MapData, Raw<ZoneState>>,
    counters: PerCpuArray<MapData, Raw<ZoneCounters>>,
    tallies: PerCpuArray<MapData, Raw<Tally>>,
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
            tallies: take(ebpf, MAP_TALLIES)?,
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

    /// Returns when every program that is running now has ended: a write to a map of maps waits for
    /// that (kernel/bpf/syscall.c, maybe_wait_bpf_programs).
    pub(super) fn wait_for_programs(&mut self) -> Result<(), KernelError> {
        // Behind the last zone.
        self.outer
            .set(MAX_ZONE_INDICES, &self.vacant, 0)
            .context("write map", MAP_ZONES)
    }
}
