//! What outlives the daemon: maps and links, pinned in the bpf filesystem.
//!
//! ```text
//! /sys/fs/bpf/limiter/INSTANCE/maps/NAME          every map, the record among them
//! /sys/fs/bpf/limiter/INSTANCE/links/PROGRAM-ID   the programs, at the cgroup with this inode number
//! ```
//!
//! While one set takes the place of another, the new one is in the directory `INSTANCE+new`.
//!
//! The directory of the instance is locked while a daemon runs, so that two never write the same
//! maps. The kernel gives the lock up when the process ends, however it ends.

mod left_behind;
mod mount;
mod record;
mod unfinished;

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

pub use self::left_behind::{detach, instances, is_pinned};
pub(super) use self::record::{RECORD_FORM, Record, RecordMap, RecordedServer, RecordedZone};
use limiter_common::names::MAP_RECORD;
use nix::unistd::{AccessFlags, access};

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
const PARTS: [&str; 2] = ["maps", "links"];

impl Pins {
    /// Opens the directory of an instance; makes it if there is none. None, with a warning: nothing
    /// can be pinned, and nothing is.
    ///
    /// # Errors
    ///
    /// If another daemon has it, or if there is something in it that cannot be changed.
    pub(super) fn open(instance: &Instance) -> Result<Option<Self>, KernelError> {
        let why = match mount::find_or_mount() {
            Err(why) => why,
            Ok(root) => {
                let directory = directory_in(&root, instance);
                match writable(&root) {
                    Ok(()) => {
                        return Self::open_in(directory)
                            .and_then(unfinished::finish)
                            .map(Some);
                    }
                    Err(error) if is_pinned_in(&directory) => return Err(error),
                    Err(error) => error.to_string(),
                }
            }
        };
        tracing::warn!("{why}: nothing is limited any more when the daemon ends, however it ends");
        Ok(None)
    }

    fn open_in(directory: PathBuf) -> Result<Self, KernelError> {
        for part in PARTS {
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

    /// Other instances that have a link of this program at this cgroup pinned, sorted.
    pub(super) fn others_at(&self, program: &str, cgroup: u64) -> Vec<String> {
        let name = link_name(program, cgroup);
        let root = self.directory.parent().map(entries).unwrap_or_default();
        let others = root.iter().filter(|other| {
            let own = [self.directory.clone(), unfinished::beside(&self.directory)];
            !own.contains(other) && other.join("links").join(&name).exists()
        });
        let names = others.filter_map(|other| Some(other.file_name()?.to_string_lossy().into()));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    /// Where the link of a program at a cgroup is pinned.
    pub(super) fn link(&self, program: &str, cgroup: u64) -> PathBuf {
        let links = self.directory.join("links");
        links.join(link_name(program, cgroup))
    }

    /// Whether nothing is pinned yet.
    pub(super) fn is_empty(&self) -> bool {
        is_empty(&self.directory)
    }

    /// A second directory of the same instance, empty.
    pub(super) fn beside(&self) -> Result<Self, KernelError> {
        let beside = Self::open_in(unfinished::beside(&self.directory))?;
        // Of one that did not get so far.
        beside.clear()?;
        Ok(beside)
    }

    /// Detaches what is pinned in the other directory, and moves here.
    pub(super) fn take_place_of(&mut self, mut other: Self) -> Result<(), KernelError> {
        let place = other.directory.clone();
        other.clear()?;
        // What is there from here on is ours. Its lock is held until then.
        other.stay(true);
        remove_directories(&place, &PARTS);
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
        // First: without it, nobody takes the rest for whole.
        let record = self.map(MAP_RECORD);
        if record.exists() {
            remove(&record)?;
        }
        for path in entries(&self.directory.join("links")) {
            // Of a cgroup that is gone: nothing is attached any more.
            if let Ok(link) = Link::open(&path) {
                let _ = link.detach();
            }
            remove(&path)?;
        }
        for path in entries(&self.directory.join("maps")) {
            remove(&path)?;
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
        remove_directories(&self.directory, &["maps", "links", ""]);
    }
}

fn is_pinned_in(directory: &Path) -> bool {
    !is_empty(directory) || unfinished::is_there(directory)
}

fn is_empty(directory: &Path) -> bool {
    PARTS
        .iter()
        .map(|part| entries(&directory.join(part)))
        .all(|entries| entries.is_empty())
}

fn link_name(program: &str, cgroup: u64) -> String {
    format!("{program}-{cgroup}")
}

fn directory_in(root: &Path, instance: &Instance) -> PathBuf {
    root.join("limiter").join(instance.name())
}

/// The only obstacle that root meets.
fn writable(root: &Path) -> Result<(), KernelError> {
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
fn remove(path: &Path) -> Result<(), KernelError> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.context("unpin", path.display())
}

/// Those that are empty. Whoever comes next makes them anew.
fn remove_directories(directory: &Path, parts: &[&str]) {
    for part in parts {
        let _ = fs::remove_dir(directory.join(part));
    }
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
