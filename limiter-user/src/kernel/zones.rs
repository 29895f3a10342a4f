//! The zones' maps and counters.

use std::{collections::HashMap, fs, os::fd::AsRawFd};

use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, IterableMap as _, MapData, PerCpuArray},
};
use limiter_common::{
    counters::ZoneCounters,
    entry::{Occupancy, ZoneEntry, ZoneState},
    key::ZoneKey,
    names::{MAP_ZONE_COUNTERS, MAP_ZONE_STATES, MAP_ZONES},
};

use super::{
    ZoneReading,
    error::{Context, KernelError},
    object::{ZoneMap, create_zone_map},
    policy::take,
    raw::Raw,
};
use crate::{
    policy::{OnFull, Zone},
    zone_map::MapSize,
};

/// All zones.
pub(super) struct ZoneMaps {
    outer: ArrayOfMaps<MapData, ZoneMap>,
    states: Array<MapData, Raw<ZoneState>>,
    counters: PerCpuArray<MapData, Raw<ZoneCounters>>,
    zones: Vec<OneZone>,
}

struct OneZone {
    name: String,
    map: ZoneMap,
    max_entries: u32,
    memory_bytes: u64,
}

impl ZoneMaps {
    /// Makes a map for each zone, sized from its configuration.
    pub(super) fn create(ebpf: &mut Ebpf, zones: &[Zone]) -> Result<Self, KernelError> {
        let mut maps = Self {
            outer: take(ebpf, MAP_ZONES)?,
            states: take(ebpf, MAP_ZONE_STATES)?,
            counters: take(ebpf, MAP_ZONE_COUNTERS)?,
            zones: Vec::new(),
        };
        for (index, zone) in (0_u32..).zip(zones) {
            let size = MapSize::of(zone.capacity(), possible_cpus()?);
            let map = create_zone_map(&zone.name, size.max_entries())?;
            let state = ZoneState {
                evicts: (zone.on_full == OnFull::Evict).into(),
                ..size.state()
            };
            maps.states
                .set(index, Raw(state), 0)
                .context("write map", MAP_ZONE_STATES)?;
            maps.outer
                .set(index, &map, 0)
                .context("write map", MAP_ZONES)?;
            maps.zones.push(OneZone {
                name: zone.name.clone(),
                max_entries: size.max_entries(),
                memory_bytes: memory(map.map())?,
                map,
            });
        }
        Ok(maps)
    }

    /// Reads the counts of one zone.
    pub(super) fn read(&self, index: usize) -> Result<ZoneReading, KernelError> {
        let zone = &self.zones[index];
        let index = index as u32;
        let per_cpu = self
            .counters
            .get(&index, 0)
            .context("read map", MAP_ZONE_COUNTERS)?;
        let state = self
            .states
            .get(&index, 0)
            .context("read map", MAP_ZONE_STATES)?;
        Ok(ZoneReading {
            counters: per_cpu
                .iter()
                .fold(ZoneCounters::default(), |sum, cpu| sum.plus(&cpu.0)),
            keys: if state.0.evicts == 0 {
                state.0.live
            } else {
                self.count_live(index as usize)?
            },
            memory_bytes: zone.memory_bytes,
        })
    }

    /// In a zone that evicts, the programs do not know how many there are.
    fn count_live(&self, index: usize) -> Result<u64, KernelError> {
        let keys = self.read_keys(index)?;
        let live = keys
            .iter()
            .filter(|(_, entry)| Occupancy::from_word(entry.occupancy).connections > 0);
        Ok(live.count() as u64)
    }

    /// Reads every key of one zone.
    pub(super) fn read_keys(&self, index: usize) -> Result<Vec<(ZoneKey, ZoneEntry)>, KernelError> {
        let zone = &self.zones[index];
        let mut keys = HashMap::new();
        // The walk begins anew where a key is removed under it (kernel/bpf/hashtab.c,
        // htab_map_get_next_key): it may meet keys twice, and needs a bound.
        for key in zone.map.keys().take(2 * zone.max_entries as usize) {
            let key = key.context("read the map of zone", &zone.name)?;
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
        let Some(first) = self.zones.first() else {
            return Ok(());
        };
        self.outer
            .set(0, &first.map, 0)
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
