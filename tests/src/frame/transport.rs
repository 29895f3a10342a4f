//! What IP packets carry.

use std::net::IpAddr;

use super::tcp::Tcp;

/// What an IP packet carries (IANA's protocol numbers).
#[derive(Clone, Debug)]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// Another protocol.
    Other {
        /// Which.
        protocol: u8,
        /// Its bytes; a checksum at this place is filled in.
        bytes: Vec<u8>,
        /// Where the checksum stands, if it covers the addresses (UDP, ICMPv6).
        checksum_at: Option<usize>,
    },
}

impl Transport {
    /// `IPPROTO_TCP`
    pub const TCP: u8 = 6;

    /// A UDP datagram.
    pub fn udp(from: u16, to: u16, payload: &[u8]) -> Self {
        let length = u16::try_from(8 + payload.len()).expect("a short datagram");
        let mut bytes: Vec<u8> = [from, to, length, 0].map(u16::to_be_bytes).concat();
        bytes.extend(payload);
        Self::Other {
            protocol: 17,
            bytes,
            checksum_at: Some(6),
        }
    }

    /// An echo request of ICMP.
    pub fn icmp() -> Self {
        let mut bytes = vec![8, 0, 0, 0, 0, 1, 0, 1];
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum);
        Self::other(1, &bytes)
    }

    /// An echo request of ICMPv6.
    pub fn icmp_v6() -> Self {
        Self::Other {
            protocol: 58,
            bytes: vec![128, 0, 0, 0, 0, 1, 0, 1],
            checksum_at: Some(2),
        }
    }

    /// Bytes of another protocol, without a checksum or with one that is right already.
    pub fn other(protocol: u8, bytes: &[u8]) -> Self {
        Self::Other {
            protocol,
            bytes: bytes.to_vec(),
            checksum_at: None,
        }
    }

    pub(super) fn protocol(&self) -> u8 {
        match self {
            Self::Tcp(_) => Self::TCP,
            Self::Other { protocol, .. } => *protocol,
        }
    }

    pub(super) fn bytes(&self, from: IpAddr, to: IpAddr) -> Vec<u8> {
        let (mut bytes, checksum_at) = match self {
            Self::Tcp(tcp) => (tcp.bytes(), tcp.checksum.is_none().then_some(16)),
            Self::Other {
                bytes, checksum_at, ..
            } => (bytes.clone(), *checksum_at),
        };
        if let Some(at) = checksum_at {
            let mut covered = pseudo_header(from, to, self.protocol(), bytes.len());
            covered.extend(&bytes);
            bytes[at..at + 2].copy_from_slice(&checksum(&covered));
        }
        bytes
    }
}

/// RFC 9293 §3.1, in the wider form of RFC 8200 §8.1, which has the same sum.
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => panic!("{from} and {to} are not of one family"),
    };
    bytes.extend(u32::try_from(length).expect("short").to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

/// RFC 1071 §1.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!u16::try_from(sum).expect("folded")).to_be_bytes()
}
