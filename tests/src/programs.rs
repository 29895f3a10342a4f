//! Which programs are attached to a cgroup or a network namespace, asked from the kernel itself.

use std::{fs::File, io, os::fd::AsFd, path::Path};

use crate::{
    bpf::{self, Command},
    netns::NetNs,
};

// enum bpf_attach_type, include/uapi/linux/bpf.h
const BPF_CGROUP_INET_INGRESS: u32 = 0;
const BPF_CGROUP_SOCK_OPS: u32 = 3;
const BPF_SK_LOOKUP: u32 = 36;

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
            File::open(cgroup)
                .and_then(|directory| query(&directory, kind))
                .unwrap_or_else(|e| panic!("query programs at {}: {e}", cgroup.display()))
        };
        Self {
            ingress: ask(BPF_CGROUP_INET_INGRESS),
            sock_ops: ask(BPF_CGROUP_SOCK_OPS),
        }
    }
}

/// Number of programs at `sk_lookup` in a network namespace.
///
/// # Panics
/// If the kernel does not say.
pub fn at_lookup(netns: &NetNs) -> u32 {
    query(netns, BPF_SK_LOOKUP).unwrap_or_else(|e| panic!("query programs at sk_lookup: {e}"))
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

fn query(target: &impl AsFd, attach_type: u32) -> io::Result<u32> {
    let mut ids = [0_u32; 64];
    let mut query = Query {
        target_fd: bpf::number(target),
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
