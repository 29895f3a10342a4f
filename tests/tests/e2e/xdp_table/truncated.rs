//! Frames that end at the end of each header, and one byte before it.

use tests::{
    frame::{Extension, Frame, ethertype::*, options},
    packet::Flow,
};

use super::{Change, Family, REFUSED, Row, TRUNCATED};

pub fn rows() -> Vec<Row> {
    let shapes: [(&str, Family, Change); 6] = [
        ("IPv4", Family::V4, |syn| syn),
        ("IPv4 with options", Family::V4, |syn| {
            syn.v4(|ip| ip.options = options::nops(12))
        }),
        ("802.1Q, IPv4", Family::V4, |syn| syn.tag(VLAN, 7)),
        ("IPv6", Family::V6, |syn| syn),
        ("QinQ, IPv6", Family::V6, |syn| {
            syn.tag(SERVICE_VLAN, 7).tag(VLAN, 8)
        }),
        ("IPv6 with headers", Family::V6, |syn| {
            syn.extension(Extension::hop_by_hop(0))
                .extension(Extension::destination(1))
                .extension(Extension::routing())
                .extension(Extension::fragment(0, false))
                .extension(Extension::authentication(3))
        }),
    ];
    let mut rows = Vec::new();
    for (shape, family, change) in shapes {
        // The places are the same for every attempt.
        let example = change(match family {
            Family::V4 => Frame::syn(&flow("10.5.5.5:1", "10.0.0.1:443")),
            Family::V6 => Frame::syn(&flow("[fd00::5]:1", "[fd00::1]:443")),
        });
        let ends = example.boundaries();
        let whole = *ends.last().expect("never empty");
        assert_eq!(whole, example.bytes().len());
        for end in ends {
            for length in [end, end - 1] {
                // The kernel runs no program on less than an Ethernet header.
                if length < SHORTEST {
                    continue;
                }
                rows.push(Row {
                    what: format!("{shape}, {length} of {whole} bytes"),
                    family,
                    frame: Box::new(move |flow| change(Frame::syn(&flow)).cut(length)),
                    expected: if length == whole { REFUSED } else { TRUNCATED },
                });
            }
        }
    }
    rows
}

/// `ETH_HLEN`, include/uapi/linux/if_ether.h
const SHORTEST: usize = 14;

fn flow(client: &str, server: &str) -> Flow {
    Flow {
        client: client.parse().expect("literal"),
        server: server.parse().expect("literal"),
        isn: 1,
    }
}
