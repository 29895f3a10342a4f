//! Where a process starts.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use nix::sched::{CloneFlags, setns};

use crate::{cgroup::Cgroup, netns::NetNs};

/// Makes `command` start inside `netns` and `cgroup`, and end with the calling thread.
pub fn place(command: &mut Command, netns: Option<&NetNs>, cgroup: Option<&Cgroup>) {
    let netns = netns.map(|netns| {
        netns
            .as_fd()
            .try_clone_to_owned()
            .expect("duplicate a descriptor")
    });
    let procs = cgroup.map(Cgroup::procs);
    // SAFETY: between fork and exec only system calls are made; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                return Err(io::Error::last_os_error());
            }
            if let Some(procs) = &procs {
                write_zero(procs)?;
            }
            if let Some(netns) = &netns {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        });
    }
}

fn write_zero(procs: &File) -> io::Result<()> {
    // SAFETY: one byte of a static string is written to an open descriptor.
    if unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) } != 1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
