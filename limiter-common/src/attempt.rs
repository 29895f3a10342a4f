//! Recognises the packets of one connection attempt, so that a refused attempt counts once.
//!
//! A client that is refused silently sends its SYN again, with the same ports and the same initial
//! sequence number (RFC 9293 §3.8.1). A client whose final ACK is refused believes it is connected:
//! it sends that ACK again for every repeated SYN-ACK, and its data, all of which acknowledge the
//! same server sequence number. Fingerprints of refused attempts go into a table in which each new
//! one replaces the one in its slot; a replaced fingerprint only means that a later retransmission
//! counts as an attempt of its own.
//!
//! The slot is that of the client's port, counted from a random place of client and endpoint. So the
//! ports of one client never take each other's slots, and a client that takes one port after the
//! other, as a flood does and as the kernel does by and large, goes through the table word by word: its next
//! slots are in the caches already.
//!
//! [`Endpoint`] says where attempts have been refused a moment ago.

use crate::{
    hash::term,
    key::Connection,
    packet::{Handshake, Segment},
};

/// Slots of the table. A power of two.
pub const SLOTS: u32 = 65_536;

/// A hash of a local address and port.
///
/// An interface also sees packets that are forwarded, or whose destination is translated. So the
/// program there refuses only what a hook at a listener has refused in the same [`Epoch`]: a
/// destination at which a socket of the attached cgroups listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    hash: u64,
    seed: u64,
}

/// Slots of the table of endpoints. A power of two.
pub const ENDPOINT_SLOTS: u32 = 4_096;

/// A stretch of time: from a quarter of a second to three seconds, as long as 256 ticks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u16);

impl Epoch {
    /// The one that this moment, in ticks, belongs to.
    #[inline(always)]
    pub const fn of(ticks: u64) -> Self {
        Self((ticks >> 8) as u16)
    }
}

impl Endpoint {
    /// Of the local end.
    #[inline(always)]
    pub const fn of(connection: &Connection, seed: u64) -> Self {
        let [a, b] = connection.local.halves();
        let hash = term(seed, a, 0)
            .wrapping_add(term(seed, b, 1))
            .wrapping_add(term(seed, connection.local_port as u64, 2));
        Self { hash, seed }
    }

    /// Slot of the table, below [`ENDPOINT_SLOTS`].
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        (self.hash >> 40) as u32 & (ENDPOINT_SLOTS - 1)
    }

    /// The word that stands in the slot if an attempt has been refused there in this epoch.
    #[inline(always)]
    pub const fn refused_in(self, epoch: Epoch) -> u64 {
        self.hash & !(u16::MAX as u64) | epoch.0 as u64
    }
}

/// A hash of a client's address and of an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The hash.
    pub hash: u64,
    seed: u64,
}

impl Client {
    /// The one that begins a connection to this endpoint, which is the local end of it.
    #[inline(always)]
    pub const fn at(endpoint: Endpoint, connection: &Connection) -> Self {
        let Endpoint { hash, seed } = endpoint;
        let [a, b] = connection.remote.halves();
        let hash = hash
            .wrapping_add(term(seed, a, 3))
            .wrapping_add(term(seed, b, 4));
        Self { hash, seed }
    }
}

/// What an attempt is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// A hash of the attempt, never 0.
    pub hash: u64,
    place: u32,
}

impl Fingerprint {
    /// Of the attempt that began with the SYN of this sequence number.
    #[inline(always)]
    pub fn of_syn(segment: &Segment, client: Client) -> Self {
        let sequence = match segment.handshake {
            Handshake::Syn => segment.sequence,
            // The pure ACK follows the SYN by one (RFC 9293 §3.5).
            Handshake::Completion | Handshake::Other => segment.sequence.wrapping_sub(1),
        };
        Self::new(segment, client, u64::from(sequence), 0)
    }

    /// Of the handshake whose SYN-ACK this segment acknowledges. Its slot is another one: those of
    /// SYNs from the ports that clients have are in the other half.
    #[inline(always)]
    pub fn of_completion(segment: &Segment, client: Client) -> Self {
        let number = u64::from(segment.acknowledgement) | 1 << 32;
        Self::new(segment, client, number, SLOTS / 2)
    }

