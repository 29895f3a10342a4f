//! Which sockets we are attached to.

use std::collections::HashSet;

use super::{cgroup::Cgroup, sock_diag::TcpSocket};

/// Which sockets belong to the cgroups we are attached to.
pub(super) struct Scope {
    /// None: every socket.
    cgroups: Option<HashSet<u64>>,
    is_complete: bool,
}

impl Scope {
    /// Cgroups with all that is in them, and the ids of others that are gone. It is complete if none
    /// is to come.
    pub(super) fn of<'a>(
        cgroups: impl Iterator<Item = &'a Cgroup>,
        gone: impl Iterator<Item = u64>,
        is_complete: bool,
    ) -> Self {
        let mut ids: HashSet<u64> = gone.collect();
        for cgroup in cgroups {
            if cgroup.is_root() {
                return Self {
                    cgroups: None,
                    is_complete,
                };
            }
            ids.extend(cgroup.ids());
        }
        Self {
            cgroups: Some(ids),
            is_complete,
        }
    }

    /// Whether a socket belongs to it.
    pub(super) fn contains(&self, socket: &TcpSocket) -> bool {
        self.contains_cgroup(socket.cgroup)
    }

    /// Whether the sockets of a cgroup belong to it. None: the kernel does not tell of which it is.
    pub(super) fn contains_cgroup(&self, cgroup: Option<u64>) -> bool {
        match &self.cgroups {
            None => true,
            Some(ids) => cgroup.is_some_and(|id| ids.contains(&id)),
        }
    }

    /// Whether what is outside stays outside.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }
}
