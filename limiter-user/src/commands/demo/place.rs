//! What a demo has on the machine while it runs: a cgroup, and a directory for its control socket.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use super::DemoError;
use crate::{commands::failure::Failure, kernel};

/// Followed by the process id of the demo.
const PREFIX: &str = "limiter-demo-";

/// Only root can make directories here, so nobody else has made ours.
const RUN: &str = "/run";

/// A cgroup stays busy until the kernel has seen off its last process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Dropping it removes both.
#[derive(Debug)]
pub(super) struct Place {
    /// Holds the server.
    pub(super) cgroup: PathBuf,
    /// Holds the control socket.
    pub(super) directory: PathBuf,
}

impl Place {
    /// Makes both, after removing those of demos that were killed.
    pub(super) fn claim() -> Result<Self, Failure> {
        let root = kernel::cgroup_root()?;
        remove_leftovers(&root, |path| fs::remove_dir(path));
        remove_leftovers(Path::new(RUN), |path| fs::remove_dir_all(path));
        let name = format!("{PREFIX}{}", std::process::id());
        let place = Self {
            cgroup: root.join(&name),
            directory: Path::new(RUN).join(name),
        };
        create(&place.cgroup, 0o755)?;
        create(&place.directory, 0o700)?;
        Ok(place)
    }

    /// Removes both and says whether that worked. No process may be left in the cgroup.
    pub(super) fn remove(self) -> Result<(), DemoError> {
        self.clear()
    }

    fn clear(&self) -> Result<(), DemoError> {
        let directory = gone(fs::remove_dir_all(&self.directory));
        let cgroup = remove_cgroup(&self.cgroup);
        cgroup.map_err(|e| DemoError::stage("remove cgroup", self.cgroup.display(), e))?;
        directory.map_err(|e| DemoError::stage("remove", self.directory.display(), e))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever wanted to know has called `remove`; the next demo tries again.
        let _ = self.clear();
    }
}

fn create(path: &Path, mode: u32) -> Result<(), DemoError> {
    DirBuilder::new()
        .mode(mode)
        .create(path)
        .map_err(|e| DemoError::stage("create", path.display(), e))
}

fn remove_cgroup(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match gone(fs::remove_dir(path)) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

/// Removing what is not there is no failure.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes what killed demos have left in `parent`. What resists is in use: the process id may be
/// that of a demo in another PID namespace.
fn remove_leftovers(parent: &Path, remove: impl Fn(&Path) -> io::Result<()>) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(owner).is_some_and(is_dead) {
            let _ = remove(&entry.path());
        }
    }
}

/// The process id in the name of a demo's cgroup or directory.
fn owner(name: &str) -> Option<i32> {
    name.strip_prefix(PREFIX)?
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
}

/// What bears our own process id is left from an earlier process that had it.
fn is_dead(pid: i32) -> bool {
    let pid = Pid::from_raw(pid);
    pid == Pid::this() || kill(pid, None) == Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_things_have_an_owner() {
        assert_eq!(owner("limiter-demo-4711"), Some(4711));
        for name in [
            "limiter-demo-",
            "limiter-demo-x",
            "limiter-demo-0",
            "limiter-demo--1",
            "limiter-demo-1.slice",
            "limiter-demo-99999999999",
            "limiter",
            "x-limiter-demo-1",
        ] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    #[test]
    fn leftovers_go_and_the_living_stay() {
        let parent = tempfile::tempdir().expect("a directory");
        let make = |pid: u32| {
            let path = parent.path().join(format!("{PREFIX}{pid}"));
            fs::create_dir(&path).expect("a directory");
            path
        };
        // Far above the largest process id (include/linux/threads.h, PID_MAX_LIMIT).
        let dead = make(i32::MAX.unsigned_abs());
        let living = make(1);
        remove_leftovers(parent.path(), |path| fs::remove_dir(path));
        assert!(!dead.exists());
        assert!(living.exists());
    }

    #[test]
    fn what_is_gone_already_is_removed() {
        let parent = tempfile::tempdir().expect("a directory");
        let place = Place {
            cgroup: parent.path().join("cgroup"),
            directory: parent.path().join("directory"),
        };
        fs::create_dir(&place.directory).expect("a directory");
        place.remove().expect("nothing is left");
        assert!(fs::read_dir(parent.path()).expect("it").next().is_none());
    }
}
