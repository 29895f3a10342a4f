//! RSTs and FINs that did not come from those whose connection it is.

use std::net::Ipv4Addr;

use tests::{
    frame::flags::{ACK, FIN, PSH, RST, SYN},
    random::{Random, seed},
    settle,
};

use super::{Stage, talk::Talk};
use crate::{PORT, ZONE};

const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 5, 5, 5);
/// Without a window scale option no window is larger.
const WINDOW: u32 = 1 << 16;

/// Segments that would end a connection, if their numbers were right.
fn wrong(talk: &Talk, random: &mut Random) -> Vec<Vec<u8>> {
    // Outside of the window, for a good while on either side.
    let far = WINDOW + u32::try_from(random.below(1 << 30)).expect("fits");
    // Inside of the window, but not what is waited for (RFC 5961 §3.2). More than the test will send.
    let near = 1_000 + u32::try_from(random.below(10_000)).expect("fits");
    let mut all: Vec<_> = [far, near, near.wrapping_neg()]
        .into_iter()
        .flat_map(|ahead| [RST, RST | ACK, SYN, SYN | RST].map(|flags| (flags, ahead)))
        .chain([(FIN | ACK, far), (FIN, 0), (SYN | FIN, 0)])
        .map(|(flags, ahead)| talk.segment(flags, ahead))
        .collect();
    // The right number, and an acknowledgement of what was never sent (RFC 5961 §5).
    let never_sent = talk.expected.wrapping_add(far);
    let flags = FIN | PSH | ACK;
    all.push(talk.flow.forged(flags, talk.next, never_sent, b"Q"));
    all
}

#[test]
fn with_wrong_numbers_they_free_no_slot_and_with_right_ones_one_slot_once() {
    const ROUNDS: u32 = 50;
    let stage = Stage::new();
    let mut talks: Vec<_> = (0..10)
        .map(|n| Talk::open(&stage.tun, stage.flow(VICTIM, 1_000 + n, 7)))
        .collect();
    let seed = seed();
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..ROUNDS {
        for segment in wrong(&talks[0], &mut random) {
            stage.tun.send(&segment);
        }
        talks[0].must_echo(&stage.tun);
        assert_eq!(stage.world.open_at(PORT), 11);
        assert_eq!(stage.limiter.zone(ZONE).connections, 11);
    }
    stage.others_go_on();
    stage.must_be_exact();
    // The victim is where it was: at its limit.
    stage.tun.send(&stage.flow(VICTIM, 2_000, 7).syn());
    assert_eq!(stage.limiter.zone(ZONE).rejected, 1);

    // Right numbers: the kernel obeys. What comes again finds no connection, and takes nothing from
    // the other nine.
    let gone = talks.remove(0);
    for _ in 0..ROUNDS {
        stage.tun.send(&gone.segment(RST, 0));
        stage.tun.send(&gone.segment(FIN | ACK, 0));
    }
    settle("connections", 10, || stage.limiter.zone(ZONE).connections);
    assert_eq!(stage.world.open_at(PORT), 10);
    for talk in &mut talks {
        talk.must_echo(&stage.tun);
    }
    // There is one slot, and one only.
    talks.push(Talk::open(&stage.tun, stage.flow(VICTIM, 3_000, 7)));
    stage.tun.send(&stage.flow(VICTIM, 3_001, 7).syn());
    assert_eq!(stage.limiter.zone(ZONE).rejected, 2);

    // A FIN with the right numbers is the end of one direction, and no more, however often it comes.
    let mut closing = talks[0];
    stage.tun.drain();
    for _ in 0..ROUNDS {
        stage.tun.send(&closing.segment(FIN | ACK, 0));
    }
    closing.receive(&stage.tun, |segment| segment.fin);
    stage.must_be_exact();
    assert_eq!(stage.limiter.zone(ZONE).connections, 11);
    closing.next += 1;
    closing.expected += 1;
    stage.tun.send(&closing.segment(ACK, 0));
    settle("connections", 10, || stage.limiter.zone(ZONE).connections);
    stage.others_go_on();
    stage.ends();
}
