//! The servers of upstreams and their queues: which index each has, and what is counted of it.
//!
//! A server is known by its address and port, a queue by the name of its upstream. Each keeps its index as
//! long as a connection holds a slot of it, or waits for one, even if no policy names it any more: so what
//! is closed is given back where it was taken.

use std::collections::HashSet;

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData},
};
use limiter_common::{
    names::{MAP_CONNECT_QUEUE, MAP_UPSTREAM_STATES},
    upstream::{
        UpstreamState, epoch,
        queue::{TicketKey, Waiting},
    },
};

use super::{
    error::{Context, KernelError},
    indices::{Dispenser, UpstreamIndices},
    pins::{Counted, RecordedUpstream},
    policy::take,
    raw::Raw,
};
use crate::policy::Policy;

/// See the module.
pub(super) struct UpstreamMaps {
    states: Array<MapData, Raw<UpstreamState>>,
    waiting: HashMap<MapData, Raw<TicketKey>, Raw<Waiting>>,
    dispenser: Dispenser,
    places: Vec<(Counted, u16)>,
}

impl UpstreamMaps {
    /// Takes the maps, with what another daemon has recorded.
    pub(super) fn take(
        ebpf: &mut Ebpf,
        recorded: &[RecordedUpstream],
    ) -> Result<Self, KernelError> {
        let mut dispenser = Dispenser::of_upstreams();
        recorded.iter().for_each(|it| dispenser.reserve(it.index));
        let places = recorded.iter().map(|it| (it.of.clone(), it.index));
        Ok(Self {
            states: take(ebpf, MAP_UPSTREAM_STATES)?,
            waiting: take(ebpf, MAP_CONNECT_QUEUE)?,
            dispenser,
            places: places.collect(),
        })
    }

    /// Everything that there is in the kernel.
    pub(super) fn record(&self) -> Vec<RecordedUpstream> {
        let places = self.places.iter();
        let recorded = places.map(|(of, index)| RecordedUpstream {
            index: *index,
            of: of.clone(),
        });
        recorded.collect()
    }

    /// Indices of what the policy has. What is not named any more keeps its index until
    /// [`Self::keep_only`].
    pub(super) fn assign(&mut self, policy: &Policy) -> Result<UpstreamIndices, KernelError> {
        let mut indices = UpstreamIndices::default();
        for upstream in &policy.upstreams {
            for server in &upstream.servers {
                let index = self.index(Counted::Server(server.addr))?;
                indices.servers.push(index);
            }
            let queue = upstream
                .queue
                .map(|_| Counted::Queue(upstream.name.clone()));
            let queue = queue.map(|queue| self.index(queue)).transpose()?;
            indices.queues.push(queue);
        }
        Ok(indices)
    }

    fn index(&mut self, of: Counted) -> Result<u16, KernelError> {
        if let Some((_, index)) = self.places.iter().find(|(it, _)| *it == of) {
            return Ok(*index);
        }
        let index = self.dispenser.take()?;
        self.places.push((of, index));
        // Of somebody else, of whom no connection has a slot any more.
        self.states
            .set(index.into(), Raw(UpstreamState::default()), 0)
            .context("write map", MAP_UPSTREAM_STATES)?;
        Ok(index)
    }

    /// Gives up all others of which no connection holds a slot, and none waits for one. To be called when
    /// no program runs that may still know them.
    pub(super) fn keep_only(&mut self, indices: &UpstreamIndices) {
        if self.places.iter().all(|(_, index)| indices.contain(*index)) {
            return;
        }
        let Some(awaited) = self.awaited() else {
            // The next change tries it again.
            return;
        };
        let Self {
            states,
            dispenser,
            places,
            ..
        } = self;
        places.retain(|&(_, index)| {
            let is_unused = || {
                let state = states.get(&index.into(), 0);
                state.is_ok_and(|state| now().is_some_and(|now| state.0.active(now) == 0))
            };
            let keep = indices.contain(index) || awaited.contains(&index.into()) || !is_unused();
            if !keep {
                dispenser.give_back(index);
            }
            keep
        });
    }

    /// Indices of the servers that somebody waits for. None: they cannot be read.
    fn awaited(&self) -> Option<HashSet<u64>> {
        let keys = self.waiting.keys();
        keys.map(|key| key.map(|Raw(key)| key.server).ok())
            .collect()
    }

    /// What is counted of the servers and the queues of these indices.
    pub(super) fn read(&self, indices: &UpstreamIndices) -> Result<UpstreamReadings, KernelError> {
        let servers = indices.servers.iter();
        let queues = indices.queues.iter();
        let queue = |index: &Option<u16>| index.map(|index| self.read_one(index)).transpose();
        Ok(UpstreamReadings {
            servers: servers
                .map(|it| self.read_one(*it))
                .collect::<Result<_, _>>()?,
            queues: queues.map(queue).collect::<Result<_, _>>()?,
        })
    }

    /// Connections are without those that have failed.
    fn read_one(&self, index: u16) -> Result<UpstreamState, KernelError> {
        let state = self.states.get(&index.into(), 0);
        let state = state.context("read map", MAP_UPSTREAM_STATES)?.0;
        Ok(UpstreamState {
            connections: now().map_or(state.connections, |now| state.active(now)),
            ..state
        })
    }
}

/// What is counted of upstreams, by position in a policy.
#[derive(Clone, Debug, Default)]
pub struct UpstreamReadings {
    /// Of the servers, upstream by upstream.
    pub servers: Vec<UpstreamState>,
    /// Of the queue of each upstream.
    pub queues: Vec<Option<UpstreamState>>,
}

/// The epoch of this moment. None: there is no such clock.
fn now() -> Option<u64> {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now().ok()?;
    let now = std::time::Duration::from(now);
    Some(epoch(now.as_nanos() as u64))
}
