//! SYNs and nothing else: from one source, from a hundred thousand, and in somebody's name.

use std::net::Ipv4Addr;

use tests::{client::REFUSED_AFTER, frame::flags::RST, packet::Flow};

use super::{ATTACKER, Stage, talk::Talk};
use crate::ZONE;

/// Ports of flooded attempts; those below are used for connections.
const PORTS: std::ops::Range<u32> = 10_000..60_000;

/// SYNs of one client, no two alike: `from` says where to begin.
fn syns(stage: &Stage, client: Ipv4Addr, from: u32, count: u32) -> Vec<Flow> {
    let port = |n: u32| PORTS.start + n % (PORTS.end - PORTS.start);
    (from..from + count)
        .map(|n| {
            stage.flow(
                client,
                u16::try_from(port(n)).expect("a port"),
                0x2000_0000 + n,
            )
        })
        .collect()
}

#[test]
fn from_one_source_it_takes_no_slot_and_at_the_limit_each_is_counted_once() {
    const ROUND: u32 = 3_000;
    let _heavy = crate::heavy();
    let stage = Stage::new();
    // Below its limit: answered, by cookies when the queue is full, and not counted.
    for round in 0..3 {
        for flow in syns(&stage, ATTACKER, round * ROUND, ROUND) {
            stage.tun.send(&flow.syn());
        }
        stage.others_go_on();
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.connections, zone.rejected), (1, 1, 0));
    stage.must_be_exact();

    let held: Vec<_> = (0..10)
        .map(|n| Talk::open(&stage.tun, stage.flow(ATTACKER, 1_000 + n, 7)))
        .collect();
    for round in 3..6 {
        for flow in syns(&stage, ATTACKER, round * ROUND, ROUND) {
            stage.tun.send(&flow.syn());
        }
        stage.others_go_on();
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.connections), (2, 11));
    assert_eq!(zone.rejected, u64::from(3 * ROUND));
    // It did not lose what it had.
    for mut talk in held {
        talk.must_echo(&stage.tun);
    }
    stage.ends();
}

#[test]
fn from_a_hundred_thousand_sources_it_makes_no_key() {
    const SOURCES: u32 = 100_000;
    const ROUND: u32 = 20_000;
    let _heavy = crate::heavy();
    let stage = Stage::new();
    // Odd, and so no two products are alike modulo a power of two.
    let source = |n: u32| Ipv4Addr::from_bits(10 << 24 | (n * 0x9e3b + 2) & 0x00ff_ffff);
    for round in 0..SOURCES / ROUND {
        for n in round * ROUND..(round + 1) * ROUND {
            stage.tun.send(&stage.flow(source(n), 4_000, n).syn());
        }
        assert_eq!(stage.limiter.zone(ZONE).keys, 1);
        stage.others_go_on();
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.keys, zone.exhausted, zone.rejected), (1, 0, 0));
    // One whose address was forged gets in like anybody.
    let mut real = Talk::open(&stage.tun, stage.flow(source(5), 5_000, 1));
    real.must_echo(&stage.tun);
    stage.ends();
}

#[test]
fn in_the_name_of_a_victim_it_keeps_the_victim_neither_out_nor_ends_what_it_has() {
    const ROUND: u32 = 3_000;
    let _heavy = crate::heavy();
    let stage = Stage::new();
    let victim = Ipv4Addr::new(10, 5, 5, 5);
    let open = |stage: &Stage, n: u16| Talk::open(&stage.tun, stage.flow(victim, 1_000 + n, 7));
    let mut held = Vec::new();
    for n in 0..10 {
        // Also in the name of the very connections that there are (RFC 5961 §4: challenged).
        for talk in &held {
            let Talk { flow, .. } = talk;
            stage.tun.send(&flow.syn());
            stage.tun.send(
                &Flow {
                    isn: 0x7777_7777,
                    ..*flow
                }
                .syn(),
            );
        }
        for flow in syns(&stage, victim, u32::from(n) * ROUND, ROUND / 2) {
            stage.tun.send(&flow.syn());
        }
        held.push(open(&stage, n));
    }
    assert_eq!(stage.limiter.zone(ZONE).rejected, 0);
    // At its limit, every attempt in its name is refused, its own as well.
    for flow in syns(&stage, victim, 10 * ROUND, ROUND) {
        stage.tun.send(&flow.syn());
    }
    assert_eq!(stage.limiter.zone(ZONE).rejected, u64::from(ROUND));
    let more = stage.flow(victim, 2_000, 7);
    stage.tun.drain();
    assert_eq!(stage.tun.connect(more, REFUSED_AFTER), None);
    for talk in &mut held {
        talk.must_echo(&stage.tun);
    }
    // And it has the slot that it gives up at once, whatever was refused in its name.
    let gone = held.pop().expect("ten");
    stage.tun.send(&gone.segment(RST, 0));
    held.push(open(&stage, 11));
    for talk in &mut held {
        talk.must_echo(&stage.tun);
    }
    stage.others_go_on();
    stage.ends();
}
