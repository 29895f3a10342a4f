//! Clients that close one direction, or never acknowledge that the server has closed: the slot is
//! held until the kernel has nothing left of the connection but TIME_WAIT.

use tests::{
    frame::flags::{ACK, FIN, PSH},
    serve::{CLOSE, SHUTDOWN},
    settle,
    sockdiag::{
        self,
        state::{CLOSE_WAIT, CLOSING, FIN_WAIT1, FIN_WAIT2, LAST_ACK},
    },
};

use super::{ATTACKER, Stage, talk::Talk};
use crate::{PORT, ZONE};

/// Waits until the server's end of this connection is in this state, or no connection any more.
#[track_caller]
fn settle_state(stage: &Stage, talk: &Talk, state: Option<u8>) {
    settle("state", state, || {
        let sockets = sockdiag::connections(&stage.world.netns, PORT);
        let found = sockets.iter().find(|it| it.remote == talk.flow.client);
        found.map(|socket| socket.state)
    });
    stage.must_be_exact();
}

fn open(stage: &Stage, port: u16) -> Talk {
    Talk::open(&stage.tun, stage.flow(ATTACKER, port, 7))
}

/// The server's FIN comes; it is not acknowledged yet.
fn receive_fin(stage: &Stage, talk: &mut Talk) {
    talk.receive(&stage.tun, |segment| segment.fin);
}

#[test]
fn if_the_client_closes_first_close_wait_and_last_ack_hold_the_slot() {
    let stage = Stage::with(&[], &["--hold"], super::CONFIG);
    let mut talks: Vec<_> = (0..10).map(|n| open(&stage, 1_000 + n)).collect();
    for talk in &talks[1..] {
        stage.tun.send(&talk.segment(FIN | ACK, 0));
        settle_state(&stage, talk, Some(CLOSE_WAIT));
    }
    // The first one has the application close too, and does not say that it knows.
    let talk = &mut talks[0];
    let last = talk
        .flow
        .forged(FIN | PSH | ACK, talk.next, talk.expected, &[CLOSE]);
    stage.tun.drain();
    stage.tun.send(&last);
    settle_state(&stage, talk, Some(LAST_ACK));
    stage.tun.send(&stage.flow(ATTACKER, 2_000, 7).syn());
    assert_eq!(stage.limiter.zone(ZONE).rejected, 1);
    stage.others_go_on();

    talk.next += 2;
    receive_fin(&stage, talk);
    talk.expected += 1;
    stage.tun.send(&talk.segment(ACK, 0));
    settle_state(&stage, talk, None);
    open(&stage, 2_001);
    stage.tun.send(&stage.flow(ATTACKER, 2_002, 7).syn());
    assert_eq!(stage.limiter.zone(ZONE).rejected, 2);
    stage.ends();
}

#[test]
fn if_the_server_closes_first_fin_wait_and_closing_hold_the_slot_and_time_wait_does_not() {
    let stage = Stage::with(&[], &["--hold"], super::CONFIG);
    // The application keeps two of them open for reading, and closes the third.
    let asked = [SHUTDOWN, SHUTDOWN, CLOSE];
    let mut talks = [0, 1, 2].map(|n| open(&stage, 1_000 + n));
    for (talk, asks) in talks.iter_mut().zip(asked) {
        stage.tun.drain();
        talk.say(&stage.tun, asks);
        receive_fin(&stage, talk);
        settle_state(&stage, talk, Some(FIN_WAIT1));
    }
    stage.others_go_on();
    let [acknowledged, at_once, orphan] = &mut talks;

    acknowledged.expected += 1;
    stage.tun.send(&acknowledged.segment(ACK, 0));
    settle_state(&stage, acknowledged, Some(FIN_WAIT2));
    stage.tun.send(&acknowledged.segment(FIN | ACK, 0));
    settle_state(&stage, acknowledged, None);

    // Both close at the same moment (RFC 9293 §3.6, figure 13).
    stage.tun.send(&at_once.segment(FIN | ACK, 0));
    settle_state(&stage, at_once, Some(CLOSING));
    at_once.next += 1;
    at_once.expected += 1;
    stage.tun.send(&at_once.segment(ACK, 0));
    settle_state(&stage, at_once, None);

    // Nobody waits for anything of this one: what is left is as small as TIME_WAIT.
    orphan.expected += 1;
    stage.tun.send(&orphan.segment(ACK, 0));
    settle_state(&stage, orphan, None);
    let left = sockdiag::dump(&stage.world.netns);
    let left = left.iter().filter(|it| it.remote.ip() == ATTACKER);
    assert_eq!(left.filter(|it| it.remnant).count(), 3);
    assert_eq!(stage.limiter.zone(ZONE).connections, 1);
    stage.others_go_on();
    stage.ends();
}
