//! What another daemon has left: whether it can be taken over, and what can be read if not.
//!
//! It can only be taken over whole. Without its map of tokens, no connection that it counted would
//! ever be given back; without its program at a cgroup, what was closed since would count for ever. Then
//! a set of our own counts what is open, and takes its place. That is always right, and loses at the most
//! the counters.

use std::{collections::HashSet, os::fd::AsFd as _, path::Path};

use aya::maps::{ArrayOfMaps, IterableMap as _, Map, MapData, PerCpuArray};
use limiter_common::{
    counters::ZoneCounters,
    names::{MAP_RECORD, MAP_ZONE_COUNTERS, MAP_ZONES, PROGRAM_COUNT, PROGRAM_ENFORCE},
    policy::{MAX_SERVER_INDICES, MAX_ZONE_INDICES},
    upstream::MAX_UPSTREAM_INDICES,
};

use super::{
    cgroup::{Cgroup, Cgroups},
    layout::layout,
    link::Link,
    object::{self, ZoneMap},
    pins::{Pins, Record, RecordMap},
    raw::Raw,
    syscall::MapInfo,
};
use crate::policy::Zone;

/// What is pinned.
pub(super) enum Left {
    /// All of it is there and means what it means to us.
    Whole(Record),
    /// It cannot be taken over.
    Other {
        /// Why, for the log.
        why: String,
        /// What it had counted, if that can be read.
        counted: Option<Counted>,
    },
}

impl Left {
    /// Looks at what is pinned, for a daemon that attaches to these cgroups. Changes nothing.
    pub(super) fn look(pins: &Pins, cgroups: &Cgroups) -> Self {
        let Some(record) = RecordMap::pinned(&pins.map(MAP_RECORD)) else {
            let why = "it has no record that can be read, as if killed before it was ready";
            return Self::Other {
                why: why.to_owned(),
                counted: None,
            };
        };
        match obstacle(pins, &record, cgroups) {
            None => Self::Whole(record),
            Some(why) => Self::Other {
                why,
                counted: Counted::open(pins, record),
            },
        }
    }
}

/// Why it cannot be taken over.
fn obstacle(pins: &Pins, record: &Record, cgroups: &Cgroups) -> Option<String> {
    if record.layout != layout().all {
        let version = &record.version;
        return Some(format!(
            "limiter {version} has made it, with maps of another layout"
        ));
    }
    if !makes_sense(record) {
        return Some("its record names what cannot be".to_owned());
    }
    if record.cgroups != cgroups.paths() {
        return Some("it is at other cgroups".to_owned());
    }
    for (name, expected) in object::lasting_maps() {
        if map_info(&pins.map(&name)).is_none_or(|found| !found.is_like(&expected)) {
            return Some(format!("its map {name} is missing, or is another one"));
        }
    }
    if !has_every_zone(pins, record) {
        return Some("its zones are not those of its record".to_owned());
    }
    for cgroup in cgroups.there().map(Cgroup::id) {
        // Where nobody is refused yet, counts are true all the same.
        let enforce = pins.link(PROGRAM_ENFORCE, cgroup);
        if enforce.exists() && attached_to(&enforce) != Some(cgroup) {
            return Some(not_attached(PROGRAM_ENFORCE, cgroup));
        }
    }
    for &cgroup in &record.counted {
        let attached_to = attached_to(&pins.link(PROGRAM_COUNT, cgroup));
        let is_there = cgroups.there().any(|it| it.id() == cgroup);
        for program in record.outgoing.iter().filter(|_| is_there) {
            if self::attached_to(&pins.link(program, cgroup)) != Some(cgroup) {
                return Some(not_attached(program, cgroup));
            }
        }
        // The kernel detaches from one that is gone when nothing in it is open any more.
        if attached_to != Some(cgroup) && (is_there || attached_to != Some(0)) {
            return Some(not_attached(PROGRAM_COUNT, cgroup));
        }
    }
    None
}

fn attached_to(link: &Path) -> Option<u64> {
    Link::open(link).and_then(|link| link.cgroup()).ok()
}

