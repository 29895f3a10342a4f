//! What maps of zones take of the machine.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::maps::MapData;

use crate::kernel::error::{Context, KernelError};

/// CPUs that this machine may have, those that are not plugged in included.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn possible_cpus() -> Result<u64, KernelError> {
    aya::util::nr_cpus()
        .map(|cpus| cpus as u64)
        .map_err(|(object, error)| KernelError::new("read", object, error))
}

/// What the kernel charges for a map, from the descriptor's `memlock` line
/// (kernel/bpf/syscall.c, bpf_map_show_fdinfo).
pub(super) fn memory(map: &MapData) -> Result<u64, KernelError> {
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&path).context("read", &path)?;
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or(0))
}
