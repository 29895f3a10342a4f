//! The zones' maps and counters.

use std::{collections::HashMap, fs, os::fd::AsRawFd};

use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, IterableMap as _, MapData, PerCpuArray},
};
use limiter_common::{
    counters::ZoneCounters,
    entry::{ZoneEntry, ZoneState},
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
use crate::policy::Zone;

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
            let map = create_zone_map(&zone.name, size.max_entries)?;
            maps.states
                .set(index, Raw(size.state()), 0)
                .context("write map", MAP_ZONE_STATES)?;
            maps.outer
                .set(index, &map, 0)
                .context("write map", MAP_ZONES)?;
            maps.zones.push(OneZone {
                name: zone.name.clone(),
                max_entries: size.max_entries,
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
            keys: state.0.live,
            memory_bytes: zone.memory_bytes,
        })
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

/// How many elements the map of a zone has, and what they are for.
struct MapSize {
    capacity: u64,
    idle: u64,
    max_entries: u32,
}

impl MapSize {
    /// An LRU map evicts as soon as it cannot fill a CPU's list of free elements, although other
    /// CPUs' lists may still have some (kernel/bpf/bpf_lru_list.c, LOCAL_FREE_TARGET). With this
    /// many more elements than keys it never has to.
    const FREE_PER_CPU: u64 = 128;

    fn of(capacity: u64, cpus: u64) -> Self {
        let idle = (capacity / 16).max(64);
        let free = Self::FREE_PER_CPU * (cpus + 1);
        Self {
            capacity,
            idle,
            max_entries: u32::try_from(capacity + idle + free).unwrap_or(u32::MAX),
        }
    }

    fn state(&self) -> ZoneState {
        ZoneState {
            capacity: self.capacity,
            idle: self.idle,
            ..ZoneState::default()
        }
    }
}

fn possible_cpus() -> Result<u64, KernelError> {
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
