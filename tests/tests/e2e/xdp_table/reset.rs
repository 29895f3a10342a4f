//! With the action `reset`, the interface answers by itself, and its answer is right in every byte.

use tests::{
    frame::{Extension, Frame, ethertype::*, flags::*, must_be_reset_of, options},
    xdp::Verdict,
};

use super::{
    Change, Expected, PASSED,
    bench::{Bench, CLIENT_V4, CLIENT_V6},
};

#[test]
fn a_syn_is_answered_where_it_came_from_whatever_it_is_wrapped_in() {
    let mut bench = Bench::new(&["--action", "reset"]);
    let shapes: [(&str, Change); 11] = [
        ("plain", |syn| syn),
        ("802.1Q", |syn| syn.tag(VLAN, 0x6007)),
        ("802.1ad", |syn| syn.tag(SERVICE_VLAN, 7)),
        ("QinQ", |syn| syn.tag(SERVICE_VLAN, 0x6007).tag(VLAN, 8)),
        ("no option", |syn| syn.segment(|tcp| tcp.options.clear())),
        ("40 bytes of options", |syn| {
            syn.segment(|tcp| tcp.options = vec![1; 40])
        }),
        // What pads a frame is no part of the sequence space.
        ("padding", |syn| {
            syn.segment(|tcp| tcp.options.clear()).padded()
        }),
        ("data", |syn| {
            syn.segment(|tcp| tcp.payload = vec![0x16; 517])
        }),
        ("SYN, FIN and data", |syn| {
            syn.segment(|tcp| {
                tcp.flags |= FIN | PSH;
                tcp.payload = b"odd".to_vec();
            })
        }),
        ("ECN", |syn| syn.segment(|tcp| tcp.flags |= ECE | CWR)),
        ("the last sequence number", |syn| {
            syn.segment(|tcp| tcp.sequence = u32::MAX)
        }),
    ];
    for (what, change) in shapes {
        for client in [CLIENT_V4, CLIENT_V6] {
            // Shown by the harness with a failure.
            eprintln!("{what}");
            let (syn, answer) = bench.reset_of(client, change);
            must_be_reset_of(&answer, &syn);
        }
    }
    let (syn, answer) = bench.reset_of(CLIENT_V4, |syn| {
        syn.v4(|ip| ip.options = options::timestamps(9))
    });
    must_be_reset_of(&answer, &syn);
    let (syn, answer) = bench.reset_of(CLIENT_V6, |syn| {
        syn.extension(Extension::hop_by_hop(0))
            .extension(Extension::destination(4))
    });
    must_be_reset_of(&answer, &syn);
}

#[test]
fn the_answer_leaves_the_interface() {
    let shapes: [Change; 3] = [
        |syn| syn,
        |syn| syn.tag(VLAN, 7),
        |syn| syn.tag(SERVICE_VLAN, 7).tag(VLAN, 8),
    ];
    let mut bench = Bench::new(&["--action", "reset"]);
    for change in shapes {
        for client in [CLIENT_V4, CLIENT_V6] {
            let (syn, answer) = bench.answer_to(client, change);
            must_be_reset_of(&answer, &syn);
        }
    }
}

#[test]
fn a_syn_that_is_repeated_is_answered_again_and_what_passes_is_left_as_it_is() {
    let mut bench = Bench::new(&["--action", "reset"]);
    for client in [CLIENT_V4, CLIENT_V6] {
        let (syn, _) = bench.reset_of(client, |syn| syn);
        let again = Expected {
            verdict: Verdict::Tx,
            changes: &[("syn_retransmits", 1)],
        };
        let answer = bench.must_be("again", client, &syn.bytes(), again);
        must_be_reset_of(&answer, &syn);

        let syn_ack = syn.segment(|tcp| tcp.flags |= ACK).bytes();
        let left = bench.must_be("SYN-ACK", client, &syn_ack, PASSED);
        assert_eq!(left, syn_ack);
        let other = Frame::syn(&bench.attempt(client)).segment(|tcp| tcp.to = 444);
        let other = other.bytes();
        let left = bench.must_be("another port", client, &other, PASSED);
        assert_eq!(left, other);
    }
}
