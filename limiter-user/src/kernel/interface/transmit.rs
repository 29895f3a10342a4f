//! On which interfaces the program may answer. On the others the network stack does.

use std::collections::HashSet;

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use limiter_common::names::MAP_INTERFACES;

use super::AttachedInterface;
use crate::kernel::{
    error::{Context, KernelError},
    policy::take,
};

/// The map, and what stands in it.
pub(in crate::kernel) struct Transmitters {
    map: HashMap<MapData, u32, u32>,
    known: HashSet<u32>,
}

impl Transmitters {
    pub(in crate::kernel) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map: HashMap<MapData, u32, u32> = take(ebpf, MAP_INTERFACES)?;
        // Those of the daemon before, if the map is its.
        let known = map.keys().collect::<Result<_, _>>();
        let known = known.context("read map", MAP_INTERFACES)?;
        Ok(Self { map, known })
    }

    /// Only these, as far as they can.
    pub(in crate::kernel) fn set(
        &mut self,
        interfaces: impl Iterator<Item = AttachedInterface>,
    ) -> Result<(), KernelError> {
        let can: HashSet<u32> = interfaces
            .filter(|interface| interface.can_transmit)
            .map(|interface| interface.index)
            .collect();
        for gone in self.known.difference(&can) {
            self.map.remove(gone).context("write map", MAP_INTERFACES)?;
        }
        for new in can.difference(&self.known) {
            self.map
                .insert(new, 1, 0)
                .context("write map", MAP_INTERFACES)?;
        }
        self.known = can;
        Ok(())
    }
}
