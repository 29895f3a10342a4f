//! What is counted: from a connection to the key of a zone.

use crate::{addr::Addr, hash::mix};

/// Set of connection properties that make up a zone's key.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyFields(u8);

impl KeyFields {
    /// No variable: a constant key, one for the whole zone.
    pub const NONE: Self = Self(0);
    /// Client address (`$binary_remote_addr`, `$remote_addr`).
    pub const REMOTE_ADDR: Self = Self(1);
    /// Local address (`$server_addr`).
    pub const SERVER_ADDR: Self = Self(1 << 1);
    /// Local port (`$server_port`).
    pub const SERVER_PORT: Self = Self(1 << 2);
    /// Name of the matching server (`$server_name`).
    pub const SERVER_NAME: Self = Self(1 << 3);

    /// The key is empty: connections are not accounted (nginx: "requests with an empty key value are
    /// not accounted").
    pub const EMPTY: Self = Self(1 << 7);

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as bits.
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From [`Self::bits`].
    #[inline(always)]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether every field of `other` is in the set.
    #[inline(always)]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How the key of one connection is made: what of it, and how much of the client address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyShape {
    /// What the zone counts by.
    pub fields: KeyFields,
    /// Leading bits of the client address in its 128-bit form ([`Addr`]), 0 to 128.
    pub bits: u8,
}

const _: () = assert!(size_of::<KeyShape>() == 2);

impl KeyShape {
    /// With the whole client address.
    #[must_use]
    pub const fn whole(fields: KeyFields) -> Self {
        Self { fields, bits: 128 }
    }

    /// As a number, for a function of the BPF machine to take.
    #[inline(always)]
    pub const fn to_word(self) -> u32 {
        self.fields.bits() as u32 | (self.bits as u32) << 8
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self {
            fields: KeyFields::from_bits(word as u8),
            bits: (word >> 8) as u8,
        }
    }
}

/// The properties of one connection that keys are built from. Addresses and ports are those that
/// the socket sees.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Client address.
    pub remote: Addr,
    /// Local address.
    pub local: Addr,
    /// Client port, host order.
    pub remote_port: u16,
    /// Local port, host order.
    pub local_port: u16,
    /// Explicit padding, 0.
    pub padding: u32,
}

const _: () = assert!(size_of::<Connection>() == 40);

/// Key of a zone's map. Fields that the zone does not count by are zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneKey {
    remote: Addr,
    local: Addr,
    /// Local port, and index of the server plus one in the upper half.
    place: u32,
    /// Not part of the key.
    padding: u32,
}

/// What the map has of a [`ZoneKey`]. Nine words: the kernel hashes three at a time, so a tenth
/// would cost a round more (kernel/bpf/hashtab.c, htab_map_hash; include/linux/jhash.h, jhash2).
pub type ZoneKeyWords = [u32; 9];

const _: () = assert!(size_of::<ZoneKey>() == size_of::<ZoneKeyWords>() + 4);
const _: () = assert!(core::mem::offset_of!(ZoneKey, place) == 32);

impl ZoneKey {
    /// The key under which a connection to `server` counts in a zone that makes keys like this.
    #[inline(always)]
    pub fn new(shape: KeyShape, connection: &Connection, server: u16) -> Self {
        // Masks, not branches: each branch would double what the verifier has to look at.
        let mask = |field| 0_u64.wrapping_sub(u64::from(shape.fields.contains(field)));
        let addr = |addr: Addr, mask| addr.and([mask, mask]);
        let remote = connection.remote.prefix(shape.bits);
        Self {
            remote: addr(remote, mask(KeyFields::REMOTE_ADDR)),
            local: addr(connection.local, mask(KeyFields::SERVER_ADDR)),
            place: u32::from(connection.local_port) & mask(KeyFields::SERVER_PORT) as u32
                | (u32::from(server) + 1) << 16 & mask(KeyFields::SERVER_NAME) as u32,
            padding: 0,
        }
    }

    /// Client address.
    #[inline(always)]
    pub const fn remote(&self) -> Addr {
        self.remote
    }

    /// Local address.
    #[inline(always)]
    pub const fn local(&self) -> Addr {
        self.local
    }

    /// Local port, host order.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        self.place as u16
    }

    /// Index of the server; `None` if the zone does not count by it.
    #[inline(always)]
    pub const fn server(&self) -> Option<u16> {
        ((self.place >> 16) as u16).checked_sub(1)
    }

    /// Hash of the key, for other tables than the zone's map.
    #[inline(always)]
    pub const fn hash(&self, seed: u64) -> u64 {
        let [a, b] = self.remote.halves();
        let [c, d] = self.local.halves();
        mix(mix(mix(mix(mix(seed, a), b), c), d), self.place as u64)
    }
}

impl From<ZoneKeyWords> for ZoneKey {
    fn from([a, b, c, d, e, f, g, h, place]: ZoneKeyWords) -> Self {
        Self {
            remote: Addr::from_v6_words([a, b, c, d]),
            local: Addr::from_v6_words([e, f, g, h]),
            place,
            padding: 0,
        }
    }
}

impl From<ZoneKey> for ZoneKeyWords {
    fn from(key: ZoneKey) -> Self {
        let [a, b, c, d] = key.remote().words();
        let [e, f, g, h] = key.local().words();
        [a, b, c, d, e, f, g, h, key.place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_what_the_zone_counts_by() {
        let connection = Connection {
            remote: Addr::from_v6_words([1, 2, 3, 4]),
            local: Addr::from_v4_word(5),
            remote_port: 6,
            local_port: 7,
            padding: 0,
        };
        let all = KeyFields::REMOTE_ADDR
            .union(KeyFields::SERVER_ADDR)
            .union(KeyFields::SERVER_PORT)
            .union(KeyFields::SERVER_NAME);
        let key = ZoneKey::new(KeyShape::whole(all), &connection, 8);
        assert_eq!(
            (key.remote(), key.local()),
            (connection.remote, connection.local)
        );
        assert_eq!((key.port(), key.server()), (7, Some(8)));
        assert_eq!(ZoneKey::from(ZoneKeyWords::from(key)), key);
        let none = ZoneKey::new(KeyShape::whole(KeyFields::NONE), &connection, 8);
        assert_eq!(none, ZoneKey::default());
        assert_eq!(none.server(), None);
    }

    #[test]
    fn the_words_are_the_key_as_it_stands_in_memory() {
        let connection = Connection {
            remote: Addr::from_v6_words([1, 2, 3, 4]),
            ..Connection::default()
        };
        let shape = KeyShape::whole(KeyFields::REMOTE_ADDR);
        let key = ZoneKey::new(shape, &connection, 0);
        // SAFETY: nine words at the start of a larger struct of integers.
        let words = unsafe { core::ptr::from_ref(&key).cast::<ZoneKeyWords>().read() };
        assert_eq!(words, ZoneKeyWords::from(key));
    }
}
