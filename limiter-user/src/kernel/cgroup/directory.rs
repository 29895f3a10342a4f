//! One cgroup: opening, checking and locking it.

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};

use super::path::root;
use crate::kernel::error::{Context, KernelError};

/// A directory of the cgroup2 hierarchy.
pub(in crate::kernel) struct Cgroup {
    pub(in crate::kernel) path: PathBuf,
    id: u64,
    directory: File,
}

pub(super) const OPERATION: &str = "attach to cgroup";

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Cgroup {
    /// Opens a cgroup and checks that it is one.
    pub(in crate::kernel) fn open(path: &Path) -> Result<Self, KernelError> {
        let directory = File::open(path).context(OPERATION, path.display())?;
        let path = fs::canonicalize(path).context(OPERATION, path.display())?;
        Self::new(path, directory)
    }

    /// Opens the cgroup with this canonical path, if there is one.
    pub(super) fn find(path: &Path) -> Result<Option<Self>, KernelError> {
        match File::open(path) {
            Ok(directory) => Self::new(path.to_owned(), directory).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(OPERATION, path.display()),
        }
    }

    fn new(path: PathBuf, directory: File) -> Result<Self, KernelError> {
        let object = &path.display();
        let metadata = directory.metadata().context(OPERATION, object)?;
        let statfs = fstatfs(&directory).context(OPERATION, object)?;
        if !metadata.is_dir() || statfs.filesystem_type() != CGROUP2_SUPER_MAGIC {
            let cause = "it is not a directory of the cgroup2 hierarchy";
            return Err(with_mount_point(KernelError::new(OPERATION, object, cause)));
        }
        Ok(Self {
            path,
            id: metadata.ino(),
            directory,
        })
    }

    /// Makes sure that no other limiter uses this cgroup, for as long as this value lives. The
    /// kernel gives the lock up when the process ends, however it ends.
    pub(in crate::kernel) fn lock(&self) -> Result<(), KernelError> {
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

    /// Whether it has not been removed, nor another one been made in its place.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.id)
    }

    /// Whether this is the root of the hierarchy.
    pub(in crate::kernel) fn is_root(&self) -> bool {
        root().is_ok_and(|root| root == self.path)
    }

    /// Its id: the inode number of its directory (kernel/cgroup/cgroup.c, cgroup_id). No other one
    /// gets it while the machine is up.
    pub(in crate::kernel) fn id(&self) -> u64 {
        self.id
    }

    /// Ids of this cgroup and of everything below it.
    pub(in crate::kernel) fn ids(&self) -> Vec<u64> {
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
        let suffix = format!(":{}", self.id);
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

/// Says where the hierarchy is, to somebody who looks for a cgroup elsewhere.
pub(super) fn with_mount_point(error: KernelError) -> KernelError {
    match root() {
        Ok(root) => error.hint(format_args!("cgroup2 is mounted at {}", root.display())),
        Err(error) => error,
    }
}
