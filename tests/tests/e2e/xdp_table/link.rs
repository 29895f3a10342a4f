//! Tags, and what is not IP.

use tests::frame::{Frame, ethertype::*};

use super::{NOT_IP, PASSED, REFUSED, Row, TOO_MANY_TAGS, v4, v6};

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        v4("no tag", REFUSED, |syn| syn),
        v6("no tag", REFUSED, |syn| syn),
        v4("802.1Q", REFUSED, |syn| syn.tag(VLAN, 7)),
        v6("802.1Q", REFUSED, |syn| syn.tag(VLAN, 7)),
        v4("802.1Q with priority only", REFUSED, |syn| {
            syn.tag(VLAN, 0xe000)
        }),
        v4("802.1Q, all ones", REFUSED, |syn| syn.tag(VLAN, 0xffff)),
        v4("802.1ad", REFUSED, |syn| syn.tag(SERVICE_VLAN, 7)),
        v6("802.1ad", REFUSED, |syn| syn.tag(SERVICE_VLAN, 7)),
        v4("QinQ", REFUSED, |syn| syn.tag(SERVICE_VLAN, 7).tag(VLAN, 8)),
        v6("QinQ", REFUSED, |syn| syn.tag(SERVICE_VLAN, 7).tag(VLAN, 8)),
        v4("QinQ of two 802.1Q", REFUSED, |syn| {
            syn.tag(VLAN, 7).tag(VLAN, 8)
        }),
        v6("QinQ of two 802.1ad", REFUSED, |syn| {
            syn.tag(SERVICE_VLAN, 7).tag(SERVICE_VLAN, 8)
        }),
        v4("QinQ inside out", REFUSED, |syn| {
            syn.tag(VLAN, 7).tag(SERVICE_VLAN, 8)
        }),
        v4("three tags", TOO_MANY_TAGS, |syn| {
            syn.tag(SERVICE_VLAN, 7).tag(VLAN, 8).tag(VLAN, 9)
        }),
        v6("three tags", TOO_MANY_TAGS, |syn| {
            syn.tag(VLAN, 7).tag(VLAN, 8).tag(VLAN, 9)
        }),
        v4("four tags", TOO_MANY_TAGS, |syn| {
            syn.tag(VLAN, 7).tag(VLAN, 8).tag(VLAN, 9).tag(VLAN, 10)
        }),
        v4("a tag from before 802.1ad", NOT_IP, |syn| {
            syn.tag(OLD_QINQ, 7).tag(VLAN, 8)
        }),
        v4("the same inside of another", NOT_IP, |syn| {
            syn.tag(VLAN, 7).tag(OLD_QINQ, 8)
        }),
        v4("another port, tagged", PASSED, |syn| {
            syn.tag(VLAN, 7).segment(|tcp| tcp.to = 444)
        }),
        v4("padded to the shortest frame", REFUSED, |syn| {
            syn.segment(|tcp| tcp.options.clear()).padded()
        }),
        v6("bytes behind the packet", REFUSED, |mut syn| {
            syn.trailer = vec![0x5a; 17];
            syn
        }),
    ];
    // A length stands in place of the ethertype up to 1 500 (IEEE 802.3).
    let others = [
        ("ARP", ARP),
        ("LLDP", LLDP),
        ("PPPoE", PPPOE_SESSION),
        ("MPLS", MPLS),
        ("nothing", 0),
        ("a length", 46),
        ("the longest length", 1_500),
        ("the byte order of IPv4", IPV4.swap_bytes()),
        ("an experiment", 0x88b5),
        ("all ones", 0xffff),
    ];
    for (what, ethertype) in others {
        rows.push(v4(what, NOT_IP, move |_| other(ethertype)));
        let tagged = format!("{what}, tagged");
        rows.push(v6(&tagged, NOT_IP, move |_| other(ethertype).tag(VLAN, 7)));
    }
    // Of a PPPoE session, a length and a protocol come before the packet; it is not looked for.
    rows.push(v4("a SYN said to be PPPoE", NOT_IP, |mut syn| {
        syn.ethertype = Some(PPPOE_SESSION);
        syn
    }));
    rows.push(v4("ARP behind three tags", TOO_MANY_TAGS, |_| {
        other(ARP).tag(VLAN, 7).tag(VLAN, 8).tag(VLAN, 9)
    }));
    rows
}

fn other(ethertype: u16) -> Frame {
    Frame::other(ethertype, &[0; 46])
}
