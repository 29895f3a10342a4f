//! XDP on network interfaces that come, go, and change their names.

use std::fs;

use nix::sys::signal::Signal;
use tests::{
    Limiter, World,
    foreign_xdp::ForeignXdp,
    link::{self, XdpMode},
    settle,
};

use crate::{
    CLIENT, SERVER,
    interface::{JUMBO, attached, config, flags, only, with_veth},
};

const EDGE: [&str; 2] = ["--interface", "edge0"];
const ATTACHED: [&str; 1] = ["edge0: limiter_xdp Some(Native)"];
const MISSING: [&str; 1] = ["edge0: no such interface"];

#[test]
fn a_missing_interface_is_waited_for_and_the_cgroup_enforces() {
    let world = World::new();
    link::add_veth(&world.netns, "egde0", "other");
    let limiter = Limiter::start(&world, &flags(&EDGE));
    assert_eq!(attached(&limiter), MISSING);
    limiter.must_say("waiting for interface edge0: no such interface");
    limiter.must_say("interfaces that are there: ");
    assert_eq!(lines(&limiter, "egde0"), 1, "a typing error can be seen");
    let text = limiter.cli_ok(&["status"]);
    assert!(
        text.contains("waiting for interface edge0: no such interface\n"),
        "{text}"
    );
    let server = world.serve(&[SERVER]);
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());

    for _ in 0..3 {
        link::add_veth(&world.netns, "edge0", "edge1");
        is_attached(&limiter);
        assert_eq!(only(&world, "edge0").mode, XdpMode::Native);
        link::delete(&world.netns, "edge0");
        is_missing(&limiter);
    }
    assert_eq!(link::xdp(&world.netns, "egde0"), []);
    // Once at the start, and each time that it went.
    settle("lines", 4, || {
        lines(&limiter, "waiting for interface edge0")
    });
    assert_eq!(lines(&limiter, "attached to interface edge0"), 3);
}

#[test]
fn the_program_follows_the_name() {
    let world = with_veth();
    let limiter = Limiter::start(&world, &flags(&EDGE));
    link::rename(&world.netns, "edge0", "old0");
    is_missing(&limiter);
    assert_eq!(link::xdp(&world.netns, "old0"), []);
    link::rename(&world.netns, "edge1", "edge0");
    is_attached(&limiter);
    assert_eq!(only(&world, "edge0").mode, XdpMode::Native);
    assert_eq!(link::xdp(&world.netns, "old0"), []);
    link::delete(&world.netns, "edge0");
    is_missing(&limiter);
}

#[test]
fn two_names_on_the_two_ends_of_a_cable_may_be_exchanged() {
    let world = with_veth();
    let both = flags(&["--interface", "edge0", "--interface", "edge1"]);
    let limiter = Limiter::start(&world, &both);
    let expected = [
        "edge0: limiter_xdp Some(Native)",
        "edge1: limiter_xdp Some(Native)",
    ];
    assert_eq!(attached(&limiter), expected);
    // One end takes the name of the other while the limiter does not look.
    limiter.signal(Signal::SIGSTOP);
    link::rename(&world.netns, "edge1", "third");
    link::rename(&world.netns, "edge0", "edge1");
    limiter.signal(Signal::SIGCONT);
    settle(
        "attached",
        vec![MISSING[0].to_owned(), expected[1].to_owned()],
        || attached(&limiter),
    );
    assert_eq!(link::xdp(&world.netns, "third"), []);
    link::rename(&world.netns, "third", "edge0");
    settle("attached", expected.map(str::to_owned).to_vec(), || {
        attached(&limiter)
    });
    for end in ["edge0", "edge1"] {
        assert_eq!(only(&world, end).mode, XdpMode::Native);
    }
}

