//! Which sockets we are attached to.

use std::collections::HashSet;

use super::{cgroup::Cgroup, sock_diag::TcpSocket};

/// Which sockets belong to the cgroups we are attached to.
pub(super) enum Scope {
    Everything,
    Cgroups(HashSet<u64>),
}

impl Scope {
    pub(super) fn of(cgroups: &[Cgroup]) -> Self {
        if cgroups.iter().any(Cgroup::is_root) {
            return Self::Everything;
        }
        Self::Cgroups(cgroups.iter().flat_map(Cgroup::ids).collect())
    }

    pub(super) fn contains(&self, socket: &TcpSocket) -> bool {
        match self {
            Self::Everything => true,
            Self::Cgroups(ids) => socket.cgroup.is_some_and(|id| ids.contains(&id)),
        }
    }
}
