//! What the programs are told of this machine and this process.

use std::{fs::File, io::Read as _};

use nix::sys::resource::{Resource, getrlimit};

use super::error::{Context, KernelError};

/// The kernel's own clock rate: what a coarse clock resolves is one tick
/// (kernel/time/posix-timers.c, posix_get_coarse_res).
pub(super) fn ticks_per_second() -> Result<u32, KernelError> {
    const NS_PER_SECOND: i64 = 1_000_000_000;
    let clock = nix::time::ClockId::CLOCK_MONOTONIC_COARSE;
    let tick = clock
        .res()
        .context("read the resolution of", "the coarse clock")?;
    // Rounded: a tick of 300 Hz is no whole number of ns.
    Ok(((NS_PER_SECOND + tick.tv_nsec() / 2) / tick.tv_nsec().max(1)) as u32)
}

/// Refused connections may take half of our descriptors.
pub(super) fn max_waiting() -> Result<u32, KernelError> {
    const MOST: u64 = 8_192;
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).context("read", "RLIMIT_NOFILE")?;
    Ok((soft / 2).min(MOST) as u32)
}

/// From the kernel's generator.
pub(super) fn seed() -> Result<u64, KernelError> {
    const SOURCE: &str = "/dev/urandom";
    let mut seed = [0; 8];
    File::open(SOURCE)
        .and_then(|mut source| source.read_exact(&mut seed))
        .context("read", SOURCE)?;
    Ok(u64::from_ne_bytes(seed))
}
