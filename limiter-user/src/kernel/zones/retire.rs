//! Zones that no policy names any more.

use limiter_common::{names::MAP_PREDECESSORS, policy::MAX_ZONE_INDICES};

use super::{Origin, Placed, ZoneMaps};
use crate::kernel::error::{Context, KernelError};

impl ZoneMaps {
    /// Removes what [`Self::place`] has made and no policy was put in force with. What connections
    /// hold is waited for.
    pub(in crate::kernel) fn discard(&mut self, placed: &[Placed]) {
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
    pub(in crate::kernel) fn keep_only(&mut self, indices: &[u16]) {
        for (index, one) in &mut self.zones {
            one.is_retired = !indices.contains(index);
        }
        self.tidy();
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
}
