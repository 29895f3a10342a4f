//! What the maps are like, as numbers that tell one version of limiter whether it may go on with the
//! maps of another.
//!
//! What counts is what a byte in a map means. The compiler writes that down in the object's BTF: the
//! name, the offset and the type of every field of every key and value. The fingerprint is a hash of
//! all of it, so a field that is added, moved, resized or renamed makes another number, and an edit of
//! a comment or of a program does not. Hashing the sources instead would do so, and every upgrade
//! would count connections anew. Hashing the sizes, as a loader checks them, would let two fields of
//! the same size change places unseen.
//!
//! BTF does not see *into* a word: how [`Occupancy`] and [`KeyRef`] are packed, how a zone's key
//! becomes [`ZoneKeyWords`], by which hash a slot of `ATTEMPTS` is found. For these there is
//! [`ABI_VERSION`], to be raised by hand, and a test below that fails until somebody does.
//!
//! [`Occupancy`]: limiter_common::entry::Occupancy
//! [`KeyRef`]: limiter_common::token::KeyRef
//! [`ZoneKeyWords`]: limiter_common::key::ZoneKeyWords

use std::{collections::BTreeMap, sync::OnceLock};

use limiter_common::{ABI_VERSION, names::MAP_ZONE_COUNTERS};

use super::{btf, object, pins::RECORD_FORM};
use crate::fnv::fnv1a;

/// Fingerprints of the maps that this version makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Of all maps, and of what stands in them. With another number nothing but the record and,
    /// perhaps, the counters can be read.
    pub(super) all: u64,
    /// Of the zones' counters alone.
    pub(super) counters: u64,
}

/// The layout of the embedded object.
pub(super) fn layout() -> Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    *LAYOUT.get_or_init(|| {
        let maps = object::btf().and_then(|btf| btf::describe_maps(&btf));
        of(&maps.unwrap_or_else(whole_object))
    })
}

fn of(maps: &BTreeMap<String, String>) -> Layout {
    let fingerprint = |maps: &[(&String, &String)]| {
        let text = format!("{ABI_VERSION} {RECORD_FORM} {maps:?}");
        fnv1a(text.as_bytes())
    };
    let counters = maps.get_key_value(MAP_ZONE_COUNTERS);
    Layout {
        all: fingerprint(&maps.iter().collect::<Vec<_>>()),
        counters: fingerprint(&counters.into_iter().collect::<Vec<_>>()),
    }
}

/// Without BTF, which a test makes sure is there: nothing but the same object is alike.
fn whole_object() -> BTreeMap<String, String> {
    let hash = format!("{:x}", fnv1a(object::bytes()));
    [String::new(), MAP_ZONE_COUNTERS.to_owned()]
        .map(|name| (name, hash.clone()))
        .into()
}

#[cfg(test)]
mod tests {
    use limiter_common::{
        addr::Addr,
        attempt::Endpoint,
        entry::Occupancy,
        key::{Connection, KeyFields, KeyShape, ZoneKey, ZoneKeyWords},
        names::MAPS,
        policy::{Halves, PortEntry},
        token::KeyRef,
    };

    use super::*;

    fn maps() -> BTreeMap<String, String> {
        let btf = object::btf().expect("the object has BTF");
        btf::describe_maps(&btf).expect("the BTF is whole")
    }

    #[test]
    fn every_map_is_described_to_its_fields() {
        let maps = maps();
        let names: Vec<&str> = maps.keys().map(String::as_str).collect();
        // TARGET and NEXT have no types of their own, but they are definitions, too.
        for name in MAPS {
            assert!(names.contains(&name), "{name}");
        }
        let zones = &maps["ZONES"];
        assert!(zones.contains("occupancy@0 "), "{zones}");
        assert!(zones.contains("refusals@64 "), "{zones}");
        let tokens = &maps["TOKENS"];
        assert!(tokens.contains("opened_ns@384 "), "{tokens}");
        assert!(tokens.contains("charges@448 "), "{tokens}");
    }

    #[test]
    fn fields_that_change_places_make_another_layout() {
        let maps = maps();
        let before = of(&maps);
        let mut swapped = maps.clone();
        let zones = swapped.get_mut("ZONES").expect("a map");
        *zones = zones
            .replace("refusals@64 ", "x@64 ")
            .replace("recount@128 ", "refusals@128 ")
            .replace("x@64 ", "recount@64 ");
        let after = of(&swapped);
        assert_ne!(after.all, before.all);
        assert_eq!(after.counters, before.counters);
    }

    #[test]
    fn btf_that_is_cut_off_is_no_layout() {
        let btf = object::btf().expect("the object has BTF");
        for length in [0, 4, 23, 24, 100, btf.len() / 2] {
            assert!(btf::describe_maps(&btf[..length]).is_none(), "{length}");
        }
    }

    /// What BTF cannot tell. If this has to be changed, raise `ABI_VERSION` in limiter-common: a
    /// daemon of the version before must not read such words, nor its words be read.
    #[test]
    fn words_mean_what_they_meant() {
        let connection = Connection {
            remote: Addr::from_v6_words([1, 2, 3, 4]),
            local: Addr::from_v4_word(5),
            remote_port: 6,
            local_port: 7,
            padding: 0,
        };
        let shape = KeyShape {
            fields: KeyFields::from_bits(15),
            bits: 64,
        };
        let occupancy = Occupancy {
            generation: 3,
            connections: 4,
        };
        let key = ZoneKey::new(shape, &connection, 9);
        let words = format!(
            "{ABI_VERSION} {:x} {:?} {:?} {:?} {:?} {:?}",
            occupancy.word(),
            KeyRef::new(8, shape, 9),
            ZoneKeyWords::from(key),
            Halves::only(1).with_next(),
            PortEntry::from_word(0x0102_0304),
            Endpoint::of(&connection, 10),
        );
        assert_eq!(
            words,
            "1 300000004 KeyRef(272369928) [1, 2, 0, 0, 0, 0, 4294901760, 5, 655367] Halves(3) \
             PortEntry { server: 772, class: 258 } \
             Endpoint { hash: 10362534810975544895, seed: 10 }"
        );
    }
}
