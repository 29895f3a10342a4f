//! Where the bpf filesystem is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use nix::mount::{MsFlags, mount};

const USUAL: &str = "/sys/fs/bpf";

/// Where it is mounted, the usual place first.
pub(super) fn find() -> Option<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    find_in(&mountinfo)
}

/// Mounts it in the usual place if it is nowhere. None: that is not possible.
pub(super) fn find_or_mount() -> Option<PathBuf> {
    if let Some(found) = find() {
        return Some(found);
    }
    // Two that begin at the same time must not mount it twice, one upon the other.
    let place = File::open(USUAL).ok()?;
    place.lock().ok()?;
    if let Some(found) = find() {
        return Some(found);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("bpf"), USUAL, Some("bpf"), flags, Some("mode=0700")) {
        Ok(()) => Some(PathBuf::from(USUAL)),
        Err(error) => {
            tracing::debug!("mount the bpf filesystem at {USUAL}: {error}");
            None
        }
    }
}

/// proc_pid_mountinfo(5), see [`crate::kernel::cgroup`].
fn find_in(mountinfo: &str) -> Option<PathBuf> {
    let mut points = mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        (filesystem.starts_with("bpf ") && root == "/").then(|| Path::new(point))
    });
    let first = points.next()?;
    let usual = points.find(|point| *point == Path::new(USUAL));
    Some(usual.unwrap_or(first).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_place_comes_first() {
        let elsewhere = "25 21 0:22 / /elsewhere rw - bpf none rw\n";
        let usual = "26 21 0:22 / /sys/fs/bpf rw,nosuid shared:1 - bpf bpf rw,mode=700\n";
        let part = "27 21 0:22 /limiter /part rw - bpf none rw\n";
        assert_eq!(find_in(elsewhere), Some("/elsewhere".into()));
        let both = [part, elsewhere, usual].concat();
        assert_eq!(find_in(&both), Some(USUAL.into()));
        assert_eq!(find_in(part), None);
    }
}
