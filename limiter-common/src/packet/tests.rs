extern crate std;

use std::{net::IpAddr, vec, vec::Vec};

use super::*;

struct Slice<'a>(&'a [u8]);

impl Packet for Slice<'_> {
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: T is plain, and exactly its size in bytes was checked.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn tcp(flags: u8) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[0..2].copy_from_slice(&40_000_u16.to_be_bytes());
    bytes[2..4].copy_from_slice(&443_u16.to_be_bytes());
    bytes[4..8].copy_from_slice(&7_u32.to_be_bytes());
    bytes[8..12].copy_from_slice(&9_u32.to_be_bytes());
    bytes[12] = 5 << 4;
    bytes[13] = flags;
    bytes
}

fn ipv4(option_words: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20 + usize::from(option_words) * 4];
    bytes[0] = 0x40 | (5 + option_words);
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    bytes[9] = 6;
    bytes[12..16].copy_from_slice(&[192, 0, 2, 1]);
    bytes[16..20].copy_from_slice(&[192, 0, 2, 9]);
    bytes.extend_from_slice(payload);
    bytes
}

/// `extensions`: type and whole length in bytes of each.
fn ipv6(extensions: &[(u8, usize)], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    bytes[0] = 0x60;
    bytes[6] = extensions.first().map_or(6, |e| e.0);
    bytes[8..10].copy_from_slice(&[0x20, 0x01]);
    bytes[23] = 1;
    bytes[24..26].copy_from_slice(&[0x20, 0x01]);
    bytes[39] = 2;
    for (i, &(kind, length)) in extensions.iter().enumerate() {
        let mut extension = vec![0; length];
        extension[0] = extensions.get(i + 1).map_or(6, |e| e.0);
        extension[1] = match kind {
            44 => 0xff, // reserved, must be ignored
            51 => u8::try_from(length / 4 - 2).expect("fits"),
            _ => u8::try_from(length / 8 - 1).expect("fits"),
        };
        bytes.extend_from_slice(&extension);
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Segment, Unparsed> {
    parse_ip(&Slice(bytes))
}

#[test]
fn ports_numbers_and_addresses_are_read() {
    let segment = parse(&ipv4(0, 0, &tcp(SYN))).expect("TCP");
    let remote: IpAddr = "192.0.2.1".parse().expect("literal");
    let local: IpAddr = "192.0.2.9".parse().expect("literal");
    assert_eq!(
        segment,
        Segment {
            connection: Connection {
                remote: remote.into(),
                local: local.into(),
                remote_port: 40_000,
                local_port: 443,
            },
            handshake: Handshake::Syn,
            sequence: 7,
            acknowledgement: 9,
        }
    );
}

#[test]
fn only_syn_and_ack_are_handshakes() {
    for (flags, handshake) in [
        (SYN, Handshake::Syn),
        (ACK, Handshake::Completion),
        (ACK | 0x08, Handshake::Completion),
        (ACK | 0x01, Handshake::Completion),
        (SYN | ACK, Handshake::Other),
        (RST, Handshake::Other),
        (RST | ACK, Handshake::Other),
        (SYN | RST, Handshake::Other),
        (0, Handshake::Other),
    ] {
        let segment = parse(&ipv4(0, 0, &tcp(flags))).expect("TCP");
        assert_eq!(segment.handshake, handshake, "flags {flags:#x}");
    }
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    for options in 0..=10 {
        let segment = parse(&ipv4(options, 0x4000, &tcp(SYN))).expect("TCP");
        assert_eq!(segment.connection.local_port, 443);
    }
    for extensions in [
        &[][..],
        &[(0, 8)],
        &[(0, 8), (43, 24), (44, 8), (51, 24), (60, 16)],
        &[(60, 8); MAX_EXTENSIONS],
    ] {
        let segment = parse(&ipv6(extensions, &tcp(SYN))).expect("TCP");
        assert_eq!(segment.connection.remote_port, 40_000);
        let remote: IpAddr = "2001::1".parse().expect("literal");
        assert_eq!(IpAddr::from(segment.connection.remote), remote);
    }
    let endless = ipv6(&[(60, 8); MAX_EXTENSIONS + 1], &tcp(SYN));
    assert_eq!(parse(&endless), Err(Unparsed::TooManyExtensions));
    let plain = parse(&ipv6(&[], &tcp(SYN))).expect("TCP").connection;
    let addresses = parse_ipv6_addresses(&Slice(&endless)).expect("whole");
    assert_eq!(
        (addresses.remote, addresses.local),
        (plain.remote, plain.local)
    );
}

#[test]
fn whatever_is_no_whole_segment_is_named() {
    assert_eq!(parse(&[]), Err(Unparsed::Truncated));
    assert_eq!(parse(&[0x50, 0]), Err(Unparsed::NotTcp));
    assert_eq!(parse(&ipv4(0, 1, &tcp(SYN))), Err(Unparsed::NotTcp));
    let mut short_header = ipv4(0, 0, &tcp(SYN));
    short_header[0] = 0x44;
    assert_eq!(parse(&short_header), Err(Unparsed::Truncated));
    for whole in [ipv4(3, 0, &tcp(SYN)), ipv6(&[(0, 8)], &tcp(SYN))] {
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Err(Unparsed::Truncated), "{end}");
        }
    }
    let mut udp = ipv4(0, 0, &tcp(SYN));
    udp[9] = 17;
    assert_eq!(parse(&udp), Err(Unparsed::NotTcp));
}
