//! A second set that a daemon has begun to make beside the first, and did not get to put in its
//! place.
//!
//! The record is written last and removed first, so who has one is whole. While the old set has its
//! record, the new one is given up, whatever it has: the old one counts and refuses as well. Else the
//! old one was about to go, and the new one takes its place.

use std::path::{Path, PathBuf};

use limiter_common::names::MAP_RECORD;

use super::{Pins, RecordMap, is_empty};
use crate::kernel::error::KernelError;

/// Where the second set of an instance is.
pub(super) fn beside(directory: &Path) -> PathBuf {
    let mut beside = directory.as_os_str().to_owned();
    beside.push("+new");
    beside.into()
}

/// Whether there is anything of a second set.
pub(super) fn is_there(directory: &Path) -> bool {
    !is_empty(&beside(directory))
}

/// Leaves one set of the two, if there are two. Returns it.
pub(super) fn finish(old: Pins) -> Result<Pins, KernelError> {
    let place = beside(&old.directory);
    if !place.exists() {
        return Ok(old);
    }
    let mut new = Pins::open_in(place)?;
    let is_old_whole = old.map(MAP_RECORD).exists();
    let is_new_whole = RecordMap::pinned(&new.map(MAP_RECORD)).is_some();
    if is_new_whole && !is_old_whole {
        new.take_place_of(old)?;
        return Ok(new);
    }
    // Detached and removed when it is dropped.
    new.stay(false);
    Ok(old)
}
