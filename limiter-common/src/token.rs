//! What a counted socket remembers, so that it is released from exactly what it was charged for.

use crate::{
    audit::LAST_PASS,
    key::{Connection, KeyFields, KeyShape, ZoneKey},
    policy::{MAX_LIMITS, MAX_SERVER_INDICES, MAX_ZONE_INDICES},
};

/// Which key of which zone a connection counts under; with the addresses and ports of the
/// connection, the key. In one word, so that two are compared at once.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRef(u32);

impl KeyRef {
    const ZONE_BITS: u32 = 8;
    const SERVER_BITS: u32 = 10;
    const FIELD_BITS: u32 = 4;
    const SERVER_AT: u32 = Self::ZONE_BITS;
    const FIELDS_AT: u32 = Self::SERVER_AT + Self::SERVER_BITS;
    const PREFIX_AT: u32 = Self::FIELDS_AT + Self::FIELD_BITS;

    /// A key of the zone at index `zone`, made in this way for a connection to the server at index
    /// `server`. Not for zones with an empty key, where nothing is counted.
    #[inline(always)]
    pub const fn new(zone: u16, shape: KeyShape, server: u16) -> Self {
        let fields = shape.fields.bits() as u32 & ((1 << Self::FIELD_BITS) - 1);
        // Unless the key has it, connections to different servers have the same key.
        let named = 0_u32.wrapping_sub((fields / KeyFields::SERVER_NAME.bits() as u32) & 1);
        Self(
            zone as u32 & ((1 << Self::ZONE_BITS) - 1)
                | (server as u32 & named & ((1 << Self::SERVER_BITS) - 1)) << Self::SERVER_AT
                | fields << Self::FIELDS_AT
                | (shape.bits as u32) << Self::PREFIX_AT,
        )
    }

    /// As a number, for a function of the BPF machine to take.
    #[inline(always)]
    pub const fn to_word(self) -> u32 {
        self.0
    }

    /// From [`Self::to_word`].
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// Index of the zone.
    #[inline(always)]
    pub const fn zone(self) -> u16 {
        (self.0 & ((1 << Self::ZONE_BITS) - 1)) as u16
    }

    /// The key.
    #[inline(always)]
    pub fn key(self, connection: &Connection) -> ZoneKey {
        let fields = self.0 >> Self::FIELDS_AT & ((1 << Self::FIELD_BITS) - 1);
        let shape = KeyShape {
            fields: KeyFields::from_bits(fields as u8),
            bits: (self.0 >> Self::PREFIX_AT) as u8,
        };
        let server = self.0 >> Self::SERVER_AT & ((1 << Self::SERVER_BITS) - 1);
        ZoneKey::new(shape, connection, server as u16)
    }
}

const _: () = {
    assert!(MAX_ZONE_INDICES <= 1 << KeyRef::ZONE_BITS);
    assert!(MAX_SERVER_INDICES <= 1 << KeyRef::SERVER_BITS);
    assert!((KeyFields::SERVER_NAME.bits() as u32) < 1 << KeyRef::FIELD_BITS);
    assert!(KeyRef::PREFIX_AT + u8::BITS <= u32::BITS);
};

/// One slot that a socket holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Life of the entry that was charged, see [`crate::entry::Occupancy`]. 0: none.
    pub generation: u32,
    /// Its key.
    pub key: KeyRef,
}

/// Slots that a socket holds at the most: while one policy takes the place of another, those that
/// either asks for.
pub const MAX_CHARGES: usize = 2 * MAX_LIMITS;

/// Value of the socket storage of a counted socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// What the keys are made of.
    pub connection: Connection,
    /// Not 0: the socket has been charged, for whatever the policy asked, and is not closed yet.
    pub is_counted: u16,
    /// [`Token::EXCESS`] or 0.
    pub flags: u16,
    /// The pass of the audit that has counted this connection, with [`Token::MEETING`] while it does; or
    /// [`Token::LEFT`]. Changed atomically.
    pub audited: u32,
    /// When the connection was established, in the clock of [`crate::event::Event::time_ns`]. 0: it
    /// was open before anybody counted, so nobody knows.
    pub opened_ns: u64,
    /// The slots held, in no order.
    pub charges: [Charge; MAX_CHARGES],
}

impl Token {
    /// The connection was established although a limit says no; it holds no slot and the daemon
    /// was asked to destroy it.
    pub const EXCESS: u16 = 1;
    /// In [`Self::audited`], beside the pass: it is just being counted.
    pub const MEETING: u32 = 1 << 31;
    /// Value of [`Self::audited`]: closed while a pass was going on. It is not to be counted.
    pub const LEFT: u32 = u32::MAX;
}

/// Value of the socket storage of the socket that refused attempts are brought to, and, by
/// inheritance, of the connections it accepts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiter {
    /// The slot among the waiting connections of a key; generation 0: none.
    pub charge: Charge,
    /// Not 0: the connection has been counted in [`crate::names::MAP_WAITING`].
    pub is_counted: u32,
    /// Explicit padding, 0.
    pub padding: u32,
}

/// Connections that are adopted at a time: entries of [`crate::names::MAP_CANDIDATES`].
pub const MAX_CANDIDATES: usize = 16_384;

const _: () = assert!(size_of::<Charge>() == 8);
const _: () = assert!(size_of::<Waiter>() == 16);
const _: () = assert!(size_of::<Token>() == 56 + 8 * MAX_CHARGES);
// What the kernel allocates for a socket has 72 bytes before the value (include/linux/
// bpf_local_storage.h, bpf_local_storage_elem and bpf_local_storage_data), and comes in powers of two.
const _: () = assert!(72 + size_of::<Token>() <= 256);
// No pass looks like one that is just meeting a connection, or like one that has left.
const _: () = assert!(LAST_PASS & Token::MEETING == 0 && LAST_PASS | Token::MEETING != Token::LEFT);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Addr;

    #[test]
    fn the_word_gives_the_key_back() {
        let connection = Connection {
            remote: Addr::from_v6_words([1, 2, 3, 4]),
            local: Addr::from_v4_word(5),
            remote_port: 6,
            local_port: 7,
            padding: 0,
        };
        for fields in 0..16 {
            for bits in [0, 1, 64, 127, 128] {
                let shape = KeyShape {
                    fields: KeyFields::from_bits(fields),
                    bits,
                };
                for (zone, server) in [(0, 0), (1, 2), (127, 511)] {
                    let key = KeyRef::new(zone, shape, server);
                    assert_eq!(key.zone(), zone);
                    let expected = ZoneKey::new(shape, &connection, server);
                    assert_eq!(key.key(&connection), expected, "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn the_server_matters_only_where_the_key_has_its_name() {
        let by_address = KeyShape::whole(KeyFields::REMOTE_ADDR);
        assert_eq!(KeyRef::new(1, by_address, 2), KeyRef::new(1, by_address, 3));
        let by_name = KeyShape::whole(KeyFields::SERVER_NAME);
        assert_ne!(KeyRef::new(1, by_name, 2), KeyRef::new(1, by_name, 3));
    }
}
