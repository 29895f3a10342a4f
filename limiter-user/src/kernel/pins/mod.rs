//! What outlives the daemon: maps and links, pinned in the bpf filesystem.
//!
//! ```text
//! /sys/fs/bpf/limiter/INSTANCE/maps/NAME          every map, the record among them
//! /sys/fs/bpf/limiter/INSTANCE/links/PROGRAM-ID   a program, at the cgroup with this inode number
//! /sys/fs/bpf/limiter/INSTANCE/links/limiter_xdp-NETNS-INDEX
//!                                                 at the interface with this index, of the network
//!                                                 namespace with this inode number
//! ```
//!
//! While one set takes the place of another, the new one is in the directory `INSTANCE+new`.
//!
//! The directory of the instance is locked while a daemon runs, so that two never write the same
//! maps. The kernel gives the lock up when the process ends, however it ends.

mod files;
mod instance;
mod left_behind;
mod mount;
mod record;
mod unfinished;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use limiter_common::names::{
    MAP_RECORD, PROGRAM_CONNECT4, PROGRAM_CONNECT6, PROGRAM_ENFORCE, PROGRAM_XDP,
};

use self::files::{entries, lock, remove, remove_directories, writable};
pub use self::instance::Instance;
pub use self::left_behind::{detach, has_daemon, instances, is_pinned};
pub(super) use self::record::{
    Counted, RECORD_FORM, Record, RecordMap, RecordedServer, RecordedUpstream, RecordedZone,
};
use super::{
    error::{Context, KernelError},
    link::Link,
};

/// The directory of one instance, locked.
pub(super) struct Pins {
    directory: PathBuf,
    /// Whose place it is to take.
    before: Option<PathBuf>,
    /// Inode number of the network namespace that the interfaces are in.
    netns: u64,
    _lock: File,
    /// Whether what is pinned stays when this is dropped.
    stays: bool,
}

const OPERATION: &str = "pin to";
/// Directories in that of an instance.
const PARTS: [&str; 2] = ["maps", "links"];
const NETNS: &str = "/proc/self/ns/net";

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
        let lock = lock(&directory)?;
        // While nobody else removes them.
        for part in PARTS {
            let part = directory.join(part);
            fs::create_dir_all(&part).context(OPERATION, part.display())?;
        }
        Ok(Self {
            directory,
            before: None,
            netns: fs::metadata(NETNS).context("read", NETNS)?.ino(),
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

    /// Has nobody find the link of a program at a cgroup any more: it ends with whoever has it open.
    pub(super) fn remove_link(&self, program: &str, cgroup: u64) {
        let path = self.link(program, cgroup);
        if path.exists()
            && let Err(error) = remove(&path)
        {
            tracing::warn!("{error}");
        }
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

    /// Where the link of the program at this interface is pinned.
    pub(super) fn interface_link(&self, index: u32) -> PathBuf {
        self.interface_link_in(&self.directory, index)
    }

    /// Where it may be pinned in the directory whose place this one is to take.
    pub(super) fn earlier_interface_link(&self, index: u32) -> Option<PathBuf> {
        let before = self.before.as_ref()?;
        Some(self.interface_link_in(before, index))
    }

    fn interface_link_in(&self, directory: &Path, index: u32) -> PathBuf {
        let name = format!("{PROGRAM_XDP}-{}-{index}", self.netns);
        directory.join("links").join(name)
    }

    /// Every link that is pinned for an interface.
    pub(super) fn interface_links(&self) -> Vec<PathBuf> {
        let mut links = entries(&self.directory.join("links"));
        links.retain(|link| is_of(link, PROGRAM_XDP));
        links
    }

    /// Whether nothing is pinned yet.
    pub(super) fn is_empty(&self) -> bool {
        is_empty(&self.directory)
    }

    /// A second directory of the same instance, empty.
    pub(super) fn beside(&self) -> Result<Self, KernelError> {
        let mut beside = Self::open_in(unfinished::beside(&self.directory))?;
        // Of one that did not get so far.
        beside.clear()?;
        beside.before = Some(self.directory.clone());
        Ok(beside)
    }

    /// Detaches what is pinned in the other directory, and moves here. If this is interrupted,
    /// `unfinished` goes on with it.
    pub(super) fn take_place_of(&mut self, other: Self) -> Result<(), KernelError> {
        other.clear()?;
        let place = other.directory.clone();
        remove_directories(&place, &PARTS);
        // Both are locked: nobody else finds the place empty.
        fs::rename(&self.directory, &place).context(OPERATION, place.display())?;
        self.directory = place;
        self.before = None;
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
        // Whoever refuses must not outlive whoever counts.
        let mut links = entries(&self.directory.join("links"));
        links.sort_by_key(|link| match link {
            link if is_of(link, PROGRAM_XDP) => 0,
            link if [PROGRAM_ENFORCE, PROGRAM_CONNECT4, PROGRAM_CONNECT6]
                .iter()
                .any(|program| is_of(link, program)) =>
            {
                1
            }
            _ => 2,
        });
        for path in links {
            // Of a cgroup or an interface that is gone: nothing is attached any more.
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

/// Whether a link is of this program.
fn is_of(link: &Path, program: &str) -> bool {
    let name = link.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| {
        name.strip_prefix(program)
            .is_some_and(|rest| rest.starts_with('-'))
    })
}
