//! TCP segments over IPv4, without options and data.

use std::net::{Ipv4Addr, SocketAddrV4};

/// RFC 9293 §3.1, control bits.
pub const SYN: u8 = 0x02;
/// See [`SYN`].
pub const RST: u8 = 0x04;
/// See [`SYN`].
pub const ACK: u8 = 0x10;

/// Bytes of an IPv4 and a TCP header without options.
pub const BYTES: usize = 40;
const TCP: usize = 20;
const IPPROTO_TCP: u8 = 6;

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From.
    pub source: SocketAddrV4,
    /// To.
    pub destination: SocketAddrV4,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: u8,
}

impl Segment {
    /// The packet, with right checksums (RFC 791 §3.1, RFC 9293 §3.1).
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut packet = [0; BYTES];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(BYTES as u16).to_be_bytes());
        packet[8] = 64;
        packet[9] = IPPROTO_TCP;
        packet[12..16].copy_from_slice(&self.source.ip().octets());
        packet[16..20].copy_from_slice(&self.destination.ip().octets());
        let checksum = fold(sum(&packet[..TCP]));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());

        packet[20..22].copy_from_slice(&self.source.port().to_be_bytes());
        packet[22..24].copy_from_slice(&self.destination.port().to_be_bytes());
        packet[24..28].copy_from_slice(&self.sequence.to_be_bytes());
        packet[28..32].copy_from_slice(&self.acknowledgement.to_be_bytes());
        packet[32] = 5 << 4;
        packet[33] = self.flags;
        packet[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
        let pseudo = sum(&packet[12..20]) + u32::from(IPPROTO_TCP) + (BYTES - TCP) as u32;
        let checksum = fold(pseudo + sum(&packet[TCP..]));
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    /// From a packet; `None` if it is no TCP segment over IPv4.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        if packet.first()? >> 4 != 4 || *packet.get(9)? != IPPROTO_TCP {
            return None;
        }
        let tcp = packet.get(usize::from(packet[0] & 0x0f) * 4..)?;
        let end = |addr: usize, port: usize| {
            let addr: [u8; 4] = packet.get(addr..addr + 4)?.try_into().ok()?;
            let port: [u8; 2] = tcp.get(port..port + 2)?.try_into().ok()?;
            Some(SocketAddrV4::new(
                Ipv4Addr::from(addr),
                u16::from_be_bytes(port),
            ))
        };
        let word = |at: usize| {
            let bytes: [u8; 4] = tcp.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        Some(Self {
            source: end(12, 0)?,
            destination: end(16, 2)?,
            sequence: word(4)?,
            acknowledgement: word(8)?,
            flags: *tcp.get(13)?,
        })
    }
}

/// RFC 1071: of an even number of bytes.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_its_checksums_are_right() {
        let segment = Segment {
            source: SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), 40_000),
            destination: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 443),
            sequence: 0xdead_beef,
            acknowledgement: 7,
            flags: SYN,
        };
        let packet = segment.to_bytes();
        assert_eq!(Segment::parse(&packet), Some(segment));
        assert_eq!(fold(sum(&packet[..TCP])), 0);
        let pseudo = sum(&packet[12..20]) + u32::from(IPPROTO_TCP) + 20;
        assert_eq!(fold(pseudo + sum(&packet[TCP..])), 0);
    }
}
