//! The ground under the tests of XDP, without a limiter: programs of a few instructions.

use tests::{
    World,
    frame::{Frame, ethertype},
    netns::NetNs,
    packet::Flow,
    privilege::require_root,
    test_run::{Ingress, Program, Run, interfaces_of},
    xdp::{self, Mode, Verdict, always, drop_if},
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
        let program = xdp::load(&always(verdict));
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
    let program = xdp::load(&[0x000c_1061, 0x95]);
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
    let program = xdp::load(&drop_if(12, ethertype::IPV4));
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
    let program = xdp::load(&always(Verdict::Pass));
    let _link = xdp::attach(&program, &netns, "lo", Mode::Generic).expect("attach");
    assert!(interfaces_of(std::process::id()).contains(&1));
    let same = Program::by_id(program.id()).expect("open it again");
    assert_eq!(same.name(), program.name());
}
