//! What the next daemon has to know beside the maps: what they are about.

use std::os::fd::{AsFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use limiter_common::{
    key::KeyFields,
    names::{MAP_RECORD, RECORD_BYTES},
};
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{
        error::{Context, KernelError},
        syscall::{read_first, write_first},
    },
    policy::{Key, OnFull, Prefixes, Zone},
};

/// Written before anything of it is in force, and again when something is no more: it may name more
/// than there is, never less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct Record {
    /// What the maps are like, see `object::layout`. Another one: nothing here can be read.
    pub(in crate::kernel) layout: u64,
    /// Version of the daemon that wrote it.
    pub(in crate::kernel) version: String,
    /// Where the cgroups of the policy are or will be. Which of them there are changes at any time,
    /// and the pins tell.
    pub(in crate::kernel) cgroups: Vec<String>,
    /// Every zone that there is in the kernel.
    pub(in crate::kernel) zones: Vec<RecordedZone>,
    /// Every server.
    pub(in crate::kernel) servers: Vec<RecordedServer>,
    /// What the daemon adds: its books.
    pub(in crate::kernel) books: serde_json::Value,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct RecordedZone {
    pub(in crate::kernel) index: u16,
    pub(in crate::kernel) name: String,
    /// [`limiter_common::key::KeyFields::bits`]
    pub(in crate::kernel) fields: u8,
    pub(in crate::kernel) empty: bool,
    pub(in crate::kernel) v4_prefix: u8,
    pub(in crate::kernel) v6_prefix: u8,
    pub(in crate::kernel) size_bytes: u64,
    pub(in crate::kernel) evicts: bool,
    pub(in crate::kernel) max_entries: u32,
}

impl RecordedZone {
    pub(in crate::kernel) fn new(index: u16, zone: &Zone, max_entries: u32) -> Self {
        Self {
            index,
            name: zone.name.clone(),
            fields: zone.key.fields.bits(),
            empty: zone.key.empty,
            v4_prefix: zone.prefixes.v4,
            v6_prefix: zone.prefixes.v6,
            size_bytes: zone.size_bytes,
            evicts: zone.on_full == OnFull::Evict,
            max_entries,
        }
    }

    /// The zone; the text of its key is not recorded.
    pub(in crate::kernel) fn zone(&self) -> Zone {
        Zone {
            name: self.name.clone(),
            key: Key {
                text: String::new(),
                fields: KeyFields::from_bits(self.fields),
                empty: self.empty,
            },
            size_bytes: self.size_bytes,
            prefixes: Prefixes {
                v4: self.v4_prefix,
                v6: self.v6_prefix,
            },
            on_full: if self.evicts {
                OnFull::Evict
            } else {
                OnFull::Reject
            },
        }
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct RecordedServer {
    pub(in crate::kernel) index: u16,
    pub(in crate::kernel) name: String,
}

/// Where it stands.
pub(in crate::kernel) struct RecordMap(MapData);

impl RecordMap {
    pub(in crate::kernel) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        match ebpf.take_map(MAP_RECORD) {
            Some(Map::Array(map)) => Ok(Self(map)),
            _ => Err(KernelError::new(
                "find map",
                MAP_RECORD,
                "the object does not have it",
            )),
        }
    }

    /// The one that is pinned here. None: there is none, or nothing was ever written.
    pub(in crate::kernel) fn pinned(path: &std::path::Path) -> Option<Record> {
        let map = MapData::from_pin(path).ok()?;
        Self(map).read()
    }

    fn read(&self) -> Option<Record> {
        let bytes = read_first(self.fd(), RECORD_BYTES).ok()?;
        let (length, text) = bytes.split_first_chunk()?;
        let text = text.get(..u32::from_ne_bytes(*length) as usize)?;
        serde_json::from_slice(text).ok()
    }

    pub(in crate::kernel) fn write(&self, record: &Record) -> Result<(), KernelError> {
        const OPERATION: &str = "write map";
        let text = serde_json::to_vec(record)
            .map_err(|error| KernelError::new(OPERATION, MAP_RECORD, error))?;
        if text.len() > RECORD_BYTES - size_of::<u32>() {
            return Err(KernelError::new(
                OPERATION,
                MAP_RECORD,
                format_args!("{} bytes, {RECORD_BYTES} fit", text.len()),
            ));
        }
        let mut bytes = (text.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(text);
        bytes.resize(RECORD_BYTES, 0);
        write_first(self.fd(), &bytes).context(OPERATION, MAP_RECORD)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd().as_fd()
    }
}
