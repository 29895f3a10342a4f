//! What keeps a program attached, in this process or beyond its end.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use super::syscall::{Command, bpf, info};

/// Of enum bpf_attach_type, include/uapi/linux/bpf.h
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    CgroupIngress = 0,
    CgroupEgress = 1,
    CgroupSockOps = 3,
    CgroupConnect4 = 10,
    CgroupConnect6 = 11,
    CgroupSockRelease = 34,
    Xdp = 37,
}

/// The program is attached as long as this lives or is pinned.
pub(super) struct Link(OwnedFd);

/// The member `link_create` of union bpf_attr.
#[repr(C)]
struct Create {
    program: u32,
    target: u32,
    hook: u32,
    flags: u32,
}

/// The member `link_update`.
#[repr(C)]
struct Update {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

/// The first members of struct bpf_link_info, of a link to a cgroup.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    cgroup: u64,
}

/// BPF_LINK_TYPE_CGROUP
const TO_CGROUP: u32 = 3;

/// The first members for BPF_OBJ_PIN and BPF_OBJ_GET.
#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

impl Link {
    /// Attaches a program to a cgroup, beside others (kernel/bpf/cgroup.c, cgroup_bpf_link_attach).
    pub(super) fn to_cgroup(
        program: BorrowedFd<'_>,
        cgroup: BorrowedFd<'_>,
        hook: Hook,
    ) -> io::Result<Self> {
        Self::create(program, cgroup.as_raw_fd() as u32, hook, 0)
    }

    /// Attaches an XDP program to an interface of the calling thread's network namespace, with
    /// XDP_FLAGS_SKB_MODE or XDP_FLAGS_DRV_MODE. Fails with what net/core/dev.c, dev_xdp_attach, or
    /// the driver answers: EBUSY and EEXIST if another program is in the way, EINVAL also if there is
    /// no such interface.
    ///
    /// aya's `Xdp::attach` is of no use here. Where the kernel answers EINVAL, which is also what
    /// drivers answer to an MTU that they do not like, it tries once more through netlink. What is
    /// attached that way replaces what is there, and outlives a process that is killed.
    pub(super) fn to_interface(
        program: BorrowedFd<'_>,
        index: u32,
        flags: u32,
    ) -> io::Result<Self> {
        Self::create(program, index, Hook::Xdp, flags)
    }

    fn create(program: BorrowedFd<'_>, target: u32, hook: Hook, flags: u32) -> io::Result<Self> {
        let mut create = Create {
            program: program.as_raw_fd() as u32,
            target,
            hook: hook as u32,
            flags,
        };
        // SAFETY: there is no pointer in it; what comes back is a new descriptor.
        Ok(Self(unsafe {
            OwnedFd::from_raw_fd(bpf(Command::LinkCreate, &mut create)?)
        }))
    }

    /// Has it outlive the process.
    pub(super) fn pin(&self, path: &Path) -> io::Result<()> {
        pin(self.0.as_fd(), path)
    }

    /// One that was pinned.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut get = Pin {
            path: path.as_ptr() as u64,
            fd: 0,
            flags: 0,
        };
        // SAFETY: the path ends with NUL; what comes back is a new descriptor.
        Ok(Self(unsafe {
            OwnedFd::from_raw_fd(bpf(Command::ObjectGet, &mut get)?)
        }))
    }

    /// Puts another program in place of the attached one: each event runs either, none runs neither
    /// (kernel/bpf/cgroup.c, cgroup_bpf_replace; net/core/dev.c, bpf_xdp_link_update). Fails with
    /// ENOLINK if what it was attached to is gone.
    pub(super) fn replace(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let mut update = Update {
            link: self.0.as_raw_fd() as u32,
            program: program.as_raw_fd() as u32,
            flags: 0,
            old_program: 0,
        };
        // SAFETY: there is no pointer in it.
        unsafe { bpf(Command::LinkUpdate, &mut update) }.map(drop)
    }

    /// Id of the cgroup that the program is attached to; 0 if it is detached, as the kernel does when
    /// the cgroup is gone and all its sockets are (kernel/bpf/cgroup.c,
    /// bpf_cgroup_link_fill_link_info). Fails if this is no link to a cgroup.
    pub(super) fn cgroup(&self) -> io::Result<u64> {
        // SAFETY: it is the struct of links. That of another object fills it with other integers.
        let info: Info = unsafe { info(self.0.as_fd()) }?;
        if info.kind != TO_CGROUP {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(info.cgroup)
    }

    /// Detaches the program, whoever else has the link.
    pub(super) fn detach(&self) -> io::Result<()> {
        let mut link = self.0.as_raw_fd() as u32;
        // SAFETY: there is no pointer in it.
        unsafe { bpf(Command::LinkDetach, &mut link) }.map(drop)
    }
}

/// Has an object outlive the process.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut pin = Pin {
        path: path.as_ptr() as u64,
        fd: object.as_raw_fd() as u32,
        flags: 0,
    };
    // SAFETY: the path ends with NUL.
    unsafe { bpf(Command::ObjectPin, &mut pin) }.map(drop)
}
