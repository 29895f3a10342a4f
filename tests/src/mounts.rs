//! Programs that see other mounts than everybody else.

use std::{
    ffi::CString,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::Command,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

/// Makes `command` run where this is not mounted; nobody else notices.
///
/// # Panics
/// If it is no path.
pub fn without(command: &mut Command, point: &Path) {
    change(command, point, |point| umount2(point, MntFlags::MNT_DETACH));
}

/// Makes `command` run where this is mounted read-only; nobody else notices.
///
/// # Panics
/// If it is no path.
pub fn read_only(command: &mut Command, point: &Path) {
    change(command, point, |point| {
        // Of the mount, not of the filesystem.
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount(None::<&str>, point, None::<&str>, flags, None::<&str>)
    });
}

/// Makes `command` run where an empty filesystem of 32 KiB is mounted; nobody else notices.
///
/// # Panics
/// If it is no path.
pub fn small(command: &mut Command, point: &Path) {
    change(command, point, |point| {
        let options = Some(c"size=32k");
        mount(
            Some(c"tmpfs"),
            point,
            Some(c"tmpfs"),
            MsFlags::empty(),
            options,
        )
    });
}

fn change(command: &mut Command, point: &Path, change: fn(&std::ffi::CStr) -> nix::Result<()>) {
    let point = CString::new(point.as_os_str().as_bytes()).expect("a path");
    // SAFETY: only system calls; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let all = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, c"/", None::<&str>, all, None::<&str>)?;
            change(&point)?;
            Ok(())
        });
    }
}
