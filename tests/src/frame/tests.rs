//! What is built, read by somebody else (etherparse).

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

fn flow(from: &str, to: &str) -> Flow {
    Flow {
        client: from.parse().expect("literal"),
        server: to.parse().expect("literal"),
        isn: 0xffff_fff0,
    }
}

fn v4() -> Flow {
    flow("10.5.5.5:4000", "10.0.0.1:443")
}

fn v6() -> Flow {
    flow("[fd00::5]:4000", "[fd00::1]:443")
}

/// Checks lengths and checksums, and that it is a TCP segment of the flow.
#[track_caller]
fn must_be_whole(frame: &Frame, flow: &Flow) {
    let bytes = frame.bytes();
    let sliced = SlicedPacket::from_ethernet(&bytes).expect("a frame");
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        panic!("{sliced:?}");
    };
    let sum = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let sum = header.to_header().calc_header_checksum();
            assert_eq!(header.header_checksum(), sum);
            assert_eq!(flow.client.ip(), header.source_addr());
            assert_eq!(flow.server.ip(), header.destination_addr());
            tcp.calc_checksum_ipv4(header.source(), header.destination())
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            assert_eq!(flow.client.ip(), header.source_addr());
            assert_eq!(flow.server.ip(), header.destination_addr());
            tcp.calc_checksum_ipv6(header.source(), header.destination())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(tcp.checksum(), sum.expect("short"));
    assert_eq!(tcp.source_port(), flow.client.port());
    assert_eq!(tcp.destination_port(), flow.server.port());
    assert_eq!(tcp.sequence_number(), flow.isn);
    assert!(tcp.syn() && !tcp.ack());
    let end = frame.boundaries().pop().expect("never empty");
    assert_eq!(end + tcp.payload().len() + frame.trailer.len(), bytes.len());
}

#[test]
fn frames_are_right_unless_they_are_to_be_wrong() {
    let data = |frame: Frame| frame.segment(|tcp| tcp.payload = b"odd".to_vec());
    for flow in [v4(), v6()] {
        must_be_whole(&Frame::syn(&flow), &flow);
        must_be_whole(&data(Frame::syn(&flow)), &flow);
        let bare = Frame::tcp(flow.client, flow.server, Tcp::bare(&flow, flags::SYN));
        must_be_whole(&bare.padded(), &flow);
        let tagged = Frame::syn(&flow)
            .tag(ethertype::SERVICE_VLAN, 0x6007)
            .tag(ethertype::VLAN, 8);
        must_be_whole(&tagged, &flow);
        assert_eq!(tagged.boundaries()[..3], [14, 18, 22]);
    }
}

#[test]
fn every_length_of_ipv4_options_is_right() {
    let flow = v4();
    for length in 0..=40 {
        let frame = Frame::syn(&flow).v4(|ip| ip.options = options::nops(length));
        must_be_whole(&frame, &flow);
    }
    let frame = Frame::syn(&flow).v4(|ip| ip.options = options::timestamps(9));
    must_be_whole(&frame, &flow);
}

#[test]
fn extension_headers_are_chained() {
    let flow = v6();
    let frame = Frame::syn(&flow)
        .extension(Extension::hop_by_hop(0))
        .extension(Extension::destination(40))
        .extension(Extension::routing())
        .extension(Extension::authentication(3))
        .extension(Extension::destination(1));
    must_be_whole(&frame, &flow);
    assert_eq!(frame.boundaries().len(), 2 + 5 + 2);
}

#[test]
fn fragments_have_their_place_and_their_part() {
    for flow in [v4(), v6()] {
        let whole = Frame::syn(&flow).segment(|tcp| tcp.payload = vec![7; 24]);
        let carried = 40 + 24;
        for (from, to) in [(0, 40), (40, carried), (0, carried)] {
            let bytes = whole.clone().fragment(from, to).bytes();
            let sliced = SlicedPacket::from_ethernet(&bytes).expect("a frame");
            let payload = sliced.ip_payload().expect("a payload");
            assert_eq!(payload.payload.len(), to - from, "{flow:?}");
            assert_eq!(payload.fragmented, (from, to) != (0, carried), "{flow:?}");
        }
    }
}

#[test]
fn other_protocols_have_right_checksums() {
    let (client, server) = (v6().client.ip(), v6().server.ip());
    for transport in [Transport::udp(4000, 443, b"hello"), Transport::icmp_v6()] {
        let bytes = Frame::ip(client, server, transport).bytes();
        let sliced = SlicedPacket::from_ethernet(&bytes).expect("a frame");
        match sliced.transport {
            Some(TransportSlice::Udp(udp)) => {
                let header = udp.to_header();
                let IpAddr::V6(from) = client else {
                    panic!("{client}")
                };
                let IpAddr::V6(to) = server else {
                    panic!("{server}")
                };
                let sum = header.calc_checksum_ipv6_raw(from.octets(), to.octets(), udp.payload());
                assert_eq!(udp.checksum(), sum.expect("short"));
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                let ip = &bytes[14..54];
                let address = |at: usize| ip[at..at + 16].try_into().expect("sixteen");
                assert!(icmp.is_checksum_valid(address(8), address(24)));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The right RST to a SYN.
fn reset_of(syn: &Frame, flow: &Flow, acknowledged: u32) -> Frame {
    let mut reset = Frame::tcp(
        flow.server,
        flow.client,
        Tcp {
            from: flow.server.port(),
            to: flow.client.port(),
            sequence: 0,
            acknowledgement: flow.isn.wrapping_add(acknowledged),
            window: 0,
            ..Tcp::bare(flow, flags::RST | flags::ACK)
        },
    );
    reset.tags = syn.tags.clone();
    (reset.source, reset.destination) = (syn.destination, syn.source);
    reset
}

#[test]
fn a_right_reset_is_taken_and_none_that_has_one_bit_wrong() {
    for flow in [v4(), v6()] {
        let syn = Frame::syn(&flow)
            .tag(ethertype::SERVICE_VLAN, 0x6007)
            .tag(ethertype::VLAN, 8)
            .segment(|tcp| {
                tcp.payload = vec![0; 300];
                tcp.flags |= flags::FIN;
            });
        let right = reset_of(&syn, &flow, 302).bytes();
        let check = Reset::of(&syn);
        check.check(&right).expect("right");
        // Of IPv6, traffic class and flow label are not looked at, and the hop limit may be higher.
        let free = |bit: usize| {
            flow.client.is_ipv6() && (180..208).contains(&bit)
                || flow.client.is_ipv6() && (232..240).contains(&bit)
        };
        for bit in (0..right.len() * 8).filter(|bit| !free(*bit)) {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(check.check(&wrong).is_err(), "bit {bit} of {flow:?}");
        }
        for length in 0..right.len() {
            assert!(check.check(&right[..length]).is_err());
        }
        let longer = [&right[..], &[0]].concat();
        assert!(check.check(&longer).is_err());
    }
}
