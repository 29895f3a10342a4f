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
            44 => 0xff, // reserved, must be ignored; fragment offset 0
            51 => u8::try_from(length / 4 - 2).expect("fits"),
            _ => u8::try_from(length / 8 - 1).expect("fits"),
        };
        bytes.extend_from_slice(&extension);
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Segment, Unparsed> {
    let mut segment = Segment::default();
    read_segment(&Slice(bytes), &mut segment)?;
    Ok(segment)
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
                padding: 0,
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
    assert_eq!(parse(&ipv4(0, 1, &tcp(SYN))), Err(Unparsed::Fragment));
    let mut later = ipv6(&[(44, 8)], &tcp(SYN));
    later[43] = 8;
    assert_eq!(parse(&later), Err(Unparsed::Fragment));
    let mut short_offset = tcp(SYN);
    short_offset[12] = 4 << 4;
    assert_eq!(parse(&ipv4(0, 0, &short_offset)), Err(Unparsed::Truncated));
    let mut with_options = tcp(SYN);
    with_options[12] = 7 << 4;
    assert_eq!(parse(&ipv4(0, 0, &with_options)), Err(Unparsed::Truncated));
    with_options.extend([1; 8]);
    assert!(parse(&ipv4(0, 0, &with_options)).is_ok());
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

/// `tags`: TPID of each.
fn frame(tags: &[u16], ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xaa; 12];
    for tag in tags {
        bytes.extend_from_slice(&tag.to_be_bytes());
        bytes.extend_from_slice(&[0, 7]);
    }
    bytes.extend_from_slice(&ether_type.to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes
}

fn parse_whole(bytes: &[u8]) -> Result<(Headers, Segment), Unparsed> {
    let frame = Slice(bytes);
    let headers = find_in_frame(&frame)?;
    let segment = headers.segment(&frame).ok_or(Unparsed::Truncated)?;
    Ok((headers, segment))
}

#[test]
fn frames_may_have_two_tags() {
    let v4 = ipv4(2, 0, &tcp(SYN));
    let v6 = ipv6(&[(0, 16)], &tcp(SYN));
    for (tags, network) in [
        (&[][..], 14),
        (&[0x8100], 18),
        (&[0x88a8, 0x8100], 22),
        (&[0x8100, 0x8100], 22),
    ] {
        for (ether_type, packet, version, bytes) in [
            (0x0800, &v4, Version::V4, 28),
            (0x86dd, &v6, Version::V6, 56),
        ] {
            let (headers, segment) = parse_whole(&frame(tags, ether_type, packet)).expect("TCP");
            let found = Headers {
                version,
                network,
                transport: network + bytes,
            };
            assert_eq!(headers, found);
            assert_eq!(Ok(segment), parse(packet));
        }
        let whole = frame(tags, 0x0800, &v4);
        for end in 0..whole.len() {
            assert_eq!(parse_whole(&whole[..end]), Err(Unparsed::Truncated));
        }
    }
    let three = frame(&[0x88a8, 0x8100, 0x8100], 0x0800, &v4);
    assert_eq!(parse_whole(&three), Err(Unparsed::TooManyTags));
    for odd in [0x0806, 0x88cc, 0x05dc, 0x9100] {
        assert_eq!(parse_whole(&frame(&[], odd, &v4)), Err(Unparsed::NotIp));
    }
    for (ether_type, packet) in [(0x0800, &v6), (0x86dd, &v4)] {
        let lying = frame(&[], ether_type, packet);
        assert_eq!(parse_whole(&lying), Err(Unparsed::NotTcp));
    }
}

#[test]
fn syn_fin_and_payload_take_sequence_numbers() {
    for (flags, payload, length) in [(SYN, 0, 1), (SYN | 1, 0, 2), (SYN, 5, 6), (ACK, 3, 3)] {
        let mut segment = tcp(flags);
        segment.extend(vec![0; payload]);
        let mut v4 = ipv4(1, 0, &segment);
        let total = u16::try_from(v4.len()).expect("short");
        v4[2..4].copy_from_slice(&total.to_be_bytes());
        let mut v6 = ipv6(&[(0, 8)], &segment);
        let total = u16::try_from(v6.len() - 40).expect("short");
        v6[4..6].copy_from_slice(&total.to_be_bytes());
        for (ether_type, packet) in [(0x0800, v4), (0x86dd, v6)] {
            let mut bytes = frame(&[0x8100], ether_type, &packet);
            // A frame has a least length: what is behind the packet does not count.
            bytes.extend([0; 20]);
            let (headers, _) = parse_whole(&bytes).expect("TCP");
            assert_eq!(headers.sequence_length(&Slice(&bytes)), Some(length));
        }
    }
    let lying = frame(&[], 0x0800, &ipv4(0, 0, &tcp(SYN)));
    let (headers, _) = parse_whole(&lying).expect("TCP");
    assert_eq!(headers.sequence_length(&Slice(&lying)), None);
}

/// RFC 1071: the sum over everything, checksum included, is all ones.
fn sums_up(parts: &[&[u8]]) -> bool {
    let mut sum = 0_u32;
    for pair in parts.concat().chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

fn bytes_of<T: Copy>(value: &T) -> &[u8] {
    // SAFETY: headers consist of bytes.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

#[test]
fn a_reset_acknowledges_the_segment() {
    let mut segment = parse(&ipv4(0, 0, &tcp(SYN))).expect("TCP");
    segment.sequence = u32::MAX;
    let answer = reset::reset_v4(&segment, 2);
    assert!(sums_up(&[bytes_of(&answer.ip)]));
    let pseudo = [&answer.ip.src_addr[..], &answer.ip.dst_addr, &[0, 6, 0, 20]].concat();
    assert!(sums_up(&[&pseudo, bytes_of(&answer.tcp)]));
    let back = parse(bytes_of(&answer)).expect("TCP").connection;
    let there = segment.connection;
    assert_eq!((back.remote, back.local), (there.local, there.remote));
    assert_eq!(
        (back.remote_port, back.local_port),
        (there.local_port, there.remote_port)
    );
    assert_eq!(answer.tcp.ack_seq, 1_u32.to_be_bytes());
    assert_eq!(answer.tcp.seq, [0; 4]);
    assert_eq!(bytes_of(&answer.tcp)[12..14], [5 << 4, RST | ACK]);
    assert_eq!(answer.ip.tot_len, 40_u16.to_be_bytes());

    let segment = parse(&ipv6(&[], &tcp(SYN))).expect("TCP");
    let answer = reset::reset_v6(&segment, 1);
    let pseudo = [
        &answer.ip.src_addr[..],
        &answer.ip.dst_addr,
        &[0, 0, 0, 20, 0, 0, 0, 6],
    ]
    .concat();
    assert!(sums_up(&[&pseudo, bytes_of(&answer.tcp)]));
    let back = parse(bytes_of(&answer)).expect("TCP").connection;
    assert_eq!(back.local, segment.connection.remote);
    assert_eq!(answer.tcp.ack_seq, 8_u32.to_be_bytes());
}
