//! What outlives the daemon: maps and links, pinned in the bpf filesystem.
//!
//! ```text
//! /sys/fs/bpf/limiter/INSTANCE/maps/NAME          every map, the record among them
//! /sys/fs/bpf/limiter/INSTANCE/links/PROGRAM-ID   the programs, at the cgroup with this inode number
//! ```
//!
//! The directory of the instance is locked while a daemon runs, so that two never write the same
//! maps. The kernel gives the lock up when the process ends, however it ends.

mod mount;
mod record;

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

pub(super) use self::record::{Record, RecordMap, RecordedServer, RecordedZone};
use super::{
    error::{Context, KernelError},
    link::Link,
};

/// Name of an instance: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance(String);

impl Instance {
    /// The one that has no name of its own.
    pub const DEFAULT: &str = "default";
    /// Characters at the most.
    pub const MAX_CHARS: usize = 64;

    /// Checks a name. (The bpf filesystem allows no dots.)
    pub fn new(name: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (1..=Self::MAX_CHARS).contains(&name.len());
        (fits && name.bytes().all(good)).then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory of one instance, locked.
pub(super) struct Pins {
    directory: PathBuf,
    _lock: File,
    /// Whether what is pinned stays when this is dropped.
    stays: bool,
}

const OPERATION: &str = "pin to";

impl Pins {
    /// Opens the directory of an instance; makes it if there is none. None: there is no bpf
    /// filesystem, and none can be mounted.
    pub(super) fn open(instance: &Instance) -> Result<Option<Self>, KernelError> {
        let Some(root) = mount::find_or_mount() else {
            return Ok(None);
        };
        Self::open_in(directory_in(&root, instance)).map(Some)
    }

    fn open_in(directory: PathBuf) -> Result<Self, KernelError> {
        for part in ["maps", "links"] {
            let part = directory.join(part);
            fs::create_dir_all(&part).context(OPERATION, part.display())?;
        }
        let lock = lock(&directory)?;
        Ok(Self {
            directory,
            _lock: lock,
            // What is there is somebody's until it is known to be unusable.
            stays: true,
        })
    }

    /// Where it is.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the map of this name is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.directory.join("maps").join(name)
    }

    /// Where the link of a program at a cgroup is pinned.
    pub(super) fn link(&self, program: &str, cgroup: u64) -> PathBuf {
        self.directory
            .join("links")
            .join(format!("{program}-{cgroup}"))
    }

    /// Ids of the cgroups at which a link of this program is pinned.
    pub(super) fn cgroups(&self, program: &str) -> Vec<u64> {
        let links = entries(&self.directory.join("links")).into_iter();
        let cgroup = |link: PathBuf| {
            let name = link.file_name()?.to_str()?;
            name.strip_prefix(program)?.strip_prefix('-')?.parse().ok()
        };
        links.filter_map(cgroup).collect()
    }

    /// Whether nothing is pinned yet.
    pub(super) fn is_empty(&self) -> bool {
        is_empty(&self.directory)
    }

    /// A second directory of the same instance, empty.
    pub(super) fn beside(&self) -> Result<Self, KernelError> {
        let mut directory = self.directory.clone().into_os_string();
        directory.push("+new");
        let beside = Self::open_in(directory.into())?;
        // Of one that did not get so far.
        beside.clear()?;
        Ok(beside)
    }

    /// Detaches what is pinned in the other directory, and moves here.
    pub(super) fn take_place_of(&mut self, mut other: Self) -> Result<(), KernelError> {
        let place = other.directory.clone();
        other.clear()?;
        other.stay(false);
        drop(other);
        fs::rename(&self.directory, &place).context(OPERATION, place.display())?;
        self.directory = place;
        Ok(())
    }

    /// Says whether what is pinned stays when this is dropped.
    pub(super) fn stay(&mut self, stays: bool) {
        self.stays = stays;
    }

    /// Detaches what is attached and removes everything that is pinned.
    pub(super) fn clear(&self) -> Result<(), KernelError> {
        for path in entries(&self.directory.join("links")) {
            // Of a cgroup that is gone: nothing is attached any more.
            if let Ok(link) = Link::open(&path) {
                let _ = link.detach();
            }
            fs::remove_file(&path).context("unpin", path.display())?;
        }
        for path in entries(&self.directory.join("maps")) {
            fs::remove_file(&path).context("unpin", path.display())?;
        }
        Ok(())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        if let Err(error) = self.clear() {
            tracing::warn!("{error}");
            return;
        }
        for part in ["maps", "links", ""] {
            // Whoever comes next makes it anew.
            let _ = fs::remove_dir(self.directory.join(part));
        }
    }
}

/// Whether anything is pinned for an instance.
pub fn is_pinned(instance: &Instance) -> bool {
    mount::find().is_some_and(|root| !is_empty(&directory_in(&root, instance)))
}

fn is_empty(directory: &Path) -> bool {
    let parts = ["maps", "links"].iter();
    parts
        .map(|part| entries(&directory.join(part)))
        .all(|entries| entries.is_empty())
}

/// Detaches and removes what an instance has left behind. `false`: there is nothing.
///
/// # Errors
///
/// If a daemon of the instance runs, or the kernel refuses.
pub fn remove(instance: &Instance) -> Result<bool, KernelError> {
    let Some(root) = mount::find() else {
        return Ok(false);
    };
    if !directory_in(&root, instance).exists() {
        return Ok(false);
    }
    let Some(mut pins) = Pins::open(instance)? else {
        return Ok(false);
    };
    let any = is_pinned(instance);
    pins.clear()?;
    pins.stay(false);
    Ok(any)
}

fn directory_in(root: &Path, instance: &Instance) -> PathBuf {
    root.join("limiter").join(instance.name())
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory);
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn lock(directory: &Path) -> Result<File, KernelError> {
    let file = File::open(directory).context(OPERATION, directory.display())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KernelError::new(
            "start",
            format_args!("the instance of {}", directory.display()),
            "a limiter of this name runs already",
        )
        .hint("stop it, or give this one another name with --instance")),
        Err(TryLockError::Error(error)) => {
            Err::<_, io::Error>(error).context(OPERATION, directory.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_directory_of_the_bpf_filesystem() {
        for name in ["default", "a-b_C9", &"x".repeat(64)] {
            assert!(Instance::new(name).is_some(), "{name}");
        }
        for name in ["", ".", "..", "a.b", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(Instance::new(name).is_none(), "{name}");
        }
    }
}
