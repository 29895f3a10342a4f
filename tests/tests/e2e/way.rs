//! The way that the traffic of all tests takes: to the sockets only, or by an XDP program too.

use tests::{
    Limiter, World,
    frame::{Frame, Transport},
    interface, settle,
    tun::Tun,
    world::address,
};

use crate::LIMIT_10;

#[test]
fn limiters_are_attached_to_the_interfaces_that_the_switch_says_and_see_their_packets() {
    let world = World::new();
    let tun = Tun::new(&world.netns, "10.0.0.1".parse().expect("literal"), 8);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let attached: Vec<_> = limiter
        .status()
        .attached
        .into_iter()
        .filter(|attached| attached.kind == "interface" && !attached.programs.is_empty())
        .map(|attached| attached.target)
        .collect();
    assert_eq!(attached, interface::wanted(&world.netns));

    let icmp = Frame::ip(address("10.5.5.5"), address("10.0.0.1"), Transport::icmp());
    tun.send(&icmp.packet());
    settle("packets were seen", interface::is_wanted(), || {
        limiter.status().packets.not_tcp > 0
    });
}
