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
//! The directory of the instance is locked while a daemon runs, so that two never write the same
//! maps. The kernel gives the lock up when the process ends, however it ends.

mod instance;
mod mount;
mod record;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use limiter_common::names::{MAP_RECORD, PROGRAM_ENFORCE, PROGRAM_XDP};

pub use self::instance::Instance;
pub(super) use self::record::{Record, RecordMap, RecordedServer, RecordedZone};
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
    lock: File,
    /// Whether what is pinned stays when this is dropped.
    stays: bool,
}

const OPERATION: &str = "pin to";
/// Directories in that of an instance.
const PARTS: [&str; 2] = ["maps", "links"];
const NETNS: &str = "/proc/self/ns/net";

impl Pins {
    /// Opens the directory of an instance; makes it if there is none. None: there is no bpf
    /// filesystem, and none can be mounted.
    pub(super) fn open(instance: &Instance) -> Result<Option<Self>, KernelError> {
        let Some(root) = mount::find_or_mount() else {
            return Ok(None);
        };
        let mut pins = Self::open_in(directory_in(&root, instance))?;
        pins.finish()?;
        Ok(Some(pins))
    }

    /// Goes on where a daemon that began beside another one was killed.
    fn finish(&mut self) -> Result<(), KernelError> {
        let directory = self.directory_beside();
        if !directory.exists() {
            return Ok(());
        }
        let mut beside = Self::open_in(directory)?;
        // Written last. With it, the set is whole; it may be all that there is.
        if RecordMap::pinned(&beside.map(MAP_RECORD)).is_some() {
            let place = Self {
                directory: self.directory.clone(),
                before: None,
                netns: self.netns,
                lock: self
                    .lock
                    .try_clone()
                    .context("lock", self.directory.display())?,
                stays: true,
            };
            beside.take_place_of(place)?;
            *self = beside;
        } else {
            beside.stay(false);
        }
        Ok(())
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
            lock,
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
        let mut beside = Self::open_in(self.directory_beside())?;
        beside.before = Some(self.directory.clone());
        Ok(beside)
    }

    fn directory_beside(&self) -> PathBuf {
        let mut directory = self.directory.clone().into_os_string();
        // No instance can have this name.
        directory.push("+new");
        directory.into()
    }

    /// Detaches what is pinned in the other directory, and moves here. If this is interrupted,
    /// [`Self::open`] goes on with it.
    pub(super) fn take_place_of(&mut self, other: Self) -> Result<(), KernelError> {
        other.clear()?;
        let place = other.directory.clone();
        for part in PARTS {
            let part = place.join(part);
            fs::remove_dir(&part).context("unpin", part.display())?;
        }
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
        // Whoever refuses must not outlive whoever counts.
        let mut links = entries(&self.directory.join("links"));
        links.sort_by_key(|link| match link {
            link if is_of(link, PROGRAM_XDP) => 0,
            link if is_of(link, PROGRAM_ENFORCE) => 1,
            _ => 2,
        });
        for path in links {
            // Of a cgroup or an interface that is gone: nothing is attached any more.
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
        // Whoever comes next makes it anew.
        for part in PARTS {
            let _ = fs::remove_dir(self.directory.join(part));
        }
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Whether anything is pinned for an instance.
pub fn is_pinned(instance: &Instance) -> bool {
    mount::find().is_some_and(|root| !is_empty(&directory_in(&root, instance)))
}

fn is_empty(directory: &Path) -> bool {
    PARTS
        .iter()
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

/// Whether a link is of this program.
fn is_of(link: &Path, program: &str) -> bool {
    let name = link.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| {
        name.strip_prefix(program)
            .is_some_and(|rest| rest.starts_with('-'))
    })
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory);
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Makes and locks a directory.
fn lock(directory: &Path) -> Result<File, KernelError> {
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
