//! What every row is run on: a limiter on an interface, clients at their limit, and a way past the
//! interface.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use limiter_common::names::PROGRAM_XDP;
use serde_json::Value;
use tests::{
    Limiter, Server, World,
    client::REFUSED_AFTER,
    frame::Frame,
    packet::{Flow, Segment},
    settle,
    settle::PATIENCE,
    tap::Tap,
    test_run::{Ingress, Outcome, Program},
    tun::Tun,
    xdp::Verdict,
};

use super::{
    Change, Expected, Family, Row,
    counters::{Changes, Counters, changes, counters, named},
};
use crate::ZONE;

/// The clients that are at their limit, of two connections.
pub const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 5, 5, 5));
pub const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5));

const LIMIT: u16 = 2;
const LISTEN: [&str; 2] = ["10.0.0.1:443", "[fd00::1]:443"];
const INTERFACE: &str = "front0";

pub struct Bench {
    pub limiter: Limiter,
    /// The interface with the program.
    front: Tap,
    /// Another way into the namespace, without a program.
    side: Tun,
    program: Program,
    world: World,
    _server: Server,
    connected: Vec<(Flow, u32)>,
    attempts: u32,
}

impl Bench {
    /// Both clients at their limit; these flags as well.
    pub fn new(flags: &[&str]) -> Self {
        let world = World::new();
        let addresses = ["10.0.0.1/8", "fd00::1/64"].map(|text| text.parse().expect("literal"));
        let side = Tun::ethernet(&world.netns, "side0", &addresses);
        let front = Tap::new(&world.netns, INTERFACE, &[]);
        let server = world.serve(&LISTEN);
        let limit = LIMIT.to_string();
        let common = [
            "--listen",
            "443",
            "--limit",
            &limit,
            "--interface",
            INTERFACE,
        ];
        let limiter = Limiter::start(&world, &[&common, flags].concat());
        let program = Program::of(limiter.id(), PROGRAM_XDP);
        let mut bench = Self {
            limiter,
            front,
            side,
            program,
            world,
            _server: server,
            connected: Vec::new(),
            attempts: 0,
        };
        for client in [CLIENT_V4, CLIENT_V6] {
            for _ in 0..LIMIT {
                bench.connect(client);
            }
        }
        bench.settle();
        bench
    }

    /// Has every row run, and tells of all that are wrong.
    #[track_caller]
    pub fn check(&mut self, rows: &[Row]) {
        let mut wrong = String::new();
        for row in rows {
            let client = match row.family {
                Family::V4 => CLIENT_V4,
                Family::V6 => CLIENT_V6,
            };
            let frame = (row.frame)(self.attempt(client));
            let (outcome, changes) = self.run_confirmed(client, &frame);
            let expected = named(row.expected);
            let same = outcome.frame == frame;
            if (outcome.verdict, &changes) != (row.expected.verdict, &expected) || !same {
                let _ = writeln!(
                    wrong,
                    "{:?}, {}: expected {:?} {expected:?}, found {:?} {changes:?}{}",
                    row.family,
                    row.what,
                    row.expected.verdict,
                    outcome.verdict,
                    if same {
                        ""
                    } else {
                        ", and the frame is changed"
                    },
                );
            }
        }
        assert!(wrong.is_empty(), "of {} rows:\n{wrong}", rows.len());
    }

    /// Runs one frame of a client while the interface relies on a refusal in the stack.
    #[track_caller]
    pub fn must_be(
        &mut self,
        what: &str,
        client: IpAddr,
        frame: &[u8],
        expected: Expected,
    ) -> Vec<u8> {
        let (outcome, changes) = self.run_confirmed(client, frame);
        assert_eq!(
            (outcome.verdict, changes),
            (expected.verdict, named(expected)),
            "{what}, {client}"
        );
        outcome.frame
    }

    /// Runs one frame as things are.
    pub fn run(&self, frame: &[u8]) -> (Verdict, Changes) {
        let (outcome, changes) = self.run_counted(frame);
        (outcome.verdict, changes)
    }

    /// A SYN that nobody has sent before.
    pub fn attempt(&mut self, client: IpAddr) -> Flow {
        self.attempts += 1;
        let port = 2_000 + u16::try_from(self.attempts % 60_000).expect("below 65536");
        Flow {
            client: SocketAddr::new(client, port),
            server: server(client),
            isn: self.attempts << 8,
        }
    }

