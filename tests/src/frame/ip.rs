//! IPv4 and IPv6 headers.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::transport::{Transport, checksum};

/// An IPv4 packet (RFC 791 §3.1). A field that is an Option is right if it is None.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// The first four bits.
    pub version: u8,
    /// Length of the header in 32-bit words.
    pub header_words: Option<u8>,
    /// Bytes behind the fixed part, at most 40; filled up to a multiple of four.
    pub options: Vec<u8>,
    /// Length of the packet.
    pub total_length: Option<u16>,
    /// Time to live.
    pub hops: u8,
    /// What it carries.
    pub protocol: Option<u8>,
    /// Sender.
    pub from: Ipv4Addr,
    /// Receiver.
    pub to: Ipv4Addr,
    /// What it carries.
    pub transport: Transport,
    /// The part of it that this fragment has.
    pub part: Option<Range<usize>>,
}

impl Ipv4 {
    pub(super) fn new(from: Ipv4Addr, to: Ipv4Addr, transport: Transport) -> Self {
        Self {
            version: 4,
            header_words: None,
            options: Vec::new(),
            total_length: None,
            hops: 64,
            protocol: None,
            from,
            to,
            transport,
            part: None,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        const MORE_FRAGMENTS: u16 = 0x2000;
        const DO_NOT_FRAGMENT: u16 = 0x4000;

        let whole = self.transport.bytes(self.from.into(), self.to.into());
        let (place, carried) = match self.part.clone() {
            None => (DO_NOT_FRAGMENT, &whole[..]),
            Some(part) => {
                let offset = u16::try_from(part.start / 8).expect("short");
                let more = u16::from(part.end < whole.len()) * MORE_FRAGMENTS;
                (offset | more, &whole[part])
            }
        };
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let words = u8::try_from(5 + options.len() / 4).expect("at most 15");
        let length = u16::try_from(20 + options.len() + carried.len()).expect("short");

        let mut bytes = vec![self.version << 4 | self.header_words.unwrap_or(words), 0];
        bytes.extend(self.total_length.unwrap_or(length).to_be_bytes());
        bytes.extend([0x12, 0x34]); // identification
        bytes.extend(place.to_be_bytes());
        let protocol = self.protocol.unwrap_or(self.transport.protocol());
        bytes.extend([self.hops, protocol, 0, 0]);
        bytes.extend(self.from.octets());
        bytes.extend(self.to.octets());
        bytes.extend(options);
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum);
        bytes.extend(carried);
        bytes
    }
}

/// Options of IPv4.
pub mod options {
    /// Options that say nothing.
    pub fn nops(count: usize) -> Vec<u8> {
        vec![1; count]
    }

    /// An option with room for so many timestamps, none taken (RFC 791 §3.1).
    pub fn timestamps(count: u8) -> Vec<u8> {
        let length = 4 + 4 * count;
        let mut bytes = vec![68, length, 5, 0];
        bytes.resize(length.into(), 0);
        bytes
    }
}

/// An IPv6 packet (RFC 8200 §3). A field that is an Option is right if it is None.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// The first four bits.
    pub version: u8,
    /// Length behind the fixed header.
    pub payload_length: Option<u16>,
    /// Hop limit.
    pub hops: u8,
    /// Sender.
    pub from: Ipv6Addr,
    /// Receiver.
    pub to: Ipv6Addr,
    /// From the first to the last.
    pub extensions: Vec<Extension>,
    /// What it carries.
    pub transport: Transport,
    /// The part of it that this fragment has; the fragment header is among the extensions.
    pub part: Option<Range<usize>>,
}

impl Ipv6 {
    pub(super) fn new(from: Ipv6Addr, to: Ipv6Addr, transport: Transport) -> Self {
        Self {
            version: 6,
            payload_length: None,
            hops: 64,
            from,
            to,
            extensions: Vec::new(),
            transport,
            part: None,
        }
    }

    pub(super) fn transport_bytes(&self) -> Vec<u8> {
        self.transport.bytes(self.from.into(), self.to.into())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Each header names the one that follows it.
        let kinds: Vec<u8> = self
            .extensions
            .iter()
            .map(|extension| extension.kind)
            .chain([self.transport.protocol()])
            .collect();
        let mut carried = Vec::new();
        for (extension, following) in self.extensions.iter().zip(&kinds[1..]) {
            carried.push(*following);
            carried.extend(&extension.bytes[1..]);
        }
        let whole = self.transport_bytes();
        carried.extend(&whole[self.part.clone().unwrap_or(0..whole.len())]);

        let length = u16::try_from(carried.len()).expect("short");
        let mut bytes = vec![self.version << 4, 0, 0, 0];
        bytes.extend(self.payload_length.unwrap_or(length).to_be_bytes());
        bytes.extend([kinds[0], self.hops]);
        bytes.extend(self.from.octets());
        bytes.extend(self.to.octets());
        bytes.extend(carried);
        bytes
    }
}

/// An extension header of IPv6 (RFC 8200 §4).
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its number.
    pub kind: u8,
    /// All of it; what follows is written into the first byte.
    pub bytes: Vec<u8>,
}

impl Extension {
    /// Hop-by-hop options, `8 * (1 + more)` bytes of them.
    pub fn hop_by_hop(more: u8) -> Self {
        Self::padding(0, more)
    }

    /// Destination options, `8 * (1 + more)` bytes of them.
    pub fn destination(more: u8) -> Self {
        Self::padding(60, more)
    }

    /// A routing header without segments left.
    pub fn routing() -> Self {
        Self {
            kind: 43,
            bytes: vec![
                0, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        }
    }

    /// An authentication header with so many 32-bit words of check value (RFC 4302 §2).
    pub fn authentication(words: u8) -> Self {
        let mut bytes = vec![0, 1 + words, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
        bytes.resize(12 + 4 * usize::from(words), 0xaa);
        Self { kind: 51, bytes }
    }

    /// A fragment header. The offset, in bytes, is a multiple of eight.
    ///
    /// # Panics
    /// If the offset does not fit.
    pub fn fragment(offset: usize, more: bool) -> Self {
        let place = u16::try_from(offset & !7).expect("at most 65 528") | u16::from(more);
        let [high, low] = place.to_be_bytes();
        Self {
            kind: 44,
            bytes: vec![0, 0, high, low, 0, 0, 0, 1],
        }
    }

    /// A header that nobody knows, formed as RFC 6564 wants it.
    pub fn unknown(kind: u8) -> Self {
        Self::padding(kind, 0)
    }

    fn padding(kind: u8, more: u8) -> Self {
        let length = 8 * (1 + usize::from(more));
        let mut bytes = vec![0, more];
        // PadN options of at most 255 bytes.
        while bytes.len() < length {
            let rest = (length - bytes.len() - 2).min(255);
            bytes.extend([1, u8::try_from(rest).expect("at most 255")]);
            bytes.resize(bytes.len() + rest, 0);
        }
        Self { kind, bytes }
    }
}
