//! The embedded object, and how it is loaded.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, IterableMap as _, Map, MapData},
    programs::SkLookup,
};
use limiter_common::{
    entry::ZoneEntry,
    key::ZoneKeyWords,
    names::{
        MAP_EVENTS, MAP_EXCESS, MAP_HELD_SYNS, MAP_NEW_LISTENERS, MAP_NEXT, MAP_OUTGOING,
        MAP_TARGET, MAP_TOKENS, MAP_WAITERS, MAPS, PROGRAM_DIVERT,
    },
};

use super::{
    error::{Context, KernelError},
    pins::Pins,
    raw::Raw,
    syscall::MapInfo,
    twin,
};

mod programs;

pub(super) use self::programs::{
    descriptor, load_outgoing, load_programs, program, storage, verify,
};

/// Built by `cargo xtask build-ebpf` from limiter-ebpf.
static OBJECT: &[u8] = aya::include_bytes_aligned!("object/limiter.bpf.o");

/// One page; the loader rounds up where pages are larger.
const SMALLEST_RING_BYTES: u32 = 4096;

/// Makes the maps of the object, or takes those that are pinned. With `debug` the programs write
/// debug output.
pub(super) fn load(debug: bool, pins: Option<&Pins>) -> Result<Ebpf, KernelError> {
    let mut loader = loader(debug);
    if let Some(pins) = pins {
        for map in MAPS.iter().filter(|map| outlives(map)) {
            loader.map_pin_path(map, pins.map(map));
        }
    }
    loader
        .load(OBJECT)
        .context("load", "the eBPF object")
        .map_err(explain)
}

/// The maps of one network namespace live as long as the daemon's socket there.
fn outlives(map: &str) -> bool {
    MAPS.contains(&map) && !matches!(map, MAP_TARGET | MAP_NEXT)
}

/// Every map that outlives the daemon, with its kind and size.
pub(super) fn lasting_maps() -> Vec<(String, MapInfo)> {
    let object = aya_obj::Object::parse(OBJECT);
    let maps = object.into_iter().flat_map(|object| object.maps);
    maps.filter(|(name, _)| outlives(name))
        .map(|(name, map)| {
            let info = MapInfo {
                map_type: map.map_type(),
                key_size: map.key_size(),
                value_size: map.value_size(),
                max_entries: map.max_entries(),
                ..MapInfo::default()
            };
            (name, info)
        })
        .collect()
}

/// The BTF of the object. None: it cannot be read.
pub(super) fn btf() -> Option<Vec<u8>> {
    let object = aya_obj::Object::parse(OBJECT).ok()?;
    Some(object.btf?.to_bytes())
}

/// The object.
pub(super) fn bytes() -> &'static [u8] {
    OBJECT
}

/// Makes the map of one zone.
pub(super) fn create_zone_map(
    template: &ZoneMap,
    name: &str,
    max_entries: u32,
) -> Result<ZoneMap, KernelError> {
    const OPERATION: &str = "make the map of zone";
    let map = twin::of(template.map().fd().as_fd(), max_entries)
        .context(OPERATION, name)
        .map_err(|error| {
            explain(error).hint("the zone may be larger than the memory that is free")
        })?;
    let map = MapData::from_fd(map).context(OPERATION, name)?;
    Map::LruHashMap(map).try_into().context(OPERATION, name)
}

/// Loads `limiter_divert` once more, with maps of its own.
pub(super) fn load_divert() -> Result<Ebpf, KernelError> {
    let mut ebpf = small_loader()
        .load(OBJECT)
        .context("load program", PROGRAM_DIVERT)
        .map_err(explain)?;
    program::<SkLookup>(&mut ebpf, PROGRAM_DIVERT)?
        .load()
        .context("load program", PROGRAM_DIVERT)
        .map_err(explain)?;
    Ok(ebpf)
}

/// A loader for the sake of one map or program. It makes all maps of the object: as small as they
/// can be, because most of them only live for a moment.
fn small_loader<'a>() -> EbpfLoader<'a> {
    let mut loader = loader(false);
    for map in MAPS {
        match map {
            // Their size must be 0.
            MAP_TOKENS | MAP_WAITERS | MAP_OUTGOING => {}
            MAP_EVENTS | MAP_EXCESS | MAP_HELD_SYNS | MAP_NEW_LISTENERS => {
                loader.map_max_entries(map, SMALLEST_RING_BYTES);
            }
            _ => {
                loader.map_max_entries(map, 1);
            }
        }
    }
    loader
}

/// The map of one zone. (aya has one type for hash maps with and without LRU.)
pub(super) type ZoneMap = HashMap<MapData, Raw<ZoneKeyWords>, Raw<ZoneEntry>>;

const LOG_DEBUG: u8 = aya_log::Level::Debug as u8;
const LOG_OFF: u8 = 0;

fn loader<'a>(debug: bool) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    // A constant for the verifier: output that is off is not even part of the program.
    let level = if debug { &LOG_DEBUG } else { &LOG_OFF };
    loader.override_global(aya_log::LEVEL, level, false);
    loader
}

/// The oldest version on which all programs are known to load, by `cargo xtask verify`.
const OLDEST: &str = "6.1";

/// Release of the running kernel, for messages only: distributions carry features back.
fn release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |error| format!("of an unknown release ({error})"),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Adds what usually helps.
pub(super) fn explain(error: KernelError) -> KernelError {
    if error.hint.is_some() {
        return error;
    }
    let lower = error.cause.to_lowercase();
    if lower.contains("the verifier's log") {
        // It says "permission denied", too, and means the program, not us.
        error.hint(format_args!(
            "limiter is known to work from Linux {OLDEST} on; this is Linux {}",
            release()
        ))
    } else if lower.contains("permission denied") || lower.contains("operation not permitted") {
        error.hint(
            "limiter needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN; \
             a locked-down kernel may refuse even then",
        )
    } else if lower.contains("invalid argument") {
        error.hint(format_args!(
            "limiter needs Linux {OLDEST} or later with CONFIG_DEBUG_INFO_BTF and CONFIG_CGROUP_BPF; \
             this is Linux {}",
            release()
        ))
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use limiter_common::names::{MAP_ZONE_TEMPLATE, PROGRAMS};

    use super::*;

    #[test]
    fn every_name_stands_in_the_object() {
        let object = aya_obj::Object::parse(OBJECT).expect("the object is whole");
        let programs: BTreeSet<_> = object.programs.keys().map(String::as_str).collect();
        assert_eq!(programs, BTreeSet::from(PROGRAMS));
        // The rest belongs to the log, and to constants.
        let maps: BTreeSet<_> = object
            .maps
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with('.') && *name != "AYA_LOGS")
            .collect();
        let known = MAPS.into_iter().chain([MAP_ZONE_TEMPLATE]).collect();
        assert_eq!(maps, known);
    }

    #[test]
    fn the_programs_are_compatible_with_the_gpl() {
        let object = aya_obj::Object::parse(OBJECT).expect("the object is whole");
        assert_eq!(object.license.to_bytes(), b"Dual MIT/GPL");
    }

    #[test]
    fn a_program_that_the_verifier_refuses_wants_another_kernel_and_no_capability() {
        let hint = |cause: &str| {
            let error = explain(KernelError::new("load program", "limiter_count", cause));
            error.hint.expect("a hint")
        };
        let refused = hint("Permission denied (os error 13); the verifier's log ends: R2 type=mem");
        assert!(refused.contains("from Linux 6.1 on"), "{refused}");
        assert!(hint("Permission denied (os error 13)").contains("CAP_BPF"));
    }
}
