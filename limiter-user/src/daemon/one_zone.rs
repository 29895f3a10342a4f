//! One zone with its keys, which are read while the daemon does something else.

use std::sync::Arc;

use limiter_common::entry::ZoneEntry;

use super::{in_force::InForce, state::failed, top::TopKeys};
use crate::{
    api::{TopBy, ZoneStatus},
    control::{refusal::Refusal, route::Top},
    kernel::{KeyReader, UntoldReader},
};

/// One zone as it was a moment ago.
pub struct OneZone {
    /// Without its keys.
    pub status: ZoneStatus,
    /// The way to them.
    pub keys: KeyReader,
    /// The way to those of their refusals that they do not know of yet.
    pub untold: UntoldReader,
    /// The policy that it is of.
    pub policy: Arc<InForce>,
    /// Where it stands there.
    pub position: usize,
}

impl OneZone {
    /// Reads its keys.
    pub fn read(mut self, top: Top) -> Result<ZoneStatus, Refusal> {
        let mut busiest = TopKeys::new(TopBy::Connections, top.keys);
        let mut refused = (top.by == TopBy::Rejected).then(|| TopKeys::new(top.by, top.keys));
        let mut offer = |key, entry: &ZoneEntry| {
            busiest.offer(key, entry);
            if let Some(refused) = &mut refused {
                refused.offer(key, entry);
            }
        };
        let untold = self.untold.read().map_err(failed)?;
        let read = self.keys.each(|key, entry| {
            if !untold.has(&key) {
                offer(key, entry);
            }
        });
        read.map_err(failed)?;
        for key in untold.keys() {
            if let Some(entry) = untold.entry(&self.keys, key).map_err(failed)? {
                offer(*key, &entry);
            }
        }
        let zone = &self.policy.zones[self.position];
        self.status.top = Some(busiest.into_statuses(&self.policy, zone));
        self.status.top_rejected = refused.map(|it| it.into_statuses(&self.policy, zone));
        Ok(self.status)
    }
}
