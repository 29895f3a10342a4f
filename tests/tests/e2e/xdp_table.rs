//! One frame, one verdict, and exactly these counters: the program on the interface, run on bytes.
//!
//! The table says what holds for every frame. A SYN without ACK and RST is judged, everything else
//! passes. What is not understood passes too, and is counted by what it was. What passes moves no
//! counter of a zone: it is the stack's, and `cgroup_skb` has the last word.

mod bench;
mod counters;
mod ipv4;
mod ipv6;
mod link;
mod reset;
mod tcp;
mod truncated;

use tests::{frame::Frame, packet::Flow, settle, test_run::Program, xdp::Verdict};

use bench::{Bench, CLIENT_V4, CLIENT_V6};
use serde_json::json;

use crate::ZONE;

/// A line of the table.
struct Row {
    /// What is special about the frame.
    what: String,
    family: Family,
    /// The frame, from an attempt of the client that is at its limit. Each run has an attempt of
    /// its own.
    frame: Box<dyn Fn(Flow) -> Vec<u8>>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// What makes a frame of the table from a SYN.
type Change = fn(Frame) -> Frame;

/// What a frame leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    verdict: Verdict,
    /// Counters of the zone, and of packets that were not understood, that change; no other does.
    changes: &'static [(&'static str, u64)],
}

impl Expected {
    const fn dropped(changes: &'static [(&'static str, u64)]) -> Self {
        let verdict = Verdict::Drop;
        Self { verdict, changes }
    }

    const fn passed(changes: &'static [(&'static str, u64)]) -> Self {
        let verdict = Verdict::Pass;
        Self { verdict, changes }
    }
}

const REFUSED: Expected = Expected::dropped(&[("rejected", 1)]);
const REFUSED_AGAIN: Expected = Expected::dropped(&[("syn_retransmits", 1)]);
const PASSED: Expected = Expected::passed(&[]);
const NOT_IP: Expected = Expected::passed(&[("not_ip", 1)]);
const NOT_TCP: Expected = Expected::passed(&[("not_tcp", 1)]);
const FRAGMENT: Expected = Expected::passed(&[("fragment", 1)]);
const TRUNCATED: Expected = Expected::passed(&[("truncated", 1)]);
const TOO_MANY_TAGS: Expected = Expected::passed(&[("too_many_tags", 1)]);
const TOO_MANY_EXTENSIONS: Expected = Expected::passed(&[("too_many_extensions", 1)]);

/// A row about a SYN to an IPv4 address that is changed in some way.
fn v4(what: &str, expected: Expected, change: impl Fn(Frame) -> Frame + 'static) -> Row {
    row(Family::V4, what, expected, change)
}

/// A row about a SYN to an IPv6 address that is changed in some way.
fn v6(what: &str, expected: Expected, change: impl Fn(Frame) -> Frame + 'static) -> Row {
    row(Family::V6, what, expected, change)
}

fn row(
    family: Family,
    what: &str,
    expected: Expected,
    change: impl Fn(Frame) -> Frame + 'static,
) -> Row {
    Row {
        what: what.to_owned(),
        family,
        frame: Box::new(move |flow| change(Frame::syn(&flow)).bytes()),
        expected,
    }
}

#[test]
fn tags_and_other_protocols_of_the_link() {
    Bench::new(&[]).check(&link::rows());
}

#[test]
fn ipv4_headers() {
    Bench::new(&[]).check(&ipv4::rows());
}

#[test]
fn ipv6_headers() {
    Bench::new(&[]).check(&ipv6::rows());
}

#[test]
fn tcp_headers_ports_and_addresses() {
    Bench::new(&[]).check(&tcp::rows());
}

#[test]
fn frames_that_end_at_or_before_the_end_of_every_header() {
    Bench::new(&[]).check(&truncated::rows());
}

