//! What the next daemon has to know beside the maps: what they are about.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

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
        syscall::{MapInfo, read_first, write_first},
    },
    policy::{Key, OnFull, Prefixes, Zone},
};

/// To be counted up when what stands in the record gets another meaning under the same name.
pub(in crate::kernel) const RECORD_FORM: u32 = 1;

/// Written before anything of it is in force, and again when something is no more: it may name more
/// than there is, never less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct Record {
    /// What the maps are like, see [`crate::kernel::layout`]. Another one: nothing here can be read.
    pub(in crate::kernel) layout: u64,
    /// What the zones' counters are like, which can be read if only the rest is another.
    pub(in crate::kernel) counters: u64,
    /// Version of the daemon that wrote it.
    pub(in crate::kernel) version: String,
    /// Where the cgroups of the policy are or will be.
    pub(in crate::kernel) cgroups: Vec<String>,
    /// Ids of those whose connections are counted, also of removed ones that have sockets left.
    pub(in crate::kernel) counted: Vec<u64>,
    /// Every zone that there is in the kernel.
    pub(in crate::kernel) zones: Vec<RecordedZone>,
    /// Every server.
    pub(in crate::kernel) servers: Vec<RecordedServer>,
    /// Every server of an upstream, and every queue.
    pub(in crate::kernel) upstreams: Vec<RecordedUpstream>,
    /// What is attached to these cgroups because of outgoing connections.
    pub(in crate::kernel) outgoing: Vec<String>,
    /// What the daemon adds: its books.
    pub(in crate::kernel) books: serde_json::Value,
}

impl Record {
    /// Reads the value of the map. None: it is not the record of any version.
    pub(in crate::kernel) fn from_value(bytes: &[u8]) -> Option<Self> {
        let (length, text) = bytes.split_first_chunk()?;
        let text = text.get(..u32::from_ne_bytes(*length) as usize)?;
        serde_json::from_slice(text).ok()
    }
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
    /// Not of the policy any more: it is there for those that still hold slots of it.
    pub(in crate::kernel) is_retired: bool,
}

impl RecordedZone {
    pub(in crate::kernel) fn new(
        index: u16,
        zone: &Zone,
        max_entries: u32,
        is_retired: bool,
    ) -> Self {
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
            is_retired,
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

/// One server of an upstream, or the queue of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct RecordedUpstream {
    pub(in crate::kernel) index: u16,
    #[serde(flatten)]
    pub(in crate::kernel) of: Counted,
}

/// What connections of upstreams are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::kernel) enum Counted {
    /// The server at this address and port.
    Server(SocketAddr),
    /// The queue of the upstream of this name.
    Queue(String),
}

/// No version has written a larger record.
const MAX_VALUE_BYTES: usize = 1 << 24;

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

    /// What the map says that is pinned here. None: there is none, nothing was ever written, or it is
    /// not the record of any version.
    ///
    /// This much is for ever, so that every version can tell whether it can read the rest: an array
    /// with one value, whatever its size; four bytes, the length of what follows; an object in JSON
    /// with the member `layout`.
    pub(in crate::kernel) fn pinned(path: &Path) -> Option<Record> {
        let map = MapData::from_pin(path).ok()?;
        let map = map.fd().as_fd();
        let info = MapInfo::of(map).ok()?;
        if !info.is_array_of_one() || info.value_size as usize > MAX_VALUE_BYTES {
            return None;
        }
        Record::from_value(&read_first(map, info.value_size as usize).ok()?)
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
