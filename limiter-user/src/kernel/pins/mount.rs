//! Where the bpf filesystem is.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

const USUAL: &str = "/sys/fs/bpf";

/// Where it is mounted, the usual place first. Not where something else is mounted upon it.
pub(super) fn find() -> Option<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    find_in(&mountinfo, |point| {
        // Who may not look at it is told so later.
        statfs(point).map_or(true, |it| it.filesystem_type() == BPF_FS_MAGIC)
    })
}

/// Mounts it in the usual place if it is nowhere.
///
/// # Errors
///
/// Says why that is not possible.
pub(super) fn find_or_mount() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let why = |error: &dyn fmt::Display| {
        format!("there is no bpf filesystem, and none can be mounted at {USUAL}: {error}")
    };
    // Two that begin at the same time must not mount it twice, one upon the other.
    let place = File::open(USUAL).map_err(|error| why(&error))?;
    place.lock().map_err(|error| why(&error))?;
    if let Some(found) = find() {
        return Ok(found);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), USUAL, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|error| why(&error))?;
    Ok(PathBuf::from(USUAL))
}

/// proc_pid_mountinfo(5), see [`crate::kernel::cgroup`].
fn find_in(mountinfo: &str, is_visible: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut points = mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        let point = Path::new(point);
        let is_whole = filesystem.starts_with("bpf ") && root == "/";
        (is_whole && is_visible(point)).then_some(point)
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
        let find_in = |mountinfo: &str| find_in(mountinfo, |point| point != "/covered");
        assert_eq!(find_in(elsewhere), Some("/elsewhere".into()));
        let both = [part, elsewhere, usual].concat();
        assert_eq!(find_in(&both), Some(USUAL.into()));
        assert_eq!(find_in(part), None);
        assert_eq!(find_in("25 21 0:22 / /covered rw - bpf none rw\n"), None);
    }
}
