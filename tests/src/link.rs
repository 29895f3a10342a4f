//! Network devices of a namespace, made and asked for through rtnetlink(7).

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp,
    },
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::net::if_::if_nametoindex;

use crate::{
    foreign_xdp::ForeignXdp,
    frame::Mac,
    netns::{self, NetNs},
};

/// Where on a device an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In its driver.
    Native,
    /// In the network stack.
    Generic,
}

/// An XDP program on a device, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedXdp {
    /// Where it runs.
    pub mode: XdpMode,
    /// Id of the program.
    pub id: u32,
}

/// Makes two devices that are the two ends of a cable.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_veth(netns: &NetNs, name: &str, other: &str) {
    let peer = named(other);
    let info = vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ];
    add(netns, name, info);
    // Not before both are there.
    bring_up(netns, name);
    bring_up(netns, other);
}

/// Removes a device; of a cable, both ends go.
///
/// # Panics
/// If the kernel refuses it.
pub fn delete(netns: &NetNs, name: &str) {
    netns
        .run(|| ask(RouteNetlinkMessage::DelLink(existing(name)?), 0))
        .unwrap_or_else(|e| panic!("delete {name}: {e}"));
}

/// Gives a device another name. Before Linux 6.2 it has to be down.
///
/// # Panics
/// If the kernel refuses it.
pub fn rename(netns: &NetNs, name: &str, new: &str) {
    change(netns, name, &[LinkAttribute::IfName(new.to_owned())])
        .unwrap_or_else(|e| panic!("rename {name} to {new}: {e}"));
}

/// Moves a device into another namespace, where it is down.
///
/// # Panics
/// If the kernel refuses it.
pub fn move_to(netns: &NetNs, name: &str, to: &NetNs) {
    let to_fd = to.as_fd().as_raw_fd();
    change(netns, name, &[LinkAttribute::NetNsFd(to_fd)])
        .unwrap_or_else(|e| panic!("move {name} to another namespace: {e}"));
}

/// Sets the MTU.
///
/// # Panics
/// If the kernel refuses it.
pub fn set_mtu(netns: &NetNs, name: &str, mtu: u32) {
    change(netns, name, &[LinkAttribute::Mtu(mtu)])
        .unwrap_or_else(|e| panic!("set the MTU of {name} to {mtu}: {e}"));
}

/// The MTU.
///
/// # Panics
/// If there is no such device.
pub fn mtu(netns: &NetNs, name: &str) -> u32 {
    let found = attributes(netns, name).into_iter().find_map(|it| match it {
        LinkAttribute::Mtu(mtu) => Some(mtu),
        _ => None,
    });
    found.expect("every device has an MTU")
}

/// Sets the hardware address.
///
/// # Panics
/// If the kernel refuses it.
pub fn set_mac(netns: &NetNs, name: &str, address: Mac) {
    change(netns, name, &[LinkAttribute::Address(address.to_vec())])
        .unwrap_or_else(|e| panic!("set the hardware address of {name}: {e}"));
}

/// The index, by which others than rtnetlink know a device.
///
/// # Panics
/// If there is no such device.
pub fn index(netns: &NetNs, name: &str) -> u32 {
    netns
        .run(|| if_nametoindex(name))
        .unwrap_or_else(|e| panic!("find {name}: {e}"))
}

/// The XDP programs on a device.
///
/// # Panics
/// If there is no such device.
pub fn xdp(netns: &NetNs, name: &str) -> Vec<AttachedXdp> {
    attributes(netns, name)
        .into_iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::Xdp(xdp) => Some(xdp),
            _ => None,
        })
        .flatten()
        .filter_map(|xdp| {
            let (mode, id) = match xdp {
                LinkXdp::DrvProgId(id) => (XdpMode::Native, id),
                LinkXdp::SkbProgId(id) => (XdpMode::Generic, id),
                _ => return None,
            };
            Some(AttachedXdp { mode, id })
        })
        .collect()
}

/// Puts a program on a device as `ip link set dev NAME xdp` does, without a link: it stays until it
/// is taken away (`None`), or the device goes.
///
/// # Errors
/// As the kernel says.
pub fn set_xdp(
    netns: &NetNs,
    name: &str,
    program: Option<&ForeignXdp>,
    mode: XdpMode,
) -> io::Result<()> {
    // XDP_FLAGS_SKB_MODE and XDP_FLAGS_DRV_MODE, include/uapi/linux/if_link.h
    let flags = match mode {
        XdpMode::Generic => 1 << 1,
        XdpMode::Native => 1 << 2,
    };
    let program = program.map_or(-1, |program| program.as_fd().as_raw_fd());
    let xdp = vec![LinkXdp::Fd(program), LinkXdp::Flags(flags)];
    change(netns, name, &[LinkAttribute::Xdp(xdp)])
}

fn add(netns: &NetNs, name: &str, info: Vec<LinkInfo>) {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::LinkInfo(info));
    let request = RouteNetlinkMessage::NewLink(message);
    netns
        .run(|| ask(request, NLM_F_CREATE | NLM_F_EXCL))
        .unwrap_or_else(|e| panic!("make {name}: {e}"));
}

/// Brings a device up.
///
/// # Panics
/// If the kernel refuses it.
pub fn bring_up(netns: &NetNs, name: &str) {
    netns
        .run(|| netns::up(name))
        .unwrap_or_else(|e| panic!("bring {name} up: {e}"));
}

/// Takes a device down.
///
/// # Panics
/// If the kernel refuses it.
pub fn bring_down(netns: &NetNs, name: &str) {
    netns
        .run(|| {
            let mut message = existing(name)?;
            message.header.change_mask = LinkFlags::Up;
            ask(RouteNetlinkMessage::SetLink(message), 0)
        })
        .unwrap_or_else(|e| panic!("take {name} down: {e}"));
}

fn change(netns: &NetNs, name: &str, attributes: &[LinkAttribute]) -> io::Result<()> {
    netns.run(|| {
        let mut message = existing(name)?;
        message.attributes = attributes.to_vec();
        ask(RouteNetlinkMessage::SetLink(message), 0).map(drop)
    })
}

fn attributes(netns: &NetNs, name: &str) -> Vec<LinkAttribute> {
    let answer = netns
        .run(|| ask(RouteNetlinkMessage::GetLink(existing(name)?), 0))
        .unwrap_or_else(|e| panic!("look at {name}: {e}"));
    answer.expect("an answer").attributes
}

/// A device that is to be made.
fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    message
}

/// A device that is there.
fn existing(name: &str) -> io::Result<LinkMessage> {
    let mut message = LinkMessage::default();
    message.header.index = if_nametoindex(name)?;
    Ok(message)
}

/// Asks in the namespace of the calling thread, and returns the device that the answer is about.
///
/// # Errors
/// As the kernel says.
pub(crate) fn ask(request: RouteNetlinkMessage, flags: u16) -> io::Result<Option<LinkMessage>> {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.send(&bytes, 0)?;
    // An answer comes before its acknowledgement, and in a datagram of its own.
    let mut answer = None;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&datagram)
            .map_err(|e| io::Error::other(e.to_string()))?;
        match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => answer = Some(link),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Error(_) => return Ok(answer),
            _ => {}
        }
    }
}
