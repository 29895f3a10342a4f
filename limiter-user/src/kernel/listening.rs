//! Sockets that listen in the attached cgroups, in every network namespace.

use super::{
    Kernel, netns,
    scope::Scope,
    sock_diag::{ObservedListener, observe_listeners},
};

/// Finds them, also while the daemon does something else.
pub struct ListenerReader {
    scope: Scope,
}

impl Kernel {
    /// The sockets that listen in the attached cgroups.
    pub fn listeners(&self) -> ListenerReader {
        ListenerReader {
            scope: self.cgroups.scope(),
        }
    }
}

impl ListenerReader {
    /// Calls `work` with those of each network namespace in which there are some, on a thread that is in
    /// it, and the inode number of the namespace. What cannot be listed is left out.
    pub fn in_each_network(&self, mut work: impl FnMut(u64, Vec<ObservedListener>) + Send) {
        netns::in_each(|namespace| match observe_listeners() {
            Ok(mut listeners) => {
                listeners.retain(|it| self.scope.contains_cgroup(it.cgroup));
                if !listeners.is_empty() {
                    work(namespace.id.1, listeners);
                }
            }
            Err(error) => tracing::debug!("list the sockets that listen: {error}"),
        });
    }

    /// Whether a socket of this cgroup is one of ours.
    pub fn is_ours(&self, cgroup: Option<u64>) -> bool {
        self.scope.contains_cgroup(cgroup)
    }
}
