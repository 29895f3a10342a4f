//! Programs that do nothing, and the switch of bpf_stats.

use std::{
    fs::File,
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use tests::bpf;

/// A program type, and where it is attached (include/uapi/linux/bpf.h).
#[derive(Clone, Copy)]
pub struct Hook {
    /// enum bpf_prog_type
    pub program_type: u32,
    /// enum bpf_attach_type
    attach_type: u32,
}

/// `cgroup_skb/ingress`
pub const CGROUP_SKB_INGRESS: Hook = Hook {
    program_type: 8,
    attach_type: 0,
};
/// `sock_ops`
pub const SOCK_OPS: Hook = Hook {
    program_type: 13,
    attach_type: 3,
};

/// Has the kernel measure every run of every program, until dropped.
pub struct Stats {
    _file: OwnedFd,
}

impl Stats {
    /// Switches on; the kernel counts how many want it.
    pub fn enable() -> Result<Self> {
        let file = bpf::enable_stats().context("enable bpf_stats (Linux 5.8)")?;
        Ok(Self { _file: file })
    }
}

/// `r0 = 1; exit`, attached until dropped.
pub struct EmptyProgram {
    program: OwnedFd,
    _link: bpf::Link,
}

impl EmptyProgram {
    /// Loads it and attaches it to the cgroup.
    pub fn attach(hook: Hook, cgroup: &File) -> Result<Self> {
        const INSTRUCTIONS: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];
        let program = bpf::load(
            hook.program_type,
            hook.attach_type,
            "bench_empty",
            &INSTRUCTIONS,
        )
        .context("load an empty program")?;
        let link = bpf::Link::new(&program, bpf::number(cgroup), hook.attach_type, 0)
            .context("attach an empty program")?;
        Ok(Self {
            program,
            _link: link,
        })
    }

    /// Its descriptor.
    pub fn fd(&self) -> i32 {
        self.program.as_raw_fd()
    }
}
