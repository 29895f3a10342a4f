//! A cgroup of the test's own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    random,
    settle::{PATIENCE, poll},
};

/// A cgroup below the root of the cgroup2 hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A new one.
    ///
    /// # Panics
    /// If no cgroup2 hierarchy is mounted, or it cannot be written.
    pub fn new() -> Self {
        Self::below(&root())
    }

    /// A new one inside of another. It has to go first.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn inside(parent: &Self) -> Self {
        Self::below(&parent.path)
    }

    fn below(parent: &Path) -> Self {
        let path = parent.join(random::name("limiter-test-"));
        fs::create_dir(&path).unwrap_or_else(|e| panic!("make the cgroup {}: {e}", path.display()));
        Self { path }
    }

    /// Removes it; whoever is in it must have [left](Self::move_to).
    ///
    /// # Panics
    /// If it cannot be removed.
    pub fn remove(&self) {
        let mut failed = None;
        // A process that has ended a moment ago may still be on its way out.
        let removed = poll(PATIENCE, || {
            failed = fs::remove_dir(&self.path).err();
            failed.is_none()
        });
        assert!(removed, "remove {}: {failed:?}", self.path.display());
    }

    /// Makes it once more, in the same place, after [`Self::remove`]. It gets another id.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn make(&self) {
        fs::create_dir(&self.path)
            .unwrap_or_else(|e| panic!("make the cgroup {}: {e}", self.path.display()));
    }

    /// Moves every process that is in it to another one. Their sockets stay.
    ///
    /// # Panics
    /// If one cannot be moved.
    pub fn move_to(&self, other: &Self) {
        let path = self.path.join("cgroup.procs");
        let processes =
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
        for process in processes.lines() {
            fs::write(other.path.join("cgroup.procs"), process)
                .unwrap_or_else(|e| panic!("move {process} to {}: {e}", other.path.display()));
        }
    }

    /// One below another that is not made yet; [`Self::make`] does it.
    pub fn missing(parent: &Path) -> Self {
        Self {
            path: parent.join(random::name("limiter-test-")),
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its id: the inode number of its directory (kernel/cgroup/cgroup.c, cgroup_id).
    ///
    /// # Panics
    /// If it is gone.
    pub fn id(&self) -> u64 {
        let directory = fs::metadata(&self.path);
        directory
            .unwrap_or_else(|e| panic!("look at {}: {e}", self.path.display()))
            .ino()
    }

    /// Its `cgroup.procs`, for writing. A process that writes `0` moves itself in.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub fn procs(&self) -> File {
        let path = self.path.join("cgroup.procs");
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap_or_else(|e| panic!("open {}: {e}", path.display()))
    }

    /// Moves this process in, until the guard is dropped. Drop it before the cgroup, which kills
    /// who is left in it.
    ///
    /// # Panics
    /// If the process cannot be moved.
    pub fn enter(&self) -> Inside {
        let own = fs::read_to_string("/proc/self/cgroup").expect("read /proc/self/cgroup");
        // cgroups(7): the line of the cgroup2 hierarchy.
        let before = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .expect("find the cgroup of this process");
        let before = root().join(before).join("cgroup.procs");
        self.procs()
            .write_all(b"0")
            .unwrap_or_else(|e| panic!("enter the cgroup {}: {e}", self.path.display()));
        Inside { before }
    }
}

/// This process is in a cgroup. Dropped, it is back where it was.
#[derive(Debug)]
pub struct Inside {
    /// `cgroup.procs` of the cgroup to go back to.
    before: PathBuf,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Err(e) = fs::write(&self.before, "0") {
            eprintln!("go back to {}: {e}", self.before.display());
        }
    }
}

impl Default for Cgroup {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let removed = poll(Duration::from_secs(10), || {
            match fs::remove_dir(&self.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    // Whoever is left in it was started by this test.
                    let _ = fs::write(self.path.join("cgroup.kill"), "1");
                    false
                }
                _ => true,
            }
        });
        if !removed {
            eprintln!("the cgroup {} stays behind", self.path.display());
        }
    }
}

/// Where the cgroup2 hierarchy is mounted. Hybrid systems have it at /sys/fs/cgroup/unified.
///
/// # Panics
/// If it is not mounted.
pub fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read /proc/self/mountinfo");
    mounts
        .lines()
        .find_map(mount_point_of_cgroup2)
        .expect("the end-to-end tests need a cgroup2 hierarchy, and none is mounted")
}

// proc_pid_mountinfo(5): fields before " - " are positional, the fifth is the mount point; the
// first after it is the type.
fn mount_point_of_cgroup2(line: &str) -> Option<PathBuf> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let point = mount.split(' ').nth(4)?;
    (filesystem.split(' ').next() == Some("cgroup2")).then(|| PathBuf::from(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup2_mount_is_told_from_a_cgroup1_mount() {
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let v1 = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd";
        assert_eq!(
            mount_point_of_cgroup2(v2),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
        assert_eq!(mount_point_of_cgroup2(v1), None);
    }
}
