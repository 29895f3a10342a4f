//! Which index each zone and server of a policy has in the kernel.
//!
//! What a socket was charged for names zone and server by index, so both keep theirs for as long as
//! they exist, whatever their position in the configuration. An index that was given up is used
//! again as late as possible.

use limiter_common::{
    policy::{MAX_SERVER_INDICES, MAX_ZONE_INDICES},
    upstream::MAX_UPSTREAM_INDICES,
};

use super::error::KernelError;

/// By position in a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indices {
    /// Of the zones.
    pub zones: Vec<u16>,
    /// Of the servers.
    pub servers: Vec<u16>,
    /// Of the servers of upstreams and their queues.
    pub upstreams: UpstreamIndices,
}

/// Of upstreams, by position in a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamIndices {
    /// Of the servers, upstream by upstream.
    pub servers: Vec<u16>,
    /// Of the queue of each upstream.
    pub queues: Vec<Option<u16>>,
}

impl UpstreamIndices {
    /// Whether it is one of these.
    pub(super) fn contain(&self, index: u16) -> bool {
        self.servers.contains(&index) || self.queues.contains(&Some(index))
    }
}

/// Gives out indices of one kind.
#[derive(Clone, Debug)]
pub(super) struct Dispenser {
    what: &'static str,
    taken: Vec<bool>,
    /// Where the search for a free one begins.
    next: usize,
}

impl Dispenser {
    pub(super) fn of_zones() -> Self {
        Self::new("zones", MAX_ZONE_INDICES)
    }

    pub(super) fn of_servers() -> Self {
        Self::new("servers", MAX_SERVER_INDICES)
    }

    pub(super) fn of_upstreams() -> Self {
        Self::new("servers of upstreams", MAX_UPSTREAM_INDICES)
    }

    fn new(what: &'static str, indices: u32) -> Self {
        Self {
            what,
            taken: vec![false; indices as usize],
            next: 0,
        }
    }

    /// Takes the free index that has not been used for longest.
    pub(super) fn take(&mut self) -> Result<u16, KernelError> {
        let len = self.taken.len();
        let mut candidates = (self.next..len).chain(0..self.next);
        let Some(index) = candidates.find(|&index| !self.taken[index]) else {
            let cause = format!("all {len} places for {} are taken", self.what);
            return Err(KernelError::new("change", "the policy", cause).hint(
                "connections still hold places of what an earlier change has removed: try again \
                 when they are closed",
            ));
        };
        self.taken[index] = true;
        self.next = (index + 1) % len;
        // Some hundreds at the most.
        Ok(index as u16)
    }

    /// Takes this index, which somebody has from before.
    pub(super) fn reserve(&mut self, index: u16) {
        if let Some(taken) = self.taken.get_mut(usize::from(index)) {
            *taken = true;
            self.next = (usize::from(index) + 1) % self.taken.len();
        }
    }

    /// Takes an index back.
    pub(super) fn give_back(&mut self, index: u16) {
        self.taken[usize::from(index)] = false;
    }
}

/// The indices of servers. The same name is the same server.
pub(super) struct ServerIndices {
    dispenser: Dispenser,
    names: Vec<(String, u16)>,
}

impl ServerIndices {
    pub(super) fn new() -> Self {
        Self {
            dispenser: Dispenser::of_servers(),
            names: Vec::new(),
        }
    }

    /// Those that servers have from before.
    pub(super) fn take_over(names: Vec<(String, u16)>) -> Self {
        let mut dispenser = Dispenser::of_servers();
        names
            .iter()
            .for_each(|(_, index)| dispenser.reserve(*index));
        Self { dispenser, names }
    }

    /// Every server with its index.
    pub(super) fn names(&self) -> &[(String, u16)] {
        &self.names
    }

    /// Indices for the servers of these names. Those that are not named any more keep theirs until
    /// [`Self::keep_only`].
    pub(super) fn assign<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<u16>, KernelError> {
        let mut indices = Vec::new();
        for name in names {
            let known = self.names.iter().find(|(known, _)| known == name);
            let index = match known {
                Some(&(_, index)) => index,
                None => {
                    let index = self.dispenser.take()?;
                    self.names.push((name.to_owned(), index));
                    index
                }
            };
            indices.push(index);
        }
        Ok(indices)
    }

    /// Gives up all others.
    pub(super) fn keep_only(&mut self, indices: &[u16]) {
        self.names.retain(|&(_, index)| {
            let keep = indices.contains(&index);
            if !keep {
                self.dispenser.give_back(index);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_index_whatever_its_position() {
        let mut servers = ServerIndices::new();
        let mut assign = |names: &[&str]| {
            let indices = servers.assign(names.iter().copied()).expect("room");
            servers.keep_only(&indices);
            indices
        };
        assert_eq!(assign(&["a", "b", "c"]), [0, 1, 2]);
        assert_eq!(assign(&["c", "a"]), [2, 0]);
        // An index that was given up is not the first to be used again.
        assert_eq!(assign(&["d", "b", "a"]), [3, 4, 0]);
    }

    #[test]
    fn there_is_an_end_to_it_and_then_a_way_on() {
        let mut dispenser = Dispenser::of_zones();
        for _ in 0..MAX_ZONE_INDICES {
            dispenser.take().expect("room");
        }
        let error = dispenser.take().expect_err("no room").to_string();
        assert!(
            error.contains("all 128 places for zones are taken"),
            "{error}"
        );
        dispenser.give_back(7);
        assert_eq!(dispenser.take().expect("room"), 7);
    }
}
