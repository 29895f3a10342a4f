//! Finding, checking and locking cgroups.

use std::{
    fs::{self, File, TryLockError},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};

use super::error::{Context, KernelError};
use crate::policy::Policy;

/// A directory of the cgroup2 hierarchy.
pub(super) struct Cgroup {
    pub(super) path: PathBuf,
    directory: File,
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Cgroup {
    /// Opens a cgroup and checks that it is one.
    pub(super) fn open(path: &Path) -> Result<Self, KernelError> {
        const OPERATION: &str = "attach to cgroup";
        let object = &path.display();
        let directory = File::open(path).context(OPERATION, object)?;
        let metadata = directory.metadata().context(OPERATION, object)?;
        let statfs = fstatfs(&directory).context(OPERATION, object)?;
        if !metadata.is_dir() || statfs.filesystem_type() != CGROUP2_SUPER_MAGIC {
            let error = KernelError::new(
                OPERATION,
                object,
                "it is not a directory of the cgroup2 hierarchy",
            );
            return Err(match root() {
                Ok(root) => error.hint(format_args!("cgroup2 is mounted at {}", root.display())),
                Err(error) => error,
            });
        }
        let path = fs::canonicalize(path).context(OPERATION, object)?;
        Ok(Self { path, directory })
    }

    /// Makes sure that no other limiter uses this cgroup, for as long as this value lives. The
    /// kernel gives the lock up when the process ends, however it ends.
    pub(super) fn lock(&self) -> Result<(), KernelError> {
        const OPERATION: &str = "attach to cgroup";
        match self.directory.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                let holder = self
                    .lock_holder()
                    .map_or(String::new(), |pid| format!(" (process {pid})"));
                Err(KernelError::new(
                    OPERATION,
                    self.path.display(),
                    format!("another limiter{holder} is attached to it already"),
                )
                .hint("stop it first, or attach to another cgroup"))
            }
            Err(TryLockError::Error(error)) => Err(error).context(OPERATION, self.path.display()),
        }
    }

    /// Whether one of the two is part of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.path.starts_with(&other.path) || other.path.starts_with(&self.path)
    }

    /// Whether this is the root of the hierarchy.
    pub(super) fn is_root(&self) -> bool {
        root().is_ok_and(|root| root == self.path)
    }

    /// Ids of this cgroup and of everything below it. The id of a cgroup is the inode number of its
    /// directory (kernel/cgroup/cgroup.c, cgroup_id).
    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        let mut pending = vec![self.path.clone()];
        while let Some(path) = pending.pop() {
            // A cgroup may go away while we look.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            ids.push(metadata.ino());
            let Ok(entries) = fs::read_dir(&path) else {
                continue;
            };
            pending.extend(
                entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
        ids
    }

    /// Finds the lock in /proc/locks, whose third last word but two is MAJOR:MINOR:INODE.
    fn lock_holder(&self) -> Option<u32> {
        let inode = self.directory.metadata().ok()?.ino();
        let suffix = format!(":{inode}");
        fs::read_to_string("/proc/locks")
            .ok()?
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .find(|words| words.get(5).is_some_and(|word| word.ends_with(&suffix)))?
            .get(4)?
            .parse()
            .ok()
    }
}

/// The cgroups to attach to: those that the policy names, else the root.
pub(super) fn paths(policy: &Policy) -> Result<Vec<PathBuf>, KernelError> {
    let mut paths: Vec<PathBuf> = policy.cgroups().map(Path::to_owned).collect();
    if paths.is_empty() {
        paths.push(root()?);
    }
    Ok(paths)
}

/// Opens and locks every cgroup of the policy.
pub(super) fn open_all(policy: &Policy) -> Result<Vec<Cgroup>, KernelError> {
    let mut cgroups: Vec<Cgroup> = Vec::new();
    for path in paths(policy)? {
        let cgroup = Cgroup::open(&path)?;
        if let Some(other) = cgroups.iter().find(|other| other.overlaps(&cgroup)) {
            return Err(KernelError::new(
                "attach to cgroup",
                path.display(),
                format!("it overlaps with {}", other.path.display()),
            )
            .hint("a cgroup covers everything below it: name only the upper one"));
        }
        cgroup.lock()?;
        cgroups.push(cgroup);
    }
    Ok(cgroups)
}

/// The cgroup that this process is in, and its sockets belong to.
pub(super) fn own() -> Result<Cgroup, KernelError> {
    const OBJECT: &str = "/proc/self/cgroup";
    let text = fs::read_to_string(OBJECT).context("read", OBJECT)?;
    // cgroups(7): the line of the cgroup2 hierarchy is 0::PATH.
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.ok_or_else(|| {
        KernelError::new("find", "the cgroup of limiter", "it has none in cgroup2")
    })?;
    Cgroup::open(&root()?.join(path))
}

/// Where the root of the cgroup2 hierarchy is mounted: often /sys/fs/cgroup, on hybrid systems
/// /sys/fs/cgroup/unified.
///
/// # Errors
///
/// If it is not mounted.
pub fn root() -> Result<PathBuf, KernelError> {
    const OPERATION: &str = "find";
    const OBJECT: &str = "the cgroup2 hierarchy";
    const MOUNTINFO: &str = "/proc/self/mountinfo";
    let mountinfo = fs::read_to_string(MOUNTINFO).context("read", MOUNTINFO)?;
    root_in(&mountinfo).ok_or_else(|| {
        KernelError::new(OPERATION, OBJECT, "it is not mounted")
            .hint("mount it: mount -t cgroup2 none /sys/fs/cgroup")
    })
}

/// proc_pid_mountinfo(5): `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [FIELDS…] - TYPE …`.
fn root_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, mountpoint) = (words.next()?, words.next()?);
        (filesystem.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(mountpoint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_on_unified_and_hybrid_systems() {
        let unified = "25 21 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(root_in(unified), Some("/sys/fs/cgroup".into()));
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n";
        assert_eq!(root_in(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(root_in("31 23 0:28 / /x rw - cgroup c rw\n"), None);
    }
}
