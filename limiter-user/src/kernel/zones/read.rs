//! What zones have counted.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Pod,
    maps::{IterableMap as _, Map, MapData, PerCpuArray},
};
use limiter_common::{
    counters::ZoneCounters,
    entry::{Occupancy, ZoneState},
    names::{MAP_TALLIES, MAP_ZONE_COUNTERS, MAP_ZONE_STATES},
};

use super::{KeyReader, UntoldReader, ZoneMaps};
use crate::kernel::{
    ZoneReading,
    error::{Context, KernelError},
    raw::Raw,
    syscall::read_value,
};

/// What the keys of each zone share, and the zones' counters.
pub(in crate::kernel) struct SharedCounts {
    states: OwnedFd,
    counters: PerCpuArray<MapData, Raw<ZoneCounters>>,
}

impl SharedCounts {
    /// What the keys of this zone share, at one moment.
    pub(in crate::kernel) fn state(&self, index: u16) -> Result<ZoneState, KernelError> {
        // SAFETY: the key and the value of this map: integers.
        let state = unsafe { read_value(self.states.as_fd(), &u32::from(index)) };
        let state: Option<ZoneState> = state.context("read map", MAP_ZONE_STATES)?;
        Ok(state.unwrap_or_default())
    }

    /// The counters of this zone, summed over all CPUs.
    pub(in crate::kernel) fn counters(&self, index: u16) -> Result<ZoneCounters, KernelError> {
        sum(&self.counters, index)
    }
}

fn sum(
    counters: &PerCpuArray<MapData, Raw<ZoneCounters>>,
    index: u16,
) -> Result<ZoneCounters, KernelError> {
    let per_cpu = counters.get(&index.into(), 0);
    let per_cpu = per_cpu.context("read map", MAP_ZONE_COUNTERS)?;
    let cpus = per_cpu.iter();
    Ok(cpus.fold(ZoneCounters::default(), |sum, cpu| sum.plus(&cpu.0)))
}

/// The same map, for somebody else.
fn opened_again<T: Pod>(
    map: &PerCpuArray<MapData, T>,
    name: &'static str,
) -> Result<PerCpuArray<MapData, T>, KernelError> {
    let descriptor = map.map().fd().as_fd().try_clone_to_owned();
    let map = MapData::from_fd(descriptor.context("open map", name)?).context("open map", name)?;
    Map::PerCpuArray(map).try_into().context("open map", name)
}

impl ZoneMaps {
    /// Reads the counts of one zone.
    pub(in crate::kernel) fn read(&self, index: u16) -> Result<ZoneReading, KernelError> {
        Ok(ZoneReading {
            counters: self.read_counters(index)?,
            keys: self.live(index)?,
            memory_bytes: self.zones[&index].memory_bytes,
        })
    }

    /// Reads the counters at one index, whatever zone they are of. They only grow.
    pub(in crate::kernel) fn read_counters(&self, index: u16) -> Result<ZoneCounters, KernelError> {
        sum(&self.counters, index)
    }

    /// Keys with at least one connection.
    pub(super) fn live(&self, index: u16) -> Result<u64, KernelError> {
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
        let mut live = 0;
        self.keys(index)?.each(|_, entry| {
            live += u64::from(Occupancy::from_word(entry.occupancy).connections > 0);
        })?;
        Ok(live)
    }

    /// What the keys of each zone share, and the zones' counters, also while the daemon does something
    /// else.
    pub(in crate::kernel) fn shared(&self) -> Result<SharedCounts, KernelError> {
        let states = self.states.map().fd().as_fd().try_clone_to_owned();
        Ok(SharedCounts {
            states: states.context("open map", MAP_ZONE_STATES)?,
            counters: opened_again(&self.counters, MAP_ZONE_COUNTERS)?,
        })
    }

    /// Refusals of the keys of one zone that their entries do not know of yet.
    pub(in crate::kernel) fn untold(&self, index: u16) -> Result<UntoldReader, KernelError> {
        Ok(UntoldReader {
            tallies: opened_again(&self.tallies, MAP_TALLIES)?,
            zone: index,
        })
    }

    /// The keys of one zone.
    pub(in crate::kernel) fn keys(&self, index: u16) -> Result<KeyReader, KernelError> {
        let one = &self.zones[&index];
        let name = &one.zone.name;
        let map = one.map.map().fd().as_fd().try_clone_to_owned();
        KeyReader::new(map.context("open the map of zone", name)?, name)
    }
}
