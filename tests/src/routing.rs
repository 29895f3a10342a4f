//! Addresses, routes and neighbours of a namespace's devices, as ip(8) gives them (rtnetlink(7)).

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
    },
};

use crate::{frame::Mac, link, netns::NetNs, settle};

/// Gives a device one more address, which can be used at once: nobody asks whether another has it.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_address(netns: &NetNs, device: &str, address: IpNet) {
    let mut message = AddressMessage::default();
    message.header.family = family(address.addr());
    message.header.prefix_len = address.prefix_len();
    message.header.index = link::index(netns, device);
    message.attributes = vec![
        AddressAttribute::Local(address.addr()),
        AddressAttribute::Address(address.addr()),
    ];
    if address.addr().is_ipv6() {
        let at_once = AddressAttribute::Flags(AddressFlags::Nodad);
        message.attributes.push(at_once);
    }
    let what = format!("add {address} to {device}");
    create(netns, &what, RouteNetlinkMessage::NewAddress(message));
    if let IpAddr::V6(address) = address.addr() {
        // Even so, a worker of the kernel adds the route to it, later (net/ipv6/addrconf.c,
        // addrconf_dad_work).
        settle("the address is local", true, || is_local(netns, address));
    }
}

/// Makes every address of a prefix an address of this host, for sockets that bind to it and packets
/// that come for it.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_local_prefix(netns: &NetNs, prefix: IpNet) {
    let mut message = route(netns, "lo", prefix);
    message.header.table = LOCAL_TABLE;
    message.header.kind = RouteType::Local;
    message.header.scope = RouteScope::Host;
    let what = format!("make {prefix} local");
    create(netns, &what, RouteNetlinkMessage::NewRoute(message));
}

/// Sends what is for a prefix to this gateway, whether or not it is on a network of the device.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_route(netns: &NetNs, device: &str, prefix: IpNet, gateway: IpAddr) {
    let mut message = route(netns, device, prefix);
    message.header.flags = RouteFlags::Onlink;
    let gateway = RouteAttribute::Gateway(gateway.into());
    message.attributes.push(gateway);
    let what = format!("add the route to {prefix} by {device}");
    create(netns, &what, RouteNetlinkMessage::NewRoute(message));
}

/// Says who has an address, so that nobody asks.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_neighbour(netns: &NetNs, device: &str, address: IpAddr, mac: Mac) {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = link::index(netns, device);
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![
        NeighbourAttribute::Destination(match address {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        }),
        NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
    ];
    let what = format!("say who has {address} at {device}");
    create(netns, &what, RouteNetlinkMessage::NewNeighbour(message));
}

/// Whether packets to an address are this host's.
fn is_local(netns: &NetNs, address: Ipv6Addr) -> bool {
    let routes = netns
        .run(|| fs::read_to_string("/proc/thread-self/net/ipv6_route"))
        .expect("read the routes of the namespace");
    routes.lines().any(|route| {
        // net/ipv6/route.c, rt6_info_route: destination and its length first, flags and device last.
        let fields: Vec<_> = route.split_whitespace().collect();
        let [destination, length, .., flags, _] = fields[..] else {
            return false;
        };
        let number = |text| u128::from_str_radix(text, 16).unwrap_or_default();
        number(destination) == address.to_bits()
            && number(length) == 128
            && number(flags) & RTF_LOCAL != 0
    })
}

/// include/uapi/linux/ipv6_route.h
const RTF_LOCAL: u128 = 0x8000_0000;
/// `RT_TABLE_LOCAL`, include/uapi/linux/rtnetlink.h
const LOCAL_TABLE: u8 = 255;

fn route(netns: &NetNs, device: &str, prefix: IpNet) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(prefix.addr());
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(prefix.network().into()),
        RouteAttribute::Oif(link::index(netns, device)),
    ];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn create(netns: &NetNs, what: &str, message: RouteNetlinkMessage) {
    netns
        .run(|| link::ask(message, NLM_F_CREATE | NLM_F_EXCL))
        .unwrap_or_else(|e| panic!("{what}: {e}"));
}
