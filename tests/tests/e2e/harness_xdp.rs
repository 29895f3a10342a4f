//! The ground under the tests of XDP, without a limiter: programs of a few instructions.

use std::{net::SocketAddr, os::fd::AsFd};

use ipnet::IpNet;
use tests::{
    World,
    client::{self, REFUSED_AFTER},
    frame::{CLIENT, Frame, SERVER, ethertype},
    link::{self, XdpMode},
    mib,
    netns::NetNs,
    packet::{Flow, Segment},
    privilege::require_root,
    settle,
    settle::PATIENCE,
    sockdiag,
    tap::Tap,
    test_run::{Ingress, Program, Run, interfaces_of},
    tun::Tun,
    veth::{self, Veth},
    world::address,
    xdp::{self, Verdict, always, drop_if},
};

fn syn() -> Frame {
    Frame::syn(&Flow {
        client: "10.5.5.5:4000".parse().expect("literal"),
        server: "10.0.0.1:443".parse().expect("literal"),
        isn: 1,
    })
}

#[test]
fn a_test_run_tells_the_verdict_and_the_frame() {
    require_root();
    let frame = syn().bytes();
    for verdict in [Verdict::Drop, Verdict::Pass, Verdict::Tx] {
        let program = xdp::load("test_xdp", &always(verdict));
        let run = Run {
            frame: &frame,
            ingress: None,
            repeat: 1_000,
        };
        let outcome = program.run(run).expect("run the program");
        assert_eq!((outcome.verdict, &outcome.frame), (verdict, &frame));
    }
}

#[test]
fn a_test_run_claims_to_come_from_an_interface_of_another_namespace() {
    let world = World::new();
    // r0 = ctx->ingress_ifindex
    let program = xdp::load("test_xdp", &[0x000c_1061, 0x95]);
    let ingress = |interface| Ingress {
        netns: &world.netns,
        interface,
    };
    // Loopback is the first interface of a namespace, and this one has no other.
    let outcome = program.once(&syn().bytes(), ingress(1));
    assert_eq!(outcome.verdict as u32, 1);
    let nowhere = Run {
        frame: &syn().bytes(),
        ingress: Some(ingress(77)),
        repeat: 1,
    };
    let error = program.run(nowhere).expect_err("no such interface");
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn a_test_run_takes_an_ethernet_header_and_nothing_shorter() {
    require_root();
    let program = xdp::load("test_xdp", &drop_if(12, ethertype::IPV4));
    let run = |length| {
        program.run(Run {
            frame: &syn().cut(length),
            ingress: None,
            repeat: 1,
        })
    };
    assert_eq!(run(14).expect("runs").verdict, Verdict::Drop);
    assert_eq!(
        run(13).expect_err("too short").raw_os_error(),
        Some(libc::EINVAL)
    );
    let other = Frame::other(ethertype::ARP, &[0; 28]).bytes();
    let run = Run {
        frame: &other,
        ingress: None,
        repeat: 1,
    };
    assert_eq!(program.run(run).expect("runs").verdict, Verdict::Pass);
}

#[test]
fn an_attached_program_shows_with_its_process_and_its_number() {
    let netns = NetNs::new();
    let program = xdp::load("test_xdp", &always(Verdict::Pass));
    let _link = xdp::attach(&program, &netns, "lo", XdpMode::Generic).expect("attach");
    assert!(interfaces_of(std::process::id()).contains(&1));
    let same = Program::by_id(program.id()).expect("open it again");
    assert_eq!(same.name(), program.name());
}

#[test]
fn a_link_that_is_dropped_detaches_its_program_whoever_has_a_copy() {
    let netns = NetNs::new();
    let program = xdp::load("test_xdp", &always(Verdict::Pass));
    let attach = || xdp::attach(&program, &netns, "lo", XdpMode::Generic);
    let link = attach().expect("attach");
    let copy = link.as_fd().try_clone_to_owned().expect("copy");
    drop(link);
    assert_eq!(link::xdp(&netns, "lo"), []);
    let _again = attach().expect("attach again");
    drop(copy);
    assert_eq!(link::xdp(&netns, "lo").len(), 1);
}

/// The addresses of a [`Tap`]: everything else in their prefixes is the test.
fn addresses() -> [IpNet; 2] {
    ["10.0.0.1/8", "fd00::1/64"].map(|text| text.parse().expect("literal"))
}

#[test]
fn a_tap_device_takes_and_gives_whole_frames_of_either_family() {
    let world = World::new();
    let tap = Tap::new(&world.netns, "tap0", &addresses());
    let _server = world.serve(&["10.0.0.1:8080", "[fd00::1]:8080"]);
    for (client, server) in [
        ("10.7.7.7:4000", "10.0.0.1:8080"),
        ("[fd00::7]:4000", "[fd00::1]:8080"),
    ] {
        let flow = Flow {
            client: client.parse().expect("literal"),
            server: server.parse().expect("literal"),
            isn: 7,
        };
        tap.send(&Frame::syn(&flow).bytes());
        let answer = tap.receive_if(PATIENCE, |frame| {
            Segment::parse_frame(frame).is_some_and(|segment| segment.is_syn_ack_for(&flow))
        });
        let answer = answer.unwrap_or_else(|| panic!("no SYN-ACK for {client}"));
        assert_eq!((&answer[..6], &answer[6..12]), (&CLIENT[..], &SERVER[..]));
    }
}

#[test]
fn connections_over_ethernet_work_as_those_over_ip() {
    let world = World::new();
    let tun = Tun::ethernet(&world.netns, "tap0", &addresses());
    let mut server = world.serve(&["[fd00::1]:8080"]);
    // More than the kernel would remember neighbours.
    for number in 0..1_100_u32 {
        let flow = Flow {
            client: format!("[fd00::1:{number:x}]:4000")
                .parse()
                .expect("an address"),
            server: server.address(),
            isn: number,
        };
        tun.connect(flow, PATIENCE)
            .unwrap_or_else(|| panic!("no SYN-ACK for client {number}"));
    }
    settle("accepted", 1_100, || server.stat().accepted);
}

#[test]
fn what_a_program_sends_back_comes_out_of_a_tap_device() {
    let world = World::new();
    let tap = Tap::new(&world.netns, "tap0", &addresses());
    let program = xdp::load("test_xdp", &always(Verdict::Tx));
    let frames = [
        syn().bytes(),
        syn()
            .tag(ethertype::SERVICE_VLAN, 7)
            .tag(ethertype::VLAN, 8)
            .bytes(),
    ];
    for mode in [XdpMode::Native, XdpMode::Generic] {
        let link = xdp::attach(&program, &world.netns, "tap0", mode).expect("attach");
        for frame in &frames {
            tap.send(frame);
            let back = tap.receive_if(PATIENCE, |seen| seen == &frame[..]);
            assert!(back.is_some(), "{mode:?}");
        }
        drop(link);
    }
}

/// Generic XDP gives a program what lies behind the MAC header, and a TUN device has none
/// (net/core/dev.c, bpf_prog_run_generic_xdp). Whoever reads an ethertype there reads the first
/// half of the client's address.
#[test]
fn on_a_device_without_ethernet_a_program_sees_the_ip_header_first() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let server = world.serve(&["10.0.0.1:8080"]);
    if tests::interface::is_wanted() {
        return;
    }
    let flow = |client: &str| Flow {
        client: client.parse().expect("literal"),
        server: server.address(),
        isn: 7,
    };
    let program = xdp::load("test_xdp", &drop_if(12, 0x0a07));
    let native = xdp::attach(&program, &world.netns, "tun0", XdpMode::Native);
    let refused = native.expect_err("only for Ethernet");
    assert_eq!(refused.raw_os_error(), Some(libc::EOPNOTSUPP));
    let _link = xdp::attach(&program, &world.netns, "tun0", XdpMode::Generic).expect("attach");
    assert_eq!(tun.connect(flow("10.7.7.7:4000"), REFUSED_AFTER), None);
    tun.connect(flow("10.8.7.7:4000"), PATIENCE)
        .expect("not dropped");
}

