//! IPv6: chains of headers, fragments, other protocols.

use tests::frame::{Contents, Extension, Frame, Transport};

use super::{FRAGMENT, NOT_TCP, REFUSED, Row, TOO_MANY_EXTENSIONS, TRUNCATED, v6};

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        v6("hop-by-hop options", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(0))
        }),
        v6("many hop-by-hop options", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(40))
        }),
        v6("as many hop-by-hop options as can be", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(149))
        }),
        v6("routing", REFUSED, |syn| {
            syn.extension(Extension::routing())
        }),
        v6("destination options", REFUSED, |syn| {
            syn.extension(Extension::destination(0))
        }),
        v6("an atomic fragment (RFC 6946)", REFUSED, |syn| {
            syn.extension(Extension::fragment(0, false))
        }),
        v6("every header that there is", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(0))
                .extension(Extension::destination(1))
                .extension(Extension::routing())
                .extension(Extension::fragment(0, false))
                .extension(Extension::authentication(3))
                .extension(Extension::destination(0))
        }),
        v6("headers in no order", REFUSED, |syn| {
            syn.extension(Extension::authentication(1))
                .extension(Extension::destination(0))
                .extension(Extension::hop_by_hop(2))
                .extension(Extension::routing())
        }),
        v6("headers, and data in the SYN", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(0))
                .extension(Extension::destination(3))
                .segment(|tcp| tcp.payload = vec![0x5a; 400])
        }),
        // Fragments. The whole TCP segment is 40 bytes, 20 of them options.
        v6("all of it, said to be the first fragment", REFUSED, |syn| {
            syn.segment(|tcp| tcp.payload = vec![0; 8]).fragment(0, 40)
        }),
        v6("first fragment behind other headers", REFUSED, |syn| {
            syn.extension(Extension::hop_by_hop(0))
                .extension(Extension::routing())
                .segment(|tcp| tcp.payload = vec![0; 8])
                .fragment(0, 40)
        }),
        v6(
            "first fragment that ends in the TCP header",
            TRUNCATED,
            |syn| syn.fragment(0, 8),
        ),
        v6(
            "first fragment that ends in the options of TCP",
            TRUNCATED,
            |syn| syn.fragment(0, 24),
        ),
        v6("second fragment", FRAGMENT, |syn| syn.fragment(8, 16)),
        v6("last fragment", FRAGMENT, |syn| syn.fragment(8, 40)),
        v6("last fragment behind other headers", FRAGMENT, |syn| {
            syn.extension(Extension::hop_by_hop(0)).fragment(8, 40)
        }),
        v6("a later fragment that looks like a SYN", FRAGMENT, |syn| {
            let inner = inside(&syn);
            syn.segment(|tcp| tcp.payload = [&[0; 24][..], &inner].concat())
                .fragment(64, 64 + 40)
        }),
        v6("UDP", NOT_TCP, |syn| {
            carrying(syn, Transport::udp(4000, 443, b"hello"))
        }),
        v6("ICMPv6", NOT_TCP, |syn| carrying(syn, Transport::icmp_v6())),
        v6("no next header", NOT_TCP, |syn| {
            carrying(syn, Transport::other(59, &[]))
        }),
        v6("ESP", NOT_TCP, |syn| {
            carrying(syn, Transport::other(50, &[0x5a; 40]))
        }),
        v6("UDP behind other headers", NOT_TCP, |syn| {
            carrying(syn, Transport::udp(4000, 443, b"hello"))
                .extension(Extension::hop_by_hop(0))
                .extension(Extension::destination(0))
        }),
        v6("ESP behind other headers", NOT_TCP, |syn| {
            carrying(syn, Transport::other(50, &[0x5a; 40]))
                .extension(Extension::hop_by_hop(0))
                .extension(Extension::authentication(3))
        }),
        v6("UDP behind eight headers", NOT_TCP, |syn| {
            options(8, carrying(syn, Transport::udp(4000, 443, b"hello")))
        }),
        v6("UDP behind nine headers", TOO_MANY_EXTENSIONS, |syn| {
            options(9, carrying(syn, Transport::udp(4000, 443, b"hello")))
        }),
    ];
    for count in 1..=8 {
        let what = format!("{count} headers");
        rows.push(v6(&what, REFUSED, move |syn| options(count, syn)));
    }
    for count in [9, 10, 16, 100] {
        let what = format!("{count} headers");
        rows.push(v6(&what, TOO_MANY_EXTENSIONS, move |syn| {
            options(count, syn)
        }));
    }
    for words in [1, 3, 5, 15] {
        let what = format!("AH with {words} words of check value");
        rows.push(v6(&what, REFUSED, move |syn| {
            syn.extension(Extension::authentication(words))
        }));
    }
    // Behind them comes the SYN, formed as RFC 6564 wants headers to be.
    let others = [
        ("IPv4 in IPv6", 4),
        ("GRE", 47),
        ("SCTP", 132),
        ("mobility", 135),
        ("host identity", 139),
        ("shim6", 140),
        ("an experiment", 253),
        ("reserved", 255),
    ];
    for (what, kind) in others {
        rows.push(v6(what, NOT_TCP, move |syn| {
            syn.extension(Extension::unknown(kind))
        }));
    }
    for version in (0..16).filter(|version| *version != 6) {
        let what = format!("version {version}");
        rows.push(v6(&what, NOT_TCP, move |syn| {
            syn.v6(|ip| ip.version = version)
        }));
    }
    rows
}

/// With so many headers in front of what it carries.
fn options(count: usize, frame: Frame) -> Frame {
    (0..count).fold(frame, |frame, _| frame.extension(Extension::destination(0)))
}

/// The TCP header of a SYN.
fn inside(syn: &Frame) -> Vec<u8> {
    syn.bytes().split_off(14 + 40)
}

fn carrying(mut frame: Frame, transport: Transport) -> Frame {
    if let Contents::V6(ip) = &mut frame.contents {
        ip.transport = transport;
    }
    frame
}
