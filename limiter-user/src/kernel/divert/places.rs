//! Which connections hold a place among those of their key that wait to be closed.

use std::{
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
};

use aya::maps::{MapData, SkStorage};
use limiter_common::{names::MAP_WAITERS, token::Waiter};

use crate::kernel::{
    error::{Context, KernelError},
    raw::Raw,
};

/// What `limiter_wait` has written into sockets.
#[derive(Clone)]
pub struct Places(Arc<Mutex<SkStorage<MapData, Raw<Waiter>>>>);

impl Places {
    pub(super) fn new(map: SkStorage<MapData, Raw<Waiter>>) -> Self {
        Self(Arc::new(Mutex::new(map)))
    }

    /// Makes this a socket that refused attempts are brought to.
    pub(super) fn mark(&self, listener: &impl AsRawFd) -> Result<(), KernelError> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(listener, Raw(Waiter::default()), 0)
            .context("write map", MAP_WAITERS)
    }

    /// Whether this connection holds a place. It does not if it has lost a race for the last one,
    /// and no more when it is closed.
    pub fn holds(&self, connection: &impl AsRawFd) -> bool {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiter = map.get(connection, 0);
        waiter.is_ok_and(|waiter| waiter.0.is_counted != 0)
    }
}
