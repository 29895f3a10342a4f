//! What zones have counted.

use std::os::fd::AsFd as _;

use aya::maps::IterableMap as _;
use limiter_common::{
    counters::ZoneCounters,
    entry::Occupancy,
    names::{MAP_ZONE_COUNTERS, MAP_ZONE_STATES},
};

use super::{KeyReader, ZoneMaps};
use crate::kernel::{
    ZoneReading,
    error::{Context, KernelError},
};

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
        let per_cpu = self
            .counters
            .get(&index.into(), 0)
            .context("read map", MAP_ZONE_COUNTERS)?;
        let cpus = per_cpu.iter();
        Ok(cpus.fold(ZoneCounters::default(), |sum, cpu| sum.plus(&cpu.0)))
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

    /// The keys of one zone.
    pub(in crate::kernel) fn keys(&self, index: u16) -> Result<KeyReader, KernelError> {
        let one = &self.zones[&index];
        let name = &one.zone.name;
        let map = one.map.map().fd().as_fd().try_clone_to_owned();
        KeyReader::new(map.context("open the map of zone", name)?, name)
    }
}
