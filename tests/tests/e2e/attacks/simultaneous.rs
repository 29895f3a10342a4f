//! Two that connect to each other at the same moment (RFC 9293 §3.5, figure 8): nobody listens, so
//! nothing is counted, although the kernel says of such a connection what it says of one that a
//! listener has got (net/ipv4/tcp_input.c, tcp_rcv_state_process).

use std::net::{Ipv4Addr, SocketAddr};

use tests::{
    frame::flags::{ACK, SYN},
    outgoing::{Order, Outgoing, Way},
    packet::Flow,
    settle,
    settle::PATIENCE,
    sockdiag::{self, state::ESTABLISHED},
};

use super::{ATTACKER, CONFIG, Stage};
use crate::PORT;

/// Every port is the server's.
const EVERY_PORT: &str = "
    limit_conn_zone $binary_remote_addr zone=addr:64k;
    limit_conn_zone $server_name zone=all:32k;
    server { server_name web; limit_conn addr 10; limit_conn all 2; }
";

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), port)
}

/// Established connections of this end.
fn established(stage: &Stage, remote: SocketAddr) -> usize {
    let all = sockdiag::dump(&stage.world.netns);
    let ours = all.iter().filter(|it| it.remote == remote);
    ours.filter(|it| it.state == ESTABLISHED).count()
}

/// A process of the limited cgroup connects from this port to the attacker, which answers its SYN
/// with a SYN.
fn open(stage: &Stage, process: &mut Outgoing, flow: Flow) {
    let (way, to) = (Way::Bound(flow.server), flow.client);
    stage.tun.drain();
    let ends = process.obey(Order::Connect { count: 1, way, to });
    assert_eq!(ends.get("EINPROGRESS"), Some(&1), "{ends:?}");
    let syn = loop {
        let segment = stage.tun.receive(PATIENCE).expect("a SYN");
        if segment.syn && !segment.ack && segment.to == to {
            break segment;
        }
    };
    stage.tun.send(&flow.syn());
    let answer = flow.forged(SYN | ACK, flow.isn, syn.sequence.wrapping_add(1), &[]);
    stage.tun.send(&answer);
    settle("established", 1, || established(stage, to));
}

/// What each zone counts: keys, connections, those that passed.
fn counted(stage: &Stage) -> Vec<(u64, u64, u64)> {
    let zones = stage.limiter.status().zones.into_iter();
    zones
        .map(|it| (it.keys, it.connections, it.passed))
        .collect()
}

fn nothing_is_counted(config: &str, ports: &[u16]) {
    let stage = Stage::with(&[], &["--reuse-port"], config);
    let mut process = Outgoing::start(&stage.world);
    let before = counted(&stage);
    let flows: Vec<_> = (4_000..4_003)
        .zip(ports.iter().cycle())
        .map(|(client, port)| Flow {
            server: address(*port),
            ..stage.flow(ATTACKER, client, 7)
        })
        .collect();
    for flow in &flows {
        open(&stage, &mut process, *flow);
        assert_eq!(counted(&stage), before, "{flow:?}");
    }
    // They take nobody's place.
    stage.others_go_on();
    let before = counted(&stage);
    process.obey(Order::Close);
    for flow in &flows {
        stage.tun.send(&flow.rst());
    }
    for flow in &flows {
        settle("established", 0, || established(&stage, flow.client));
    }
    assert_eq!(counted(&stage), before);
    stage.ends();
}

#[test]
fn nothing_is_counted_whether_or_not_the_port_is_a_servers() {
    nothing_is_counted(CONFIG, &[9_000, PORT]);
}

#[test]
fn nothing_is_counted_where_every_port_is_a_servers() {
    nothing_is_counted(EVERY_PORT, &[9_000]);
}

/// The one way without somebody else.
#[test]
fn who_connects_to_itself_is_not_counted() {
    let stage = Stage::new();
    let mut process = Outgoing::start(&stage.world);
    let before = counted(&stage);
    let to: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT);
    let way = Way::Bound(to);
    process.obey(Order::Connect { count: 1, way, to });
    settle("established", 1, || established(&stage, to));
    assert_eq!(counted(&stage), before);
    process.obey(Order::Close);
    settle("established", 0, || established(&stage, to));
    assert_eq!(counted(&stage), before);
    stage.others_go_on();
    stage.ends();
}
