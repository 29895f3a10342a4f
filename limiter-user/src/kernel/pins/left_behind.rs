//! What daemons have left, for commands that need none.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{Instance, Pins, directory_in, is_pinned_in, mount};
use crate::kernel::error::{Context, KernelError};

/// Whether anything is pinned for an instance, as far as we may know.
pub fn is_pinned(instance: &Instance) -> bool {
    mount::find().is_some_and(|root| is_pinned_in(&directory_in(&root, instance)))
}

/// Names of the instances for which anything is pinned, sorted, as far as we may know. Those with a
/// daemon are among them.
pub fn instances() -> Vec<Instance> {
    let root = mount::find().map(|root| root.join("limiter"));
    let entries = root.and_then(|root| fs::read_dir(root).ok());
    let entries = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let instances = names.iter().filter_map(|name| Instance::new(name));
    instances.filter(is_pinned).collect()
}

/// Detaches and removes what an instance has left behind. `false`: there is nothing.
///
/// # Errors
///
/// If a daemon of the instance runs, or the kernel refuses.
pub fn detach(instance: &Instance) -> Result<bool, KernelError> {
    let Some(directory) = find(instance)? else {
        return Ok(false);
    };
    if is_locked(&directory) {
        let instance = format_args!("instance {instance}");
        return Err(KernelError::new("detach", instance, "its daemon runs")
            .hint("name its control socket, for it to be stopped (--control), or stop it"));
    }
    let Some(mut pins) = Pins::open(instance)? else {
        return Ok(false);
    };
    pins.clear()?;
    pins.stay(false);
    Ok(true)
}

/// Whether a daemon of this instance runs, as far as we may know.
pub fn has_daemon(instance: &Instance) -> bool {
    mount::find().is_some_and(|root| is_locked(&directory_in(&root, instance)))
}

/// Its directory, if there is anything in it. Who may not look must not be told that there is
/// nothing.
fn find(instance: &Instance) -> Result<Option<PathBuf>, KernelError> {
    let Some(root) = mount::find() else {
        return Ok(None);
    };
    match fs::read_dir(root.join("limiter")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        looked => looked
            .context("look for pins in", root.display())
            .map_err(|error| error.hint("run limiter as root"))?,
    };
    let directory = directory_in(&root, instance);
    Ok(is_pinned_in(&directory).then_some(directory))
}

fn is_locked(directory: &Path) -> bool {
    // Not there in the middle of a change of sets.
    let locked = File::open(directory).map(|directory| directory.try_lock());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}