fn not_attached(program: &str, cgroup: u64) -> String {
    format!("its {program} is not attached to the cgroup with inode number {cgroup} any more")
}

/// Every index is one, and is of one zone or server only.
pub(super) fn makes_sense(record: &Record) -> bool {
    fn all_different(indices: impl Iterator<Item = u16>, end: u32) -> bool {
        let mut seen = HashSet::new();
        let mut indices = indices;
        indices.all(|index| u32::from(index) < end && seen.insert(index))
    }
    let zones = record.zones.iter().map(|zone| zone.index);
    let servers = record.servers.iter().map(|server| server.index);
    let upstreams = record.upstreams.iter().map(|server| server.index);
    all_different(zones, MAX_ZONE_INDICES)
        && all_different(servers, MAX_SERVER_INDICES)
        && all_different(upstreams, MAX_UPSTREAM_INDICES)
}

/// Every zone of the record has its map.
fn has_every_zone(pins: &Pins, record: &Record) -> bool {
    let zones = MapData::from_pin(pins.map(MAP_ZONES)).ok();
    let zones = zones.and_then(|map| ArrayOfMaps::try_from(Map::ArrayOfMaps(map)).ok());
    let Some(zones): Option<ArrayOfMaps<MapData, ZoneMap>> = zones else {
        return false;
    };
    record.zones.iter().all(|zone| {
        let map = zones.get(&zone.index.into(), 0).ok();
        let info = map.and_then(|map| MapInfo::of(map.map().fd().as_fd()).ok());
        info.is_some_and(|info| info.max_entries == zone.max_entries)
    })
}

fn map_info(pin: &Path) -> Option<MapInfo> {
    let map = MapData::from_pin(pin).ok()?;
    MapInfo::of(map.fd().as_fd()).ok()
}

/// The counters of what cannot be taken over, which goes on counting until we have its place.
pub(super) struct Counted {
    record: Record,
    counters: PerCpuArray<MapData, Raw<ZoneCounters>>,
}

impl Counted {
    /// None: they mean something else, or are not there.
    fn open(pins: &Pins, record: Record) -> Option<Self> {
        if record.counters != layout().counters || !makes_sense(&record) {
            return None;
        }
        let (_, expected) = object::lasting_maps()
            .into_iter()
            .find(|(name, _)| name == MAP_ZONE_COUNTERS)?;
        let map = MapData::from_pin(pins.map(MAP_ZONE_COUNTERS)).ok()?;
        let found = MapInfo::of(map.fd().as_fd()).ok()?;
        let counters = found.is_like(&expected).then_some(map)?;
        Some(Self {
            record,
            counters: Map::PerCpuArray(counters).try_into().ok()?,
        })
    }

    /// The daemon's books.
    pub(super) fn books(&self) -> &serde_json::Value {
        &self.record.books
    }

    /// What the zone of this name and key has counted by now. None: there is none, or, in the middle
    /// of a change, more than one.
    pub(super) fn of(&self, zone: &Zone) -> Option<ZoneCounters> {
        let mut alike = self.record.zones.iter().filter(|one| {
            let known = one.zone();
            !one.is_retired && known.name == zone.name && known.counts_like(zone)
        });
        let index = alike.next()?.index;
        if alike.next().is_some() {
            return None;
        }
        let per_cpu = self.counters.get(&index.into(), 0).ok()?;
        Some(
            per_cpu
                .iter()
                .fold(ZoneCounters::default(), |sum, cpu| sum.plus(&cpu.0)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::pins::RecordedServer;

    fn servers(indices: &[u16]) -> Record {
        let server = |&index| RecordedServer {
            index,
            name: index.to_string(),
        };
        Record {
            servers: indices.iter().map(server).collect(),
            ..Record::default()
        }
    }

    #[test]
    fn indices_are_of_one_and_in_their_range() {
        let end = MAX_SERVER_INDICES as u16;
        assert!(makes_sense(&servers(&[])));
        assert!(makes_sense(&servers(&[0, 1, end - 1])));
        assert!(!makes_sense(&servers(&[0, 0])));
        assert!(!makes_sense(&servers(&[end])));
    }
}
