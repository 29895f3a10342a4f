//! Network namespaces: a cgroup covers sockets in all of them, netlink and iterators see one.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};

/// A network namespace.
pub(super) struct NetNs {
    /// The same number for the same namespace, while it exists.
    pub(super) id: NetNsId,
    file: File,
}

/// Device and inode number (namespaces(7)).
pub(super) type NetNsId = (u64, u64);

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Runs `work` in every network namespace that a process or a mount holds, on a thread of its own;
/// the caller's namespace does not change. A namespace that goes away meanwhile is left out.
pub(super) fn in_each(mut work: impl FnMut(&NetNs) + Send) {
    thread::scope(|scope| {
        scope.spawn(move || {
            for namespace in all() {
                match setns(&namespace, CloneFlags::CLONE_NEWNET) {
                    Ok(()) => work(&namespace),
                    Err(error) => tracing::debug!("enter a network namespace: {error}"),
                }
            }
        });
    });
}

/// Moves the calling thread into the network namespace of a process, unless it is there already.
///
/// # Errors
///
/// If there is no such process, or it is in another namespace and we may not go there (it takes
/// CAP_SYS_ADMIN).
pub fn enter_that_of(pid: u32) -> io::Result<()> {
    // What may be opened is asked for first: a namespace of our own is no secret.
    let theirs = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    if fs::read_link("/proc/thread-self/ns/net").is_ok_and(|own| own == theirs) {
        return Ok(());
    }
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// Cookie of the network namespace of a socket (`SO_NETNS_COOKIE`, Linux 5.14), as programs see it.
///
/// # Errors
///
/// If the kernel does not tell.
pub(super) fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut bytes = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the value has as many bytes as are said.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut bytes,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Every network namespace that can be found, each once.
fn all() -> Vec<NetNs> {
    let mut seen = HashSet::new();
    of_processes()
        .into_iter()
        .chain(of_mounts())
        .filter_map(|path| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            let id = (metadata.dev(), metadata.ino());
            seen.insert(id).then_some(NetNs { id, file })
        })
        .collect()
}

fn of_processes() -> Vec<PathBuf> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        })
        .map(|entry| entry.path().join("ns/net"))
        .collect()
}

/// Namespaces without processes are kept by a mount, as `ip netns` does.
fn of_mounts() -> Vec<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut words = mount.split(' ').skip(3);
            let (root, mountpoint) = (words.next()?, words.next()?);
            (filesystem.starts_with("nsfs ") && root.starts_with("net:"))
                .then(|| Path::new(mountpoint).to_owned())
        })
        .collect()
}
