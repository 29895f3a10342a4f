//! What is counted, and where.

use std::{fmt, net::IpAddr};

use limiter_common::{entry::BYTES_PER_KEY, key::KeyFields};
use serde::{Deserialize, Serialize};

/// `limit_conn_zone KEY zone=NAME:SIZE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Name, unique.
    pub name: String,
    /// What is counted.
    pub key: Key,
    /// Configured size, bytes.
    pub size_bytes: u64,
    /// What of the client address is counted.
    pub prefixes: Prefixes,
    /// What becomes of a new key when the zone is full.
    pub on_full: OnFull,
}

impl Zone {
    /// Live keys at the most.
    pub fn capacity(&self) -> u64 {
        self.size_bytes / BYTES_PER_KEY
    }

    /// Whether both count connections under the same keys, whatever their size.
    pub fn counts_like(&self, other: &Self) -> bool {
        self.key.fields == other.key.fields
            && self.key.empty == other.key.empty
            && self.client_prefixes() == other.client_prefixes()
    }

    /// Whether both have room for the same number of keys, and do the same if there is none.
    pub fn is_sized_like(&self, other: &Self) -> bool {
        self.capacity() == other.capacity() && self.on_full == other.on_full
    }

    /// The prefixes, if the client address is in the key.
    pub fn client_prefixes(&self) -> Option<Prefixes> {
        self.key.has_client().then_some(self.prefixes)
    }
}

/// KEY: text, variables, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written, for instance `$binary_remote_addr$server_port`.
    pub text: String,
    /// The variables in it. Constant parts (text, `$protocol`) distinguish nothing within a zone.
    pub fields: KeyFields,
    /// The key is the empty string: connections are not accounted.
    pub empty: bool,
}

impl Key {
    /// Whether the client address is in it. Only then prefixes and overrides mean something.
    pub fn has_client(&self) -> bool {
        self.fields.contains(KeyFields::REMOTE_ADDR)
    }
}

/// `v4_prefix=N v6_prefix=N`: the client address is cut to so many bits before it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of IPv4 addresses, 0 to 32.
    pub v4: u8,
    /// Of IPv6 addresses, 0 to 128.
    pub v6: u8,
}

impl Prefixes {
    /// Whole addresses.
    pub const WHOLE: Self = Self { v4: 32, v6: 128 };

    /// How many bits of this address are counted, if not all.
    pub fn shorter_than(self, addr: IpAddr) -> Option<u8> {
        let (bits, whole) = match addr {
            IpAddr::V4(_) => (self.v4, Self::WHOLE.v4),
            IpAddr::V6(_) => (self.v6, Self::WHOLE.v6),
        };
        (bits < whole).then_some(bits)
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// `on_full=`: what becomes of a new key when the zone is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// It is refused.
    #[default]
    Reject,
    /// Another key makes room for it.
    Evict,
}

impl OnFull {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Evict => "evict",
        }
    }
}

impl fmt::Display for OnFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
