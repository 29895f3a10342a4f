//! A client that uses the port of a connection again while the server has it in TIME_WAIT.

use tests::{
    serve::CLOSE,
    settle,
    sockdiag::{self, state::TIME_WAIT},
};

use super::{ATTACKER, Stage, talk::Talk};
use crate::{PORT, ZONE};
use tests::frame::flags::{ACK, FIN};

/// Has the server close first, and acknowledges everything.
fn leave_in_time_wait(stage: &Stage, mut talk: Talk) {
    stage.tun.drain();
    talk.say(&stage.tun, CLOSE);
    talk.receive(&stage.tun, |segment| segment.fin);
    talk.expected += 1;
    stage.tun.send(&talk.segment(FIN | ACK, 0));
}

fn in_time_wait(stage: &Stage) -> usize {
    let all = sockdiag::dump(&stage.world.netns);
    let mut ends = all.iter().filter(|it| it.local.port() == PORT);
    let ours = ends.by_ref().filter(|it| it.remote.ip() == ATTACKER);
    ours.filter(|it| it.state == TIME_WAIT).count()
}

#[test]
fn it_counts_once_each_time_and_does_not_get_past_the_limit() {
    const ROUNDS: u32 = 20;
    let stage = Stage::new();
    // Higher than all that went before, as RFC 9293 §3.6.1 wants it.
    let open = |port: u16, round: u32| {
        let flow = stage.flow(ATTACKER, port, (round + 1) << 16);
        Talk::open(&stage.tun, flow)
    };
    for round in 0..ROUNDS {
        let talks: Vec<_> = (1_000..1_010).map(|port| open(port, round)).collect();
        assert_eq!(in_time_wait(&stage), 0, "each took the place of another");
        stage.must_be_exact();
        talks
            .into_iter()
            .for_each(|it| leave_in_time_wait(&stage, it));
        settle("TIME_WAIT", 10, || in_time_wait(&stage));
        settle("connections", 1, || stage.limiter.zone(ZONE).connections);
    }
    stage.others_go_on();

    // With ten others open, a SYN that ends a TIME_WAIT begins nothing.
    let held: Vec<_> = (2_000..2_010).map(|port| open(port, ROUNDS)).collect();
    for port in 1_000..1_010 {
        stage
            .tun
            .send(&stage.flow(ATTACKER, port, (ROUNDS + 1) << 16).syn());
    }
    let zone = stage.limiter.zone(ZONE);
    assert_eq!((zone.connections, zone.rejected, zone.excess), (11, 10, 0));
    for mut talk in held {
        talk.must_echo(&stage.tun);
    }
    stage.others_go_on();
    stage.ends();
}
