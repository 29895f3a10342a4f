//! Recognises the packets of one connection attempt, so that a refused attempt counts once.
//!
//! A client that is refused silently sends its SYN again, with the same ports and the same initial
//! sequence number (RFC 9293 §3.8.1). A client whose final ACK is refused believes it is connected:
//! it sends that ACK again for every repeated SYN-ACK, and its data, all of which acknowledge the
//! same server sequence number. Fingerprints of refused attempts go into a table in which each new
//! one replaces the one in its slot; a replaced fingerprint only means that a later retransmission
//! counts as an attempt of its own.

use crate::packet::{Handshake, Segment};

/// Slots of the table. A power of two.
pub const SLOTS: u32 = 65_536;

/// A hash of an attempt, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of the attempt that began with the SYN of this sequence number.
    #[inline(always)]
    pub fn of_syn(segment: &Segment, seed: u64) -> Self {
        let sequence = match segment.handshake {
            Handshake::Syn => segment.sequence,
            // The pure ACK follows the SYN by one (RFC 9293 §3.5).
            Handshake::Completion | Handshake::Other => segment.sequence.wrapping_sub(1),
        };
        Self::new(segment, seed, u64::from(sequence))
    }

    /// Of the handshake whose SYN-ACK this segment acknowledges.
    #[inline(always)]
    pub fn of_completion(segment: &Segment, seed: u64) -> Self {
        Self::new(segment, seed, u64::from(segment.acknowledgement) | 1 << 32)
    }

    /// Slot of the table, below [`SLOTS`].
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        (self.0 >> 40) as u32 & (SLOTS - 1)
    }

    #[inline(always)]
    fn new(segment: &Segment, seed: u64, number: u64) -> Self {
        let connection = &segment.connection;
        let [a, b, c, d] = connection.remote.words();
        let [e, f, g, h] = connection.local.words();
        let ports = u64::from(connection.remote_port) << 16 | u64::from(connection.local_port);
        let mut hash = seed;
        for word in [
            u64::from(a) << 32 | u64::from(b),
            u64::from(c) << 32 | u64::from(d),
            u64::from(e) << 32 | u64::from(f),
            u64::from(g) << 32 | u64::from(h),
            number << 32 | ports,
            number >> 32,
        ] {
            hash = mix(hash, word);
        }
        Self(finish(hash) | 1)
    }
}

/// One multiplication a word, as in FxHash; [`finish`] spreads the result.
#[inline(always)]
pub const fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
#[inline(always)]
pub const fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
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
            },
            handshake,
            sequence,
            acknowledgement: ack,
        }
    }

    #[test]
    fn a_retransmission_has_the_fingerprint_of_its_attempt() {
        let syn = Fingerprint::of_syn(&segment(Handshake::Syn, 1, 41, 0), 5);
        let ack = segment(Handshake::Completion, 1, 42, 99);
        assert_eq!(syn, Fingerprint::of_syn(&ack, 5));
        let data = segment(Handshake::Completion, 1, 1_000, 99);
        assert_eq!(
            Fingerprint::of_completion(&ack, 5),
            Fingerprint::of_completion(&data, 5)
        );
    }

    #[test]
    fn another_attempt_has_another_fingerprint() {
        let one = Fingerprint::of_syn(&segment(Handshake::Syn, 1, 41, 0), 5);
        for (port, sequence, seed) in [(2, 41, 5), (1, 42, 5), (1, 41, 6)] {
            let other = Fingerprint::of_syn(&segment(Handshake::Syn, port, sequence, 0), seed);
            assert_ne!(one, other);
        }
    }
}