    /// Slot of the table, below [`SLOTS`].
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.place & (SLOTS - 1)
    }

    #[inline(always)]
    fn new(segment: &Segment, client: Client, number: u64, offset: u32) -> Self {
        let port = segment.connection.remote_port;
        let rest = number << 16 | u64::from(port);
        let Client { hash, seed } = client;
        let first = (hash >> 40) as u32;
        Self {
            hash: hash.wrapping_add(term(seed, rest, 5)) | 1,
            place: first.wrapping_add(offset + u32::from(port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{addr::Addr, key::Connection};

    fn segment(handshake: Handshake, remote_port: u16, sequence: u32, ack: u32) -> Segment {
        Segment {
            connection: Connection {
                remote: Addr::from_v4_word(1),
                local: Addr::from_v4_word(2),
                remote_port,
                local_port: 443,
                padding: 0,
            },
            handshake,
            sequence,
            acknowledgement: ack,
        }
    }

    fn endpoint(seed: u64) -> Endpoint {
        Endpoint::of(&segment(Handshake::Syn, 1, 41, 0).connection, seed)
    }

    fn client(seed: u64) -> Client {
        Client::at(
            endpoint(seed),
            &segment(Handshake::Syn, 1, 41, 0).connection,
        )
    }

    #[test]
    fn a_retransmission_has_the_fingerprint_of_its_attempt() {
        let client = client(5);
        let syn = Fingerprint::of_syn(&segment(Handshake::Syn, 1, 41, 0), client);
        let ack = segment(Handshake::Completion, 1, 42, 99);
        assert_eq!(syn, Fingerprint::of_syn(&ack, client));
        let data = segment(Handshake::Completion, 1, 1_000, 99);
        assert_eq!(
            Fingerprint::of_completion(&ack, client),
            Fingerprint::of_completion(&data, client)
        );
    }

    #[test]
    fn another_attempt_has_another_fingerprint() {
        let one = Fingerprint::of_syn(&segment(Handshake::Syn, 1, 41, 0), client(5));
        for (port, sequence, seed) in [(2, 41, 5), (1, 42, 5), (1, 41, 6)] {
            let other = segment(Handshake::Syn, port, sequence, 0);
            let other = Fingerprint::of_syn(&other, client(seed));
            assert_ne!(one.hash, other.hash);
        }
    }

    #[test]
    fn ports_of_a_client_have_slots_of_their_own_side_by_side() {
        let slot = |port| {
            let syn = segment(Handshake::Syn, port, 41, 0);
            Fingerprint::of_syn(&syn, client(5)).slot()
        };
        let first = slot(0);
        for port in [1, 2, 32_768, u16::MAX] {
            assert_eq!(slot(port), (first + u32::from(port)) % SLOTS);
        }
    }

    #[test]
    fn a_handshake_does_not_take_the_slots_of_attempts() {
        let ack = segment(Handshake::Completion, 40_000, 42, 99);
        let by_completion = Fingerprint::of_completion(&ack, client(5));
        // From the first port of Linux to the last (net/ipv4/af_inet.c, inet_init_net).
        for port in 32_768..=60_999 {
            let syn = segment(Handshake::Syn, port, 41, 0);
            let by_syn = Fingerprint::of_syn(&syn, client(5));
            assert_ne!(by_syn.slot(), by_completion.slot());
        }
    }

    #[test]
    fn an_endpoint_is_known_by_address_port_and_epoch() {
        let here = endpoint(5);
        let now = Epoch::of(1_000);
        let mut elsewhere = segment(Handshake::Syn, 1, 41, 0).connection;
        elsewhere.local_port += 1;
        let other_port = Endpoint::of(&elsewhere, 5);
        elsewhere.local_port -= 1;
        elsewhere.local = Addr::from_v4_word(3);
        let other_addr = Endpoint::of(&elsewhere, 5);
        for other in [other_port, other_addr, endpoint(6)] {
            assert_ne!(here.refused_in(now), other.refused_in(now));
        }
        assert_eq!(here.refused_in(now), here.refused_in(Epoch::of(1_023)));
        assert_ne!(here.refused_in(now), here.refused_in(Epoch::of(1_024)));
    }
}