#[test]
fn a_device_of_somebody_else_that_takes_the_name_is_waited_for() {
    let world = with_veth();
    let limiter = Limiter::start(&world, &flags(&EDGE));
    link::rename(&world.netns, "edge0", "old0");
    is_missing(&limiter);
    let theirs = ForeignXdp::load();
    link::set_xdp(&world.netns, "edge1", Some(&theirs), XdpMode::Native).expect("attach");
    link::rename(&world.netns, "edge1", "edge0");
    let before = only(&world, "edge0");
    let waiting = format!(
        "edge0: the XDP program someone_elses (id {}, native mode) is attached to it already",
        before.id
    );
    settle("attached", vec![waiting], || attached(&limiter));
    assert_eq!(only(&world, "edge0"), before);
    limiter.must_say("waiting for interface edge0: the XDP program someone_elses");

    link::set_xdp(&world.netns, "edge0", None, XdpMode::Native).expect("detach");
    is_attached(&limiter);
    assert_ne!(only(&world, "edge0").id, before.id);
}

#[test]
fn a_driver_that_refused_is_asked_again_when_the_reason_may_be_gone() {
    let world = with_veth();
    let limiter = Limiter::start_config(&world, &config("edge7", "native"));
    assert_eq!(attached(&limiter), ["edge7: no such interface"]);
    for end in ["edge0", "edge1"] {
        link::set_mtu(&world.netns, end, JUMBO);
    }
    link::rename(&world.netns, "edge0", "edge7");
    limiter.must_say("waiting for interface edge7: native mode: the MTU of the other end");
    for end in ["edge7", "edge1"] {
        link::set_mtu(&world.netns, end, 1_500);
    }
    let expected = vec!["edge7: limiter_xdp Some(Native)".to_owned()];
    settle("attached", expected, || attached(&limiter));
    assert_eq!(only(&world, "edge7").mode, XdpMode::Native);
}

#[test]
fn lost_notifications_lose_no_change() {
    let world = with_veth();
    link::add_veth(&world.netns, "noise", "silence");
    let limiter = Limiter::start(&world, &flags(&EDGE));
    limiter.signal(Signal::SIGSTOP);
    // More than the socket keeps, net.core.rmem_default.
    for mtu in 1_000..2_000 {
        link::set_mtu(&world.netns, "noise", mtu);
    }
    link::delete(&world.netns, "edge0");
    link::add_veth(&world.netns, "edge0", "edge1");
    assert!(lost(&limiter) > 0);
    limiter.signal(Signal::SIGCONT);
    settle("programs", 1, || link::xdp(&world.netns, "edge0").len());
    is_attached(&limiter);
    let stderr = limiter.stderr();
    assert!(!stderr.contains("error"), "{stderr}");
}

#[test]
fn interfaces_of_other_namespaces_are_none_of_its_business() {
    let world = World::new();
    let elsewhere = with_veth();
    let limiter = Limiter::start(&world, &flags(&EDGE));
    assert_eq!(attached(&limiter), MISSING);
    link::move_to(&elsewhere.netns, "edge0", &world.netns);
    is_attached(&limiter);
    link::move_to(&world.netns, "edge0", &elsewhere.netns);
    is_missing(&limiter);
    assert_eq!(link::xdp(&elsewhere.netns, "edge0"), []);
}

#[track_caller]
fn is_attached(limiter: &Limiter) {
    settle("attached", ATTACHED.map(str::to_owned).to_vec(), || {
        attached(limiter)
    });
}

#[track_caller]
fn is_missing(limiter: &Limiter) {
    settle("attached", MISSING.map(str::to_owned).to_vec(), || {
        attached(limiter)
    });
}

fn lines(limiter: &Limiter, text: &str) -> usize {
    let log = limiter.stderr();
    log.lines().filter(|line| line.contains(text)).count()
}

/// Notifications of devices that did not reach a limiter (net/netlink/af_netlink.c,
/// netlink_native_seq_show).
fn lost(limiter: &Limiter) -> u64 {
    const LINKS: &str = "00000001";
    let path = format!("/proc/{}/net/netlink", limiter.id());
    let sockets = fs::read_to_string(&path).expect("read it");
    let sockets = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    sockets
        .filter(|columns| columns[1] == "0" && columns[3] == LINKS)
        .map(|columns| columns[8].parse::<u64>().expect("a number"))
        .sum()
}