#[test]
fn an_attempt_is_counted_once_however_often_and_however_wrapped_it_comes() {
    let mut bench = Bench::new(&[]);
    for client in [CLIENT_V4, CLIENT_V6] {
        let flow = bench.attempt(client);
        let bare = Frame::syn(&flow).segment(|tcp| tcp.options.clear());
        bench.must_be("first", client, &Frame::syn(&flow).bytes(), REFUSED);
        bench.must_be("again", client, &Frame::syn(&flow).bytes(), REFUSED_AGAIN);
        bench.must_be("without options", client, &bare.bytes(), REFUSED_AGAIN);
        let tagged = bare.tag(0x8100, 1).bytes();
        bench.must_be("with a tag", client, &tagged, REFUSED_AGAIN);
        let another = Flow {
            isn: flow.isn ^ 1,
            ..flow
        };
        let another = Frame::syn(&another).bytes();
        bench.must_be("another attempt", client, &another, REFUSED);

        // What the stack has refused is not counted a second time on the interface.
        let flow = bench.attempt(client);
        bench.refuse_in_the_stack(&flow);
        let seen = Frame::syn(&flow).bytes();
        bench.must_be("seen by the stack", client, &seen, REFUSED_AGAIN);
    }
}

#[test]
fn in_dry_run_everything_passes_and_nothing_is_counted() {
    let mut bench = Bench::new(&[]);
    for client in [CLIENT_V4, CLIENT_V6] {
        let flow = bench.attempt(client);
        bench.confirm(client);
        bench.change("/dry-run", json!({ "on": true }));
        let syn = Frame::syn(&flow).bytes();
        assert_eq!(bench.run(&syn), (Verdict::Pass, vec![]));
        assert_eq!(bench.run(&syn), (Verdict::Pass, vec![]));
        let arp = Frame::other(0x0806, &[0; 28]).bytes();
        assert_eq!(
            bench.run(&arp),
            (Verdict::Pass, vec![("not_ip".to_owned(), 1)])
        );
        bench.change("/dry-run", json!({ "on": false }));
        bench.must_be("dry run is over", client, &syn, REFUSED);
    }
}

#[test]
fn a_key_below_its_limit_passes_at_once() {
    let mut bench = Bench::new(&[]);
    let syn = Frame::syn(&bench.attempt(CLIENT_V4)).bytes();
    bench.confirm(CLIENT_V4);
    bench.change("/limit", json!({ "zone": ZONE, "number": 3 }));
    assert_eq!(bench.run(&syn), (Verdict::Pass, vec![]));
    bench.change("/limit", json!({ "zone": ZONE, "number": 2 }));
    bench.must_be("the old limit", CLIENT_V4, &syn, REFUSED);

    let syn = Frame::syn(&bench.attempt(CLIENT_V4)).bytes();
    bench.confirm(CLIENT_V4);
    bench.close_one();
    assert_eq!(bench.run(&syn), (Verdict::Pass, vec![]));
}

#[test]
fn without_a_refusal_in_the_stack_nothing_is_refused_on_the_interface() {
    let mut bench = Bench::new(&[]);
    let syn = Frame::syn(&bench.attempt(CLIENT_V4)).bytes();
    assert_eq!(bench.run(&syn), (Verdict::Pass, vec![]));

    bench.must_be("after a refusal", CLIENT_V4, &syn, REFUSED);
    // A refusal on the interface confirms nothing: it ends by itself.
    settle("verdict", Verdict::Pass, || {
        let syn = Frame::syn(&bench.attempt(CLIENT_V4)).bytes();
        bench.run(&syn).0
    });
}

#[test]
fn in_a_full_zone_a_client_without_a_key_is_refused_as_exhausted() {
    let mut bench = Bench::new(&["--zone-size", "64k"]);
    bench.fill(1_024 - 2);
    for client in [[10, 9, 9, 9].into(), "fd00::9:9".parse().expect("literal")] {
        let flow = bench.attempt(client);
        let exhausted = Expected::dropped(&[("exhausted", 1)]);
        let syn = Frame::syn(&flow).bytes();
        bench.must_be("no room", client, &syn, exhausted);
        bench.must_be("again", client, &syn, REFUSED_AGAIN);
    }
    let flow = bench.attempt(CLIENT_V4);
    let syn = Frame::syn(&flow).bytes();
    bench.must_be("a key that is there", CLIENT_V4, &syn, REFUSED);
}

#[test]
fn of_two_limiters_each_has_a_program_of_its_own() {
    let (one, other) = (Bench::new(&[]), Bench::new(&[]));
    let name = limiter_common::names::PROGRAM_XDP;
    let program = |bench: &Bench| Program::of(bench.limiter.id(), name).id();
    assert_ne!(program(&one), program(&other));
}