#[test]
fn generic_xdp_on_loopback_sees_every_frame_with_an_ethernet_header() {
    let world = World::new();
    let server = world.serve(&["127.0.0.1:8080"]);
    // The destination port, behind Ethernet and IPv4.
    let program = xdp::load("test_xdp", &drop_if(14 + 20 + 2, 8080));
    let link = xdp::attach(&program, &world.netns, "lo", XdpMode::Generic).expect("attach");
    world.must_be_refused("127.0.0.5", server.address());
    drop(link);
    world.open("127.0.0.5", server.address());
}

#[test]
fn a_whole_prefix_of_clients_is_at_the_other_end_of_a_cable() {
    let world = World::new();
    let veth = Veth::new(&world.netns);
    veth.set_mtu(&world.netns, 9_000);
    let mut server = world.serve(&["10.0.0.1:8080", "[fd00::1]:8080"]);
    let mut open = Vec::new();
    for to in ["10.0.0.1:8080", "[fd00::1]:8080"] {
        let to: SocketAddr = to.parse().expect("literal");
        for number in [1, 5, 4_711, 65_534] {
            let from = veth::client(to.ip(), number);
            open.push(client::open(veth.clients(), from, to));
            assert_eq!(sockdiag::count_from(&world.netns, 8080, from), 1, "{from}");
        }
    }
    assert_eq!(server.stat().open, 8);
    drop(veth);
    let left = world
        .netns
        .run(|| nix::net::if_::if_nametoindex(veth::SERVERS));
    assert!(left.is_err(), "one end goes with the other");
}

#[test]
fn a_veth_takes_what_a_program_in_the_driver_sends_back_if_it_has_a_program_too() {
    let world = World::new();
    let veth = Veth::new(&world.netns);
    // IPv6 says something now and then.
    for (netns, device) in [
        (&world.netns, veth::SERVERS),
        (veth.clients(), veth::CLIENTS),
    ] {
        netns.sysctl(&format!("net/ipv6/conf/{device}/disable_ipv6"), "1");
    }
    let received = || mib::received_packets(veth.clients(), veth::CLIENTS);
    let (from, to) = ("10.1.0.5", "10.0.0.1:8080".parse().expect("literal"));
    // Who is at the other end is asked before the program is there.
    let refused = client::try_open(veth.clients(), address(from), to, PATIENCE);
    refused.expect_err("nobody listens");

    let program = xdp::load("test_xdp", &always(Verdict::Tx));
    for (mode, takes, comes) in [
        (XdpMode::Native, false, false),
        (XdpMode::Native, true, true),
        (XdpMode::Generic, false, true),
    ] {
        let _takes = takes.then(|| veth.take_replies());
        let _link = xdp::attach(&program, &world.netns, veth::SERVERS, mode).expect("attach");
        let before = received();
        client::must_be_refused(veth.clients(), address(from), to);
        assert_eq!(received() > before, comes, "{mode:?}, {takes}");
    }
}
