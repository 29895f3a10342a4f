//! What the daemon tells the programs.
//!
//! The policy stands in two halves; [`Control::halves`] names the half in force. The daemon writes
//! the idle half and switches with one write, so that a program sees the old policy or the new
//! one, never a mixture.
//!
//! Zones and servers are known by an *index* here, which they keep for as long as they exist,
//! whatever their position in the configuration.

use crate::{
    addr::Addr,
    key::{Connection, KeyFields, KeyShape},
    token::KeyRef,
};

/// Zones at the most.
pub const MAX_ZONES: u32 = 64;
/// Servers at the most.
pub const MAX_SERVERS: u32 = 256;
/// Places for zones: those of two policies, because a new one gets its places before the old one
/// gives up its own.
pub const MAX_ZONE_INDICES: u32 = 2 * MAX_ZONES;
/// Places for servers.
pub const MAX_SERVER_INDICES: u32 = 2 * MAX_SERVERS;
/// Limits of one server at the most.
pub const MAX_LIMITS: usize = 8;
/// Exempt networks and overrides of all servers together, at the most.
pub const MAX_NETWORKS: usize = 4_096;
/// `listen` entries with an address at the most; a range of ports is one.
pub const MAX_LISTENERS: u32 = 8_192;
/// Interfaces attached to at a time, at the most.
pub const MAX_INTERFACES: usize = 256;
/// Entries of [`crate::names::MAP_LISTENING`] at the most.
pub const MAX_LISTENING: usize = 16_384;
/// Ports: every value of the 16-bit field.
pub const PORTS: u32 = 65_536;

/// Which half of the policy is in force, and switches for the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Which halves count.
    pub halves: Halves,
    /// Not 0: report connections that pass and close as events, too.
    pub report_passed: u32,
    /// Secret of this run, mixed into hashes that an outsider must not be able to steer.
    pub seed: u64,
    /// Ticks of the kernel's clock per second (`CONFIG_HZ`).
    pub ticks_per_second: u32,
    /// Connections that wait to be closed at the most, over all keys ([`ACTION_CLOSE`]).
    pub max_waiting: u32,
    /// Number of the pass of the audit that is going on, see [`crate::audit::LAST_PASS`]; 0: none.
    pub pass: u32,
    /// Number of the last pass that was begun. The programs do not read it.
    pub last_pass: u32,
}

/// Which half of the policy is in force, and which one is about to be. One word, read at once: no
/// program sees a new policy in force without having charged what came before for it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves(u32);

impl Halves {
    /// This half, 0 or 1, is in force.
    #[inline(always)]
    pub const fn only(half: u32) -> Self {
        Self(half & 1)
    }

    /// The other half will be in force soon: what it asks for is charged already, and refuses
    /// nobody yet.
    #[must_use]
    pub const fn with_next(self) -> Self {
        Self(self.0 | 2)
    }

    /// The same, as it comes after `before`: every change has another number, in the bits above. Whoever
    /// remembers something of a policy sees by it whether anything has changed.
    #[must_use]
    pub const fn following(self, before: Self) -> Self {
        Self(self.0 & 3 | (before.0 & !3).wrapping_add(4))
    }

    /// As a number, for a function of the BPF machine to take.
    #[inline(always)]
    pub const fn to_word(self) -> u32 {
        self.0
    }

    /// The half in force.
    #[inline(always)]
    pub const fn active(self) -> u32 {
        self.0 & 1
    }

    /// The half that will be in force soon, if the policy is just changing.
    #[inline(always)]
    pub const fn next(self) -> Option<u32> {
        if self.0 & 2 == 0 {
            None
        } else {
            Some(1 - self.active())
        }
    }
}

/// What listens on a port: the value of [`crate::names::MAP_PORTS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortEntry {
    /// Index plus one of the server that covers every address of this port; 0: none.
    pub server: u16,
    /// Not 0: the port has listeners with an address, under this class in
    /// [`crate::names::MAP_LISTENERS`].
    pub class: u16,
}

impl PortEntry {
    /// From the four bytes in memory.
    pub const fn from_word(word: u32) -> Self {
        let [a, b, c, d] = word.to_ne_bytes();
        Self {
            server: u16::from_ne_bytes([a, b]),
            class: u16::from_ne_bytes([c, d]),
        }
    }
}

/// Key of [`crate::names::MAP_LISTENERS`]. The value is the server's index plus one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerKey {
    /// Local address; [`Addr::UNSPECIFIED_V4`] and [`Addr::UNSPECIFIED`] stand for every IPv4 and
    /// every IPv6 address.
    pub addr: Addr,
    /// Half of the policy, 0 or 1.
    pub half: u32,
    /// [`PortEntry::class`].
    pub class: u32,
}

