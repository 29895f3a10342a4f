//! Which programs are attached to a cgroup, asked from the kernel itself.

use std::{fs::File, io, path::Path};

use crate::bpf::{self, Command};

// enum bpf_attach_type, include/uapi/linux/bpf.h
const BPF_CGROUP_INET_INGRESS: u32 = 0;
const BPF_CGROUP_SOCK_OPS: u32 = 3;

/// Number of programs attached to a cgroup itself, not to its ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programs {
    /// At `cgroup_skb/ingress`.
    pub ingress: u32,
    /// At `sock_ops`.
    pub sock_ops: u32,
}

impl Programs {
    /// Nothing attached.
    pub const NONE: Self = Self {
        ingress: 0,
        sock_ops: 0,
    };
    /// One limiter attached.
    pub const ONE_LIMITER: Self = Self {
        ingress: 1,
        sock_ops: 1,
    };

    /// What is attached to `cgroup` now.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn attached(cgroup: &Path) -> Self {
        let ask = |kind| {
            query(cgroup, kind)
                .unwrap_or_else(|e| panic!("query programs at {}: {e}", cgroup.display()))
        };
        Self {
            ingress: ask(BPF_CGROUP_INET_INGRESS),
            sock_ops: ask(BPF_CGROUP_SOCK_OPS),
        }
    }
}

/// The `query` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

fn query(cgroup: &Path, attach_type: u32) -> io::Result<u32> {
    let directory = File::open(cgroup)?;
    let mut ids = [0_u32; 64];
    let mut query = Query {
        target_fd: bpf::number(&directory),
        attach_type,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: bpf::count(ids.len()),
        ..Query::default()
    };
    // SAFETY: the attributes are those of BPF_PROG_QUERY, and the array of identifiers has the
    // length that is passed.
    unsafe { bpf::call(Command::Query, &mut query) }?;
    Ok(query.prog_cnt)
}
