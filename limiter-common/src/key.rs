//! What is counted: from a connection to the key of a zone.

use crate::addr::Addr;

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
}

const _: () = assert!(size_of::<Connection>() == 36);

/// Key of a zone's map. Fields that the zone does not count by are zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneKey {
    /// Client address.
    pub remote: Addr,
    /// Local address.
    pub local: Addr,
    /// Port and server in one word: the kernel reads keys word by word, and would wait for two
    /// halves that have just been written.
    place: u32,
}

// A multiple of four bytes: the kernel hashes such keys word by word (kernel/bpf/hashtab.c,
// htab_map_hash, jhash2).
const _: () = assert!(size_of::<ZoneKey>() == 36 && align_of::<ZoneKey>() == 4);

impl ZoneKey {
    /// The key under which a connection to `server` counts in a zone that counts by `fields`.
    #[inline(always)]
    pub fn new(fields: KeyFields, connection: &Connection, server: u16) -> Self {
        // Masks, not branches: each branch would double what the verifier has to look at.
        let mask = |field| 0_u32.wrapping_sub(u32::from(fields.contains(field)));
        let addr = |addr: Addr, mask: u32| {
            let [a, b, c, d] = addr.words();
            Addr::from_v6_words([a & mask, b & mask, c & mask, d & mask])
        };
        Self {
            remote: addr(connection.remote, mask(KeyFields::REMOTE_ADDR)),
            local: addr(connection.local, mask(KeyFields::SERVER_ADDR)),
            place: u32::from(connection.local_port) & mask(KeyFields::SERVER_PORT)
                | (u32::from(server) + 1) << 16 & mask(KeyFields::SERVER_NAME),
        }
    }

    /// Local port, host order; 0 if the zone does not count by it.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        self.place as u16
    }

    /// Index of the server; `None` if the zone does not count by it.
    #[inline(always)]
    pub const fn server(&self) -> Option<u16> {
        ((self.place >> 16) as u16).checked_sub(1)
    }

    /// Port and server as one number.
    #[inline(always)]
    pub const fn place(&self) -> u32 {
        self.place
    }
}
