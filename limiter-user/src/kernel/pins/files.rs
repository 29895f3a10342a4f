//! What is done with files and directories of the bpf filesystem.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

use super::OPERATION;
use crate::kernel::error::{Context, KernelError};

/// The only obstacle that root meets.
pub(super) fn writable(root: &Path) -> Result<(), KernelError> {
    access(root, AccessFlags::W_OK)
        .context("write to the bpf filesystem at", root.display())
        .map_err(|error| {
            let root = root.display();
            error.hint(format_args!(
                "mount it writable: mount -o remount,rw {root}"
            ))
        })
}

/// Whatever it is that somebody has put there.
pub(super) fn remove(path: &Path) -> Result<(), KernelError> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.context("unpin", path.display())
}

/// Those that are empty. Whoever comes next makes them anew.
pub(super) fn remove_directories(directory: &Path, parts: &[&str]) {
    for part in parts {
        let _ = fs::remove_dir(directory.join(part));
    }
}

pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory);
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Makes and locks a directory.
pub(super) fn lock(directory: &Path) -> Result<File, KernelError> {
    loop {
        fs::create_dir_all(directory).context(OPERATION, directory.display())?;
        let file = match File::open(directory) {
            // Whoever has it at the moment removes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.context(OPERATION, directory.display())?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(KernelError::new(
                    "start",
                    format_args!("the instance of {}", directory.display()),
                    "a limiter of this name runs already",
                )
                .hint("stop it, or give this one another name with --instance"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(OPERATION, directory.display());
            }
        }
        let inode = |metadata: io::Result<fs::Metadata>| metadata.map(|it| it.ino()).ok();
        // Else it was removed, or another has taken its place, before we had the lock.
        if inode(file.metadata()) == inode(fs::metadata(directory)) {
            return Ok(file);
        }
    }
}
