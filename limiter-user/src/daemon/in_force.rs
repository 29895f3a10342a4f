//! The policy in force, and what its zones and servers are called in the kernel.

use std::{collections::HashMap, ops::Deref};

use crate::{
    kernel::Indices,
    policy::{ActionKind, LogLevel, Policy, Server},
};

/// A policy with the indices of its zones and servers. Changes as a whole.
#[derive(Clone, Debug)]
pub struct InForce {
    policy: Policy,
    /// Names of zones by index, those of earlier policies included: events of theirs may still be
    /// on their way.
    zones: HashMap<u16, String>,
    /// The same of servers.
    servers: HashMap<u16, KnownServer>,
    /// The same of servers of upstreams.
    upstreams: HashMap<u16, KnownServer>,
}

/// What events say of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// Its name.
    pub name: String,
    /// How it refuses.
    pub action: ActionKind,
    /// From which level on refusals are logged.
    pub log_level: LogLevel,
}

impl KnownServer {
    fn of(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            action: server.action.kind(),
            log_level: server.log_level,
        }
    }
}

impl InForce {
    /// The first policy.
    pub fn new(policy: Policy, indices: &Indices) -> Self {
        let nothing = Self {
            policy: Policy::default(),
            zones: HashMap::new(),
            servers: HashMap::new(),
            upstreams: HashMap::new(),
        };
        nothing.followed_by(policy, indices)
    }

    /// The policy that took the place of this one.
    #[must_use]
    pub fn followed_by(&self, policy: Policy, indices: &Indices) -> Self {
        let mut next = self.clone();
        for (index, zone) in indices.zones.iter().zip(&policy.zones) {
            next.zones.insert(*index, zone.name.clone());
        }
        for (index, server) in indices.servers.iter().zip(&policy.servers) {
            next.servers.insert(*index, KnownServer::of(server));
        }
        let servers = policy.upstreams.iter();
        let servers = servers.flat_map(|it| it.servers.iter().map(move |_| it));
        for (index, upstream) in indices.upstreams.servers.iter().zip(servers) {
            let server = KnownServer {
                name: upstream.name.clone(),
                // What the application sees is a refusal at once.
                action: ActionKind::Reset,
                log_level: upstream.log_level,
            };
            next.upstreams.insert(*index, server);
        }
        next.policy = policy;
        next
    }

    /// Name of the zone with this index.
    pub fn zone(&self, index: u16) -> Option<&str> {
        self.zones.get(&index).map(String::as_str)
    }

    /// The upstream that the server with this index belongs to.
    pub fn upstream(&self, index: u16) -> Option<&KnownServer> {
        self.upstreams.get(&index)
    }

    /// The server with this index.
    pub fn server(&self, index: u16) -> Option<&KnownServer> {
        self.servers.get(&index)
    }
}

impl Deref for InForce {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::daemon::view::tests::policy;
    use crate::kernel::UpstreamIndices;

    /// Of the usual policy, with its positions for indices.
    pub(in crate::daemon) fn in_force() -> InForce {
        let policy = policy();
        let indices = Indices {
            zones: (0..).take(policy.zones.len()).collect(),
            servers: (0..).take(policy.servers.len()).collect(),
            upstreams: UpstreamIndices::default(),
        };
        InForce::new(policy, &indices)
    }

    #[test]
    fn names_outlive_their_policy_until_the_index_is_used_again() {
        let first = in_force();
        let mut policy = policy();
        policy.servers.remove(0);
        policy.servers[0].name = "other".to_owned();
        policy.zones[1].name = "second".to_owned();
        let indices = Indices {
            zones: vec![0, 2],
            servers: vec![1],
            upstreams: UpstreamIndices::default(),
        };
        let next = first.followed_by(policy, &indices);
        assert_eq!(next.zone(1), first.zone(1));
        assert_eq!(next.zone(2), Some("second"));
        assert_eq!(next.server(0), first.server(0));
        assert_eq!(next.server(1).map(|it| it.name.as_str()), Some("other"));
        assert_eq!(next.zone(3), None);
        assert_eq!(next.servers.len(), 2);
    }
}
