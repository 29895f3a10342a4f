//! Where cgroups are, or will be.

use std::{
    fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf, absolute},
};

use super::directory::{Cgroup, OPERATION, with_mount_point};
use crate::{
    kernel::error::{Context, KernelError},
    policy::Policy,
};

/// The cgroups to attach to: those that the policy names, else the root. None of them is part of
/// another.
///
/// # Errors
///
/// If there is not, and cannot be, a cgroup at one of the paths.
pub(super) fn wanted(policy: &Policy) -> Result<Vec<PathBuf>, KernelError> {
    let mut wanted: Vec<PathBuf> = Vec::new();
    for path in named(policy)? {
        let resolved = resolve(&path)?;
        let overlaps =
            |other: &&PathBuf| other.starts_with(&resolved) || resolved.starts_with(other);
        if let Some(other) = wanted.iter().find(overlaps) {
            return Err(KernelError::new(
                OPERATION,
                path.display(),
                format!("it overlaps with {}", other.display()),
            )
            .hint("a cgroup covers everything below it: name only the upper one"));
        }
        wanted.push(resolved);
    }
    Ok(wanted)
}

/// The same, where each stands for itself, whatever is there.
pub(super) fn wanted_at_all(policy: &Policy) -> Result<Vec<PathBuf>, KernelError> {
    let paths = named(policy)?.into_iter();
    Ok(paths.map(|path| resolve(&path).unwrap_or(path)).collect())
}

fn named(policy: &Policy) -> Result<Vec<PathBuf>, KernelError> {
    let mut paths: Vec<PathBuf> = policy.cgroups().map(Path::to_owned).collect();
    if paths.is_empty() {
        paths.push(root()?);
    }
    Ok(paths)
}

/// The canonical path of a cgroup that is there, or that it will have: there are no symbolic links
/// in the hierarchy, so what is missing below it is as it is written.
fn resolve(path: &Path) -> Result<PathBuf, KernelError> {
    let object = path.display();
    let missing = match fs::canonicalize(path) {
        Ok(canonical) => return Ok(canonical),
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        Err(error) => return Err(error).context(OPERATION, object),
    };
    let (there, rest) = split(&absolute(path).context(OPERATION, &object)?);
    if Cgroup::open(&there).is_err() {
        return Err(with_mount_point(KernelError::new(
            OPERATION, object, missing,
        )));
    }
    Ok(there.join(rest))
}

/// The canonical path of the nearest directory that is there, and what is missing below it.
fn split(path: &Path) -> (PathBuf, PathBuf) {
    let (mut there, mut missing) = (PathBuf::from("/"), PathBuf::new());
    for component in path.components() {
        match component {
            Component::Normal(name) => match fs::canonicalize(there.join(name)) {
                Ok(next) if missing.as_os_str().is_empty() => there = next,
                _ => missing.push(name),
            },
            Component::ParentDir => {
                let _ = missing.pop() || there.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    (there, missing)
}

/// The cgroup that this process is in, and its sockets belong to.
pub(in crate::kernel) fn own() -> Result<Cgroup, KernelError> {
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
        KernelError::new(OPERATION, OBJECT, "it is not mounted").hint(
            "mount it: mount -t cgroup2 none /sys/fs/cgroup; `ip netns exec` hides it, \
                 `nsenter --net=/run/netns/NAME` does not",
        )
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
    fn what_is_missing_is_taken_as_it_is_written() {
        let directory = tempfile::tempdir().expect("make a directory");
        let there = fs::canonicalize(directory.path()).expect("it is there");
        let parts = |path: &str| split(&there.join(path));
        assert_eq!(parts(""), (there.clone(), "".into()));
        assert_eq!(parts("a/./b"), (there.clone(), "a/b".into()));
        assert_eq!(parts("a/../b/c/.."), (there.clone(), "b".into()));
        let above = there.parent().expect("not the root").to_owned();
        assert_eq!(parts("a/../.."), (above, "".into()));
    }

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
