//! One zone with its keys, which are read while the daemon does something else.

use std::sync::Arc;

use super::{in_force::InForce, state::failed, top::TopKeys};
use crate::{
    api::{TopBy, ZoneStatus},
    control::{refusal::Refusal, route::Top},
    kernel::KeyReader,
};

/// One zone as it was a moment ago.
pub struct OneZone {
    status: ZoneStatus,
    keys: KeyReader,
    policy: Arc<InForce>,
    position: usize,
}

impl OneZone {
    /// The zone at this position of the policy, without its keys.
    pub fn new(status: ZoneStatus, keys: KeyReader, policy: Arc<InForce>, position: usize) -> Self {
        Self {
            status,
            keys,
            policy,
            position,
        }
    }

    /// Reads its keys.
    pub fn read(mut self, top: Top) -> Result<ZoneStatus, Refusal> {
        let mut busiest = TopKeys::new(TopBy::Connections, top.keys);
        let mut refused = (top.by == TopBy::Rejected).then(|| TopKeys::new(top.by, top.keys));
        let read = self.keys.each(|key, entry| {
            busiest.offer(key, entry);
            if let Some(refused) = &mut refused {
                refused.offer(key, entry);
            }
        });
        read.map_err(failed)?;
        let zone = &self.policy.zones[self.position];
        self.status.top = Some(busiest.into_statuses(&self.policy, zone));
        self.status.top_rejected = refused.map(|it| it.into_statuses(&self.policy, zone));
        Ok(self.status)
    }
}
