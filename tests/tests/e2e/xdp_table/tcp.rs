//! TCP: flags, options, payload, ports; and the addresses that make a key.

use tests::frame::{Frame, Tcp, flags::*};

use super::{PASSED, REFUSED, Row, TRUNCATED, v4, v6};

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        v4("no option", REFUSED, |syn| {
            syn.segment(|tcp| tcp.options.clear())
        }),
        v4("40 bytes of options", REFUSED, |syn| {
            syn.segment(|tcp| tcp.options = vec![1; 40])
        }),
        v4("data in the SYN, Fast Open (RFC 7413)", REFUSED, |syn| {
            syn.segment(|tcp| {
                tcp.options = vec![34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1];
                tcp.payload = b"GET / HTTP/1.1\r\n\r\n".to_vec();
            })
        }),
        v6("data in the SYN, Fast Open (RFC 7413)", REFUSED, |syn| {
            syn.segment(|tcp| {
                tcp.options = vec![34, 2, 1, 1];
                tcp.payload = vec![0x16; 517];
            })
        }),
        v4("as much data as fits", REFUSED, |syn| {
            syn.segment(|tcp| tcp.payload = vec![0; 1_440])
        }),
        v4("from the same port as to", REFUSED, |syn| {
            syn.segment(|tcp| tcp.from = 443)
        }),
        v4("a header longer than the frame", TRUNCATED, |syn| {
            syn.segment(|tcp| {
                tcp.options.clear();
                tcp.header_words = Some(15);
            })
        }),
        v6(
            "a header one word longer than the frame",
            TRUNCATED,
            |syn| {
                syn.segment(|tcp| {
                    tcp.options.clear();
                    tcp.header_words = Some(6);
                })
            },
        ),
        v4("another port", PASSED, |syn| {
            syn.segment(|tcp| tcp.to = 444)
        }),
        v6("another port", PASSED, |syn| {
            syn.segment(|tcp| tcp.to = 444)
        }),
        v4("the port in the other byte order", PASSED, |syn| {
            syn.segment(|tcp| tcp.to = 443_u16.swap_bytes())
        }),
        v4("from the port that is limited, to another", PASSED, |syn| {
            syn.segment(|tcp| (tcp.from, tcp.to) = (443, 4_000))
        }),
        // Nobody listens there: it would be forwarded.
        v4("another receiver", PASSED, |syn| {
            syn.v4(|ip| ip.to = [10, 0, 0, 2].into())
        }),
        v6("another receiver", PASSED, |syn| {
            syn.v6(|ip| ip.to = "fd00::2".parse().expect("literal"))
        }),
        v6("a receiver of another network", PASSED, |syn| {
            syn.v6(|ip| ip.to = "fd01::1".parse().expect("literal"))
        }),
        v4("a client without connections", PASSED, |syn| {
            syn.v4(|ip| ip.from = [10, 5, 5, 6].into())
        }),
        v6("a client without connections", PASSED, |syn| {
            syn.v6(|ip| ip.from = "fd00::6".parse().expect("literal"))
        }),
        v4("from the receiver to the client", PASSED, |syn| {
            syn.v4(|ip| (ip.from, ip.to) = (ip.to, ip.from))
        }),
    ];
    let judged = [
        ("ECN (RFC 3168)", SYN | ECE | CWR),
        ("accurate ECN (RFC 9768)", SYN | AE | ECE | CWR),
        ("SYN, ECE", SYN | ECE),
        ("SYN, PSH", SYN | PSH),
        ("SYN, URG", SYN | URG),
        ("SYN, FIN", SYN | FIN),
        ("SYN, FIN, PSH, URG", SYN | FIN | PSH | URG),
        ("SYN, all bits without a name", SYN | 0xe00),
    ];
    let let_through = [
        ("SYN, ACK", SYN | ACK),
        ("SYN, ACK, ECE", SYN | ACK | ECE),
        ("SYN, RST", SYN | RST),
        ("SYN, ACK, RST", SYN | ACK | RST),
        ("SYN, FIN, ACK", SYN | FIN | ACK),
        ("SYN, FIN, RST", SYN | FIN | RST),
        ("ACK", ACK),
        ("ACK, PSH", ACK | PSH),
        ("ACK, FIN", ACK | FIN),
        ("ACK, RST", ACK | RST),
        ("FIN", FIN),
        ("RST", RST),
        ("PSH", PSH),
        ("URG", URG),
        ("ECE, CWR", ECE | CWR),
        ("no flag", 0),
        ("FIN, PSH, URG", FIN | PSH | URG),
        ("every flag", 0xfff),
    ];
    for (what, flags, expected) in judged
        .map(|(what, flags)| (what, flags, REFUSED))
        .into_iter()
        .chain(let_through.map(|(what, flags)| (what, flags, PASSED)))
    {
        rows.push(v4(what, expected, move |syn| flagged(syn, flags)));
        rows.push(v6(what, expected, move |syn| flagged(syn, flags)));
    }
    for words in 0..5 {
        let what = format!("a header of {words} words");
        rows.push(v4(&what, TRUNCATED, move |syn| {
            syn.segment(|tcp| tcp.header_words = Some(words))
        }));
    }
    rows
}

fn flagged(frame: Frame, flags: u16) -> Frame {
    let set = |tcp: &mut Tcp| {
        tcp.flags = flags;
        if flags & ACK != 0 {
            tcp.acknowledgement = 0x1234_5678;
        }
    };
    frame.segment(set)
}
