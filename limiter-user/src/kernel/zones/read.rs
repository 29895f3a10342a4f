//! What zones have counted.

use std::collections::HashMap;

use limiter_common::{
    counters::ZoneCounters,
    entry::{Occupancy, ZoneEntry},
    key::ZoneKey,
    names::{MAP_ZONE_COUNTERS, MAP_ZONE_STATES},
};

use super::ZoneMaps;
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
        let keys = self.read_keys(index)?;
        let live = keys
            .iter()
            .filter(|(_, entry)| Occupancy::from_word(entry.occupancy).connections > 0);
        Ok(live.count() as u64)
    }

    /// Reads every key of one zone.
    pub(in crate::kernel) fn read_keys(
        &self,
        index: u16,
    ) -> Result<Vec<(ZoneKey, ZoneEntry)>, KernelError> {
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
}