/// One `limit_conn ZONE NUMBER`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Connections per key at the most, 1 to 65535.
    pub number: u16,
    /// Index of the zone.
    pub zone: u16,
    /// What the zone counts by.
    pub fields: KeyFields,
    /// Leading bits of an IPv4 client address that the zone counts by, in its 128-bit form.
    pub v4_bits: u8,
    /// The same of an IPv6 client address.
    pub v6_bits: u8,
    /// Not 0: some networks have numbers of their own in [`crate::names::MAP_NETWORKS`].
    pub has_overrides: u8,
}

impl Limit {
    /// Under which key a connection counts to the server with this index.
    #[inline(always)]
    pub const fn key_ref(&self, connection: &Connection, server: u16) -> KeyRef {
        KeyRef::new(self.zone, self.shape(connection), server)
    }

    /// How the key of this connection is made.
    #[inline(always)]
    pub const fn shape(&self, connection: &Connection) -> KeyShape {
        KeyShape {
            fields: self.fields,
            bits: connection.remote.pick(self.v4_bits, self.v6_bits),
        }
    }
}

/// Key of [`crate::names::MAP_NETWORKS`], a trie of prefixes, behind the number of bits that count.
/// The value is the number of connections for clients of the network, or [`ORDINARY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Half of the policy, server and limit that it is for.
    scope: u32,
    addr: [u32; 4],
}

/// Stands for a limit where a network is for all of them: its clients are not accounted.
pub const EXEMPT: u8 = u8::MAX;
/// Clients of the network are treated like everybody, although it is part of a larger one.
pub const ORDINARY: u32 = u32::MAX;

impl Network {
    /// Bits that count for a network with so many leading bits of the 128.
    #[inline(always)]
    pub const fn bits(leading: u8) -> u32 {
        u32::BITS + leading as u32
    }

    /// Half of the policy, limit (or [`EXEMPT`]), index of the server, and address.
    pub const fn parts(&self) -> (u8, u8, u16, Addr) {
        let addr = Addr::from_v6_words(self.addr);
        let scope = self.scope;
        ((scope >> 24) as u8, (scope >> 16) as u8, scope as u16, addr)
    }

    /// Of the limit at this position of the server, or [`EXEMPT`].
    #[inline(always)]
    pub const fn new(server: &ServerPolicy, limit: u8, addr: &Addr) -> Self {
        Self {
            scope: (server.half as u32) << 24 | (limit as u32) << 16 | server.index as u32,
            addr: addr.words(),
        }
    }
}

/// One server: the value of [`crate::names::MAP_SERVERS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerPolicy {
    /// How many of `limits` are in use.
    pub limit_count: u16,
    /// Index of the server.
    pub index: u16,
    /// Half of the policy that this stands in, 0 or 1.
    pub half: u8,
    /// Not 0: account and report, but refuse nobody.
    pub dry_run: u8,
    /// One of the `ACTION_` values.
    pub action: u8,
    /// Not 0: some networks are not accounted, see [`EXEMPT`].
    pub has_exemptions: u8,
    /// In the order of the configuration.
    pub limits: [Limit; MAX_LIMITS],
}

/// An attempt is dropped silently.
pub const ACTION_DROP: u8 = 0;
/// An attempt is answered with a RST.
pub const ACTION_RESET: u8 = 1;
/// An attempt is accepted by the daemon, which closes the connection after a while.
pub const ACTION_CLOSE: u8 = 2;

/// Key of [`crate::names::MAP_LISTENING`]: where sockets listen, in one network namespace. The value
/// is [`LISTENING_LIMITED`] or [`LISTENING_FOREIGN`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listening {
    /// Local address; [`Addr::UNSPECIFIED_V4`] for every IPv4 address, [`Addr::UNSPECIFIED`] for
    /// every address.
    pub addr: Addr,
    /// Local port, host order.
    pub port: u32,
    /// Port of the socket that refused attempts of the network namespace are brought to, host
    /// order: another one in each, because nothing else tells a program where it runs.
    pub target_port: u32,
}

/// What listens there is of the attached cgroups.
pub const LISTENING_LIMITED: u32 = 1;
/// Something listens there that is not, or not all of it.
pub const LISTENING_FOREIGN: u32 = 0;

const _: () = assert!(size_of::<Control>() == 32);
const _: () = assert!(size_of::<Listening>() == 24);
const _: () = assert!(size_of::<PortEntry>() == 4);
const _: () = assert!(size_of::<ListenerKey>() == 24);
const _: () = assert!(size_of::<Limit>() == 8);
const _: () = assert!(size_of::<Network>() == 20);
const _: () = assert!(size_of::<ServerPolicy>() == 8 + 8 * MAX_LIMITS);