    /// Has the stack refuse a SYN at the address that a client connects to, so that it is known to
    /// be this host's.
    #[track_caller]
    pub fn confirm(&mut self, client: IpAddr) {
        let full = full_client(client);
        let flow = self.attempt(full);
        self.refuse_in_the_stack(&flow);
    }

    /// Sends a SYN that no interface refuses, but the stack.
    #[track_caller]
    pub fn refuse_in_the_stack(&self, flow: &Flow) {
        let refused = |counters: &Counters| counters["rejected"] + counters["exhausted"];
        let before = refused(&counters(&self.limiter));
        self.side.send(&flow.syn());
        let after = refused(&counters(&self.limiter));
        assert_eq!(after, before + 1, "the stack refuses {flow:?}");
    }

    /// Changes the policy in force.
    pub fn change(&self, target: &str, body: Value) {
        let answer = self.limiter.http("POST", target, Some(&body.to_string()));
        assert_eq!(answer.status, 200, "{target} {body}: {}", answer.body);
    }

    /// Closes one connection of the IPv4 client.
    pub fn close_one(&mut self) {
        let (flow, _) = self.connected.remove(0);
        assert_eq!(flow.client.ip(), CLIENT_V4);
        self.side.send(&flow.rst());
        self.settle();
    }

    /// Establishes one connection for each of so many other clients.
    pub fn fill(&mut self, clients: u16) {
        for number in 0..clients {
            let [high, low] = number.to_be_bytes();
            self.connect([10, 8, high, low].into());
        }
        self.settle();
    }

    /// The SYN of a frame that is answered on the interface, and the answer.
    pub fn reset_of(
        &mut self,
        client: IpAddr,
        change: impl Fn(Frame) -> Frame,
    ) -> (Frame, Vec<u8>) {
        const RESET: Expected = Expected {
            verdict: Verdict::Tx,
            changes: &[("rejected", 1)],
        };
        let syn = change(Frame::syn(&self.attempt(client)));
        let answer = self.must_be(&format!("{syn:?}"), client, &syn.bytes(), RESET);
        (syn, answer)
    }

    /// Sends a real frame into the interface and waits for what comes out of it.
    #[track_caller]
    pub fn answer_to(&mut self, client: IpAddr, change: Change) -> (Frame, Vec<u8>) {
        for _ in 0..20 {
            self.confirm(client);
            let flow = self.attempt(client);
            let syn = change(Frame::syn(&flow));
            self.front.send(&syn.bytes());
            let answer = self.front.receive_if(REFUSED_AFTER, |frame| {
                Segment::parse_frame(frame).is_some_and(|it| it.to == flow.client)
            });
            if let Some(answer) = answer {
                return (syn, answer);
            }
        }
        panic!("the interface does not answer {client}");
    }

    #[track_caller]
    fn run_confirmed(&mut self, client: IpAddr, frame: &[u8]) -> (Outcome, Changes) {
        for _ in 0..20 {
            self.confirm(client);
            let run = self.run_counted(frame);
            // What the stack refused counts for the moment only, and the moment may be over: then
            // the frame passed and left nothing behind, and can be run again.
            if run.0.verdict != Verdict::Pass || self.is_confirmed(client) {
                return run;
            }
        }
        panic!(
            "the interface refuses nothing that {client} sends to {}",
            server(client)
        );
    }

    /// Whether a plain SYN would be refused.
    fn is_confirmed(&mut self, client: IpAddr) -> bool {
        let flow = self.attempt(full_client(client));
        self.run(&Frame::syn(&flow).bytes()).0 != Verdict::Pass
    }

    fn run_counted(&self, frame: &[u8]) -> (Outcome, Changes) {
        let before = counters(&self.limiter);
        let ingress = Ingress {
            netns: &self.world.netns,
            interface: self.front.index(),
        };
        let outcome = self.program.once(frame, ingress);
        let changes = changes(&before, &counters(&self.limiter));
        (outcome, changes)
    }

    fn connect(&mut self, client: IpAddr) {
        let flow = self.attempt(client);
        let isn = self.side.connect(flow, PATIENCE).expect("a SYN-ACK");
        self.connected.push((flow, isn));
    }

    fn settle(&self) {
        settle("connections", self.connected.len() as u64, || {
            self.limiter.zone(ZONE).connections
        });
    }
}

/// The client of the same family that is at its limit.
fn full_client(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { CLIENT_V4 } else { CLIENT_V6 }
}

/// The address that a client of this family connects to.
fn server(client: IpAddr) -> SocketAddr {
    let [v4, v6] = LISTEN.map(|text| text.parse().expect("literal"));
    if client.is_ipv4() { v4 } else { v6 }
}
