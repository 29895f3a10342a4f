//! Attaches an XDP program by a link that belongs to this process: the kernel gives it up with the
//! process, and neither replaces another's program for it nor lets another replace ours.
//!
//! aya's `Xdp::attach` is of no use here. Where the kernel answers EINVAL, which is also what
//! drivers answer to an MTU that they do not like, it tries once more through netlink. What is
//! attached that way replaces what is there, and outlives a process that is killed.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use crate::kernel::syscall::{Command, bpf};

/// enum bpf_attach_type, include/uapi/linux/bpf.h
const BPF_XDP: u32 = 37;

/// Where on the interface the program runs; include/uapi/linux/if_link.h, XDP_FLAGS_SKB_MODE and
/// XDP_FLAGS_DRV_MODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Mode {
    Generic = 1 << 1,
    Native = 1 << 2,
}

/// The member `link_create` of union bpf_attr, up to the last field that XDP uses.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches until the descriptor is closed, to an interface of the calling thread's network
/// namespace. Fails with what net/core/dev.c, dev_xdp_attach, or the driver answers: EBUSY and
/// EEXIST if another program is in the way, EINVAL also if there is no such interface.
pub(super) fn create(program: impl AsFd, index: u32, mode: Mode) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        prog_fd: program.as_fd().as_raw_fd() as u32,
        target_ifindex: index,
        attach_type: BPF_XDP,
        flags: mode as u32,
    };
    // SAFETY: there is no pointer in it.
    let fd = unsafe { bpf(Command::LinkCreate, &mut attributes) }?;
    // SAFETY: the descriptor is new and ours; the kernel sets FD_CLOEXEC.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
