//! The map of a zone, and what its keys share, to spoil behind the limiter's back.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use limiter_common::{
    entry::{Occupancy, ZoneEntry, ZoneState},
    key::ZoneKeyWords,
    names::{MAP_ZONE_STATES, MAP_ZONES},
};

use crate::{
    Limiter,
    bpf::{Command, Update, call, number},
    pinned::Pinned,
};

/// The map of the first zone of a limiter that was started afresh.
#[derive(Debug)]
pub struct ZoneMap {
    map: OwnedFd,
    states: Pinned,
}

impl ZoneMap {
    /// Opens what the limiter has pinned.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn first_of(limiter: &Limiter) -> Self {
        let place = PathBuf::from(limiter.status().pinned.expect("a bpf filesystem"));
        let open = |name: &str| Pinned::open(&Path::new(&place).join("maps").join(name));
        Self {
            map: open(MAP_ZONES).inner(0),
            states: open(MAP_ZONE_STATES),
        }
    }

    /// All keys.
    ///
    /// # Panics
    /// If the kernel does not tell.
    pub fn keys(&self) -> Vec<ZoneKeyWords> {
        let mut keys = Vec::new();
        let mut key: Option<ZoneKeyWords> = None;
        loop {
            let mut next = ZoneKeyWords::default();
            let from = key.as_ref().map_or(0, |key| std::ptr::from_ref(key) as u64);
            let mut element = Update {
                key: from,
                ..self.element(&ZoneKeyWords::default(), &raw mut next)
            };
            // SAFETY: keys of the size of the map's.
            match unsafe { call(Command::MapNextKey, &mut element) } {
                Ok(_) => keys.push(next),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return keys,
                Err(error) => panic!("the next key: {error}"),
            }
            key = Some(next);
        }
    }

    /// The only key.
    ///
    /// # Panics
    /// If there is none, or more.
    #[track_caller]
    pub fn only_key(&self) -> ZoneKeyWords {
        let keys = self.keys();
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0]
    }

    /// What is known of a key.
    ///
    /// # Panics
    /// If there is nothing.
    #[track_caller]
    pub fn entry(&self, key: &ZoneKeyWords) -> ZoneEntry {
        let mut entry = ZoneEntry::default();
        let mut element = self.element(key, &raw mut entry);
        // SAFETY: key and value of the sizes of the map's.
        unsafe { call(Command::MapLookup, &mut element) }.expect("the entry of a key");
        entry
    }

    /// Changes the count of connections of a key while nobody counts there.
    ///
    /// # Panics
    /// If there is no such key.
    #[track_caller]
    pub fn set_connections(&self, key: &ZoneKeyWords, connections: u32) {
        let mut entry = self.entry(key);
        let found = Occupancy::from_word(entry.occupancy);
        entry.occupancy = Occupancy {
            connections,
            ..found
        }
        .word();
        self.put(key, entry);
    }

    /// Writes what is known of a key.
    ///
    /// # Panics
    /// If the kernel does not take it.
    #[track_caller]
    pub fn put(&self, key: &ZoneKeyWords, mut entry: ZoneEntry) {
        let mut element = self.element(key, &raw mut entry);
        // SAFETY: as above.
        unsafe { call(Command::MapUpdate, &mut element) }.expect("a place for the entry of a key");
    }

    /// Removes a key.
    ///
    /// # Panics
    /// If there is no such key.
    #[track_caller]
    pub fn remove(&self, key: &ZoneKeyWords) {
        let mut element = self.element(key, std::ptr::null_mut::<u8>());
        // SAFETY: a key of the size of the map's.
        unsafe { call(Command::MapDelete, &mut element) }.expect("a key to remove");
    }

    /// What the keys share.
    pub fn state(&self) -> ZoneState {
        let bytes = self.states.value(size_of::<ZoneState>());
        // SAFETY: as many bytes as a struct of integers has.
        unsafe { bytes.as_ptr().cast::<ZoneState>().read_unaligned() }
    }

    /// Changes it while nobody else does.
    pub fn set_state(&self, change: impl FnOnce(&mut ZoneState)) {
        let mut state = self.state();
        change(&mut state);
        let bytes = std::ptr::from_ref(&state).cast::<[u8; size_of::<ZoneState>()]>();
        // SAFETY: a struct of integers without padding.
        self.states.set_value(unsafe { *bytes }.to_vec());
    }

    fn element<V>(&self, key: &ZoneKeyWords, value: *mut V) -> Update {
        Update {
            map: number(&self.map),
            key: std::ptr::from_ref(key) as u64,
            value: value as u64,
            ..Update::default()
        }
    }
}
