//! IPv4: options, fragments, other protocols, headers that cannot be.

use tests::frame::{Contents, Frame, Transport, options};

use super::{FRAGMENT, NOT_TCP, REFUSED, Row, TRUNCATED, v4};

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        v4("timestamps", REFUSED, |syn| {
            syn.v4(|ip| ip.options = options::timestamps(9))
        }),
        v4("router alert (RFC 2113)", REFUSED, |syn| {
            syn.v4(|ip| ip.options = vec![148, 4, 0, 0])
        }),
        v4("one hop to live", REFUSED, |syn| syn.v4(|ip| ip.hops = 1)),
        v4("options without an end, and payload", REFUSED, |syn| {
            syn.v4(|ip| ip.options = vec![7; 40])
                .segment(|tcp| tcp.payload = vec![0; 100])
        }),
        v4("a header longer than the packet", TRUNCATED, |syn| {
            syn.v4(|ip| ip.header_words = Some(15))
                .segment(|tcp| tcp.options.clear())
        }),
        // Fragments. The whole TCP segment is 40 bytes, 20 of them options.
        v4("all of it, said to be the first fragment", REFUSED, |syn| {
            syn.segment(|tcp| tcp.payload = vec![0; 8]).fragment(0, 40)
        }),
        v4("first fragment with options of IP", REFUSED, |syn| {
            syn.v4(|ip| ip.options = options::nops(12))
                .segment(|tcp| tcp.payload = vec![0; 8])
                .fragment(0, 40)
        }),
        v4(
            "first fragment that ends in the TCP header",
            TRUNCATED,
            |syn| syn.fragment(0, 8),
        ),
        v4(
            "first fragment that ends in the options of TCP",
            TRUNCATED,
            |syn| syn.fragment(0, 24),
        ),
        v4("second fragment", FRAGMENT, |syn| syn.fragment(8, 16)),
        v4("last fragment", FRAGMENT, |syn| syn.fragment(8, 40)),
        v4("last fragment, of one byte", FRAGMENT, |syn| {
            syn.segment(|tcp| tcp.payload = vec![0]).fragment(40, 41)
        }),
        v4("a later fragment that looks like a SYN", FRAGMENT, |syn| {
            let inner = inside(&syn);
            syn.segment(|tcp| tcp.payload = [&[0; 24][..], &inner].concat())
                .fragment(64, 64 + 40)
        }),
        v4("UDP", NOT_TCP, |syn| {
            carrying(syn, Transport::udp(4000, 443, b"hello"))
        }),
        v4("ICMP", NOT_TCP, |syn| carrying(syn, Transport::icmp())),
    ];
    for length in [1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40] {
        let what = format!("{length} bytes of options");
        rows.push(v4(&what, REFUSED, move |syn| {
            syn.v4(|ip| ip.options = options::nops(length))
        }));
    }
    for words in 0..5 {
        let what = format!("a header of {words} words");
        rows.push(v4(&what, TRUNCATED, move |syn| {
            syn.v4(|ip| ip.header_words = Some(words))
        }));
    }
    for version in (0..16).filter(|version| *version != 4) {
        let what = format!("version {version}");
        rows.push(v4(&what, NOT_TCP, move |syn| {
            syn.v4(|ip| ip.version = version)
        }));
    }
    // What is inside would be a SYN to the same port.
    let others = [
        ("HOPOPT", 0),
        ("IP in IP", 4),
        ("DCCP", 33),
        ("IPv6 in IP", 41),
        ("GRE", 47),
        ("ESP", 50),
        ("AH", 51),
        ("no next header", 59),
        ("SCTP", 132),
        ("UDP-Lite", 136),
        ("reserved", 255),
    ];
    for (what, protocol) in others {
        rows.push(v4(what, NOT_TCP, move |syn| {
            syn.v4(|ip| ip.protocol = Some(protocol))
        }));
    }
    rows
}

/// The TCP header of a SYN.
fn inside(syn: &Frame) -> Vec<u8> {
    syn.bytes().split_off(14 + 20)
}

fn carrying(mut frame: Frame, transport: Transport) -> Frame {
    if let Contents::V4(ip) = &mut frame.contents {
        ip.transport = transport;
    }
    frame
}
