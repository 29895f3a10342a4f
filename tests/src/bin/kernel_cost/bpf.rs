//! The bpf system call, for what the limiter itself has no use for: programs that do nothing, and
//! the switch of bpf_stats.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

/// include/uapi/linux/bpf.h, enum bpf_cmd
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ENABLE_STATS: libc::c_long = 32;

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
        // type: BPF_STATS_RUN_TIME
        let file = bpf(BPF_ENABLE_STATS, &0_u32).context("enable bpf_stats (Linux 5.8)")?;
        Ok(Self { _file: file })
    }
}

/// `r0 = 1; exit`, attached until dropped.
pub struct EmptyProgram {
    program: OwnedFd,
    _link: OwnedFd,
}

impl EmptyProgram {
    /// Loads it and attaches it to the cgroup.
    pub fn attach(hook: Hook, cgroup: &File) -> Result<Self> {
        const INSTRUCTIONS: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];
        const LICENSE: &std::ffi::CStr = c"MIT";
        let program = bpf(
            BPF_PROG_LOAD,
            &Load {
                program_type: hook.program_type,
                instruction_count: INSTRUCTIONS.len() as u32,
                instructions: INSTRUCTIONS.as_ptr() as u64,
                license: LICENSE.as_ptr() as u64,
                log: [0; 4],
                flags: 0,
                name: *b"bench_empty\0\0\0\0\0",
                interface: 0,
                expected_attach_type: hook.attach_type,
            },
        )
        .context("load an empty program")?;
        let link = bpf(
            BPF_LINK_CREATE,
            &[
                program.as_raw_fd() as u32,
                cgroup.as_fd().as_raw_fd() as u32,
                hook.attach_type,
                0,
            ],
        )
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

/// union bpf_attr, the part for BPF_PROG_LOAD
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    /// log_level, log_size, log_buf
    log: [u32; 4],
    /// kern_version and prog_flags
    flags: u64,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as the value has; the pointers in it are valid.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
