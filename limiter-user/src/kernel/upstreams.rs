//! The servers of upstreams: which index each has, and what is counted of it.
//!
//! A server is known by its address and port. It keeps its index as long as a connection holds a slot
//! of it, even if no policy names it any more: so what is closed is given back where it was taken.

use std::net::SocketAddr;

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use limiter_common::{
    names::MAP_UPSTREAM_STATES,
    upstream::{UpstreamState, epoch},
};

use super::{
    error::{Context, KernelError},
    indices::Dispenser,
    pins::RecordedUpstream,
    policy::take,
    raw::Raw,
};
use crate::policy::Policy;

/// See the module.
pub(super) struct UpstreamMaps {
    states: Array<MapData, Raw<UpstreamState>>,
    dispenser: Dispenser,
    servers: Vec<(SocketAddr, u16)>,
}

impl UpstreamMaps {
    /// Takes the map, with the servers that another daemon has recorded.
    pub(super) fn take(
        ebpf: &mut Ebpf,
        recorded: &[RecordedUpstream],
    ) -> Result<Self, KernelError> {
        let mut dispenser = Dispenser::of_upstreams();
        recorded.iter().for_each(|it| dispenser.reserve(it.index));
        let servers = recorded.iter().map(|it| (it.addr, it.index));
        Ok(Self {
            states: take(ebpf, MAP_UPSTREAM_STATES)?,
            dispenser,
            servers: servers.collect(),
        })
    }

    /// Every server that there is in the kernel.
    pub(super) fn record(&self) -> Vec<RecordedUpstream> {
        let servers = self.servers.iter();
        servers
            .map(|&(addr, index)| RecordedUpstream { index, addr })
            .collect()
    }

    /// Indices of the servers of the policy, upstream by upstream. Those that are not named any more
    /// keep theirs until [`Self::keep_only`].
    pub(super) fn assign(&mut self, policy: &Policy) -> Result<Vec<u16>, KernelError> {
        let mut indices = Vec::new();
        for server in policy.upstreams.iter().flat_map(|it| &it.servers) {
            let known = self.servers.iter().find(|(addr, _)| *addr == server.addr);
            let index = match known {
                Some(&(_, index)) => index,
                None => {
                    let index = self.dispenser.take()?;
                    self.servers.push((server.addr, index));
                    // Of another server, which no connection has a slot of any more.
                    self.states
                        .set(index.into(), Raw(UpstreamState::default()), 0)
                        .context("write map", MAP_UPSTREAM_STATES)?;
                    index
                }
            };
            indices.push(index);
        }
        Ok(indices)
    }

    /// Gives up all others of which no connection holds a slot. To be called when no program runs
    /// that may still know them.
    pub(super) fn keep_only(&mut self, indices: &[u16]) {
        let Self {
            states,
            dispenser,
            servers,
        } = self;
        servers.retain(|&(_, index)| {
            let is_unused = || {
                let state = states.get(&index.into(), 0);
                state.is_ok_and(|state| now().is_some_and(|now| state.0.active(now) == 0))
            };
            let keep = indices.contains(&index) || !is_unused();
            if !keep {
                dispenser.give_back(index);
            }
            keep
        });
    }

    /// What is counted of one server. Its connections are without those that have failed.
    pub(super) fn read(&self, index: u16) -> Result<UpstreamState, KernelError> {
        let state = self.states.get(&index.into(), 0);
        let state = state.context("read map", MAP_UPSTREAM_STATES)?.0;
        Ok(UpstreamState {
            connections: now().map_or(state.connections, |now| state.active(now)),
            ..state
        })
    }
}

/// The epoch of this moment. None: there is no such clock.
fn now() -> Option<u64> {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now().ok()?;
    let now = std::time::Duration::from(now);
    Some(epoch(now.as_nanos() as u64))
}
