//! The keys of a zone, read many at a time.

use std::os::fd::{AsFd as _, OwnedFd};

use limiter_common::{
    entry::ZoneEntry,
    key::{ZoneKey, ZoneKeyWords},
};

use crate::kernel::{
    error::{Context, KernelError},
    syscall::{MapInfo, Part, read_part, read_value},
};

/// Elements that are asked for at once. A system call for each 4096 costs nothing beside the
/// elements, and they take 300 KiB.
const BATCH: usize = 4096;

/// Reads the keys of one zone, also while the daemon does something else, and even if the zone is
/// no more.
#[derive(Debug)]
pub struct KeyReader {
    map: OwnedFd,
    zone: String,
    batch: usize,
}

impl KeyReader {
    /// Of the map of a zone.
    ///
    /// # Errors
    ///
    /// If the map is none of a zone.
    pub fn new(map: OwnedFd, zone: &str) -> Result<Self, KernelError> {
        let reader = Self {
            map,
            zone: zone.to_owned(),
            batch: BATCH,
        };
        let info = MapInfo::of(reader.map.as_fd()).context("look at the map of zone", zone)?;
        let sizes = (info.key_size as usize, info.value_size as usize);
        if sizes != (size_of::<ZoneKeyWords>(), size_of::<ZoneEntry>()) {
            let cause = format!("keys and values of {sizes:?} bytes are none of a zone");
            return Err(KernelError::new("read the map of zone", zone, cause));
        }
        Ok(reader)
    }

    /// Asks for so many elements at first, instead of the usual number. Where a bucket has more, it
    /// asks for more.
    #[must_use]
    pub fn with_batch(self, elements: usize) -> Self {
        Self {
            batch: elements.max(1),
            ..self
        }
    }

    /// The entry of one key, if it has one. It does not count as used.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub(in crate::kernel) fn entry(&self, key: &ZoneKey) -> Result<Option<ZoneEntry>, KernelError> {
        let key = ZoneKeyWords::from(*key);
        // SAFETY: integers, and of the size that `new` has made sure of.
        let entry = unsafe { read_value(self.map.as_fd(), &key) };
        entry.context("read the map of zone", &self.zone)
    }

    /// Calls `each` with every key, in no order, idle keys (no connections) included. A key is met
    /// once at the most, because its bucket is read once; one that is there all the time is met.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn each(&self, mut each: impl FnMut(ZoneKey, &ZoneEntry)) -> Result<(), KernelError> {
        let mut keys: Vec<ZoneKeyWords> = Vec::with_capacity(self.batch);
        let mut values: Vec<ZoneEntry> = Vec::with_capacity(self.batch);
        let mut from = None;
        loop {
            // SAFETY: integers, and of the size that `new` has made sure of.
            let part = unsafe { read_part(self.map.as_fd(), from, &mut keys, &mut values) };
            let part = part.context("read the map of zone", &self.zone)?;
            for (key, entry) in keys.iter().zip(&values) {
                each(ZoneKey::from(*key), entry);
            }
            match part {
                Part::Until(next) => from = Some(next),
                Part::Last => return Ok(()),
                Part::TooSmall => {
                    let room = 2 * keys.capacity();
                    keys.reserve(room);
                    values.reserve(room);
                }
            }
        }
    }
}
