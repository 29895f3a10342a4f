//! Configures devices of a namespace, as ip(8) does (rtnetlink(7)).

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope,
        RouteType,
    },
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::{frame::Mac, netns::NetNs};

/// A device of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Where it is.
    pub netns: &'a NetNs,
    /// Its index there.
    pub index: u32,
}

/// Makes two devices that are connected to each other, one in each namespace.
///
/// # Panics
/// If the kernel refuses it.
pub fn add_veth(one: (&NetNs, &str), other: (&NetNs, &str)) {
    let (there, peer_name) = other;
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(peer_name.to_owned()),
        LinkAttribute::NetNsFd(there.as_fd().as_raw_fd()),
    ];
    let (here, name) = one;
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    request(here, RouteNetlinkMessage::NewLink(link), CREATE)
        .unwrap_or_else(|e| panic!("make the devices {name} and {peer_name}: {e}"));
}

impl<'a> Device<'a> {
    /// The device of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(netns: &'a NetNs, name: &str) -> Self {
        let index = netns
            .run(|| nix::net::if_::if_nametoindex(name))
            .unwrap_or_else(|e| panic!("find the device {name}: {e}"));
        Self { netns, index }
    }

    /// Removes it.
    ///
    /// # Errors
    /// If it is gone.
    pub fn remove(self) -> io::Result<()> {
        request(self.netns, RouteNetlinkMessage::DelLink(self.link()), 0)
    }

    /// Brings it up.
    pub fn up(self) {
        let mut link = self.link();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.change("bring up", link);
    }

    /// Sets the longest packet, bytes.
    pub fn set_mtu(self, bytes: u32) {
        let mut link = self.link();
        link.attributes = vec![LinkAttribute::Mtu(bytes)];
        self.change("set the MTU of", link);
    }

    /// Sets its hardware address.
    pub fn set_mac(self, address: Mac) {
        let mut link = self.link();
        link.attributes = vec![LinkAttribute::Address(address.to_vec())];
        self.change("set the hardware address of", link);
    }

    /// Gives it one more address, which can be used at once: nobody asks whether another has it.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn add_address(self, address: IpNet) {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.index = self.index;
        message.attributes = vec![
            AddressAttribute::Local(address.addr()),
            AddressAttribute::Address(address.addr()),
        ];
        if address.addr().is_ipv6() {
            // In the wider of the two fields: the kernel takes it from there if it is given.
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        request(self.netns, RouteNetlinkMessage::NewAddress(message), CREATE)
            .unwrap_or_else(|e| panic!("add {address} to device {}: {e}", self.index));
    }

    /// Makes every address of a prefix an address of this host, for sockets that bind to it and
    /// packets that come for it.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn add_local_prefix(self, prefix: IpNet) {
        let mut message = self.route(prefix);
        message.header.table = LOCAL_TABLE;
        message.header.kind = RouteType::Local;
        message.header.scope = RouteScope::Host;
        self.add_route(prefix, message);
    }

    /// Sends what is for a prefix to this gateway, whether or not it is on a network of the device.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn add_route_by(self, prefix: IpNet, gateway: IpAddr) {
        let mut message = self.route(prefix);
        message.header.flags = RouteFlags::Onlink;
        message
            .attributes
            .push(RouteAttribute::Gateway(gateway.into()));
        self.add_route(prefix, message);
    }

    /// Says who has an address, so that nobody asks.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn add_neighbour(self, address: IpAddr, mac: Mac) {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = self.index;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(match address {
                IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
                IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
            }),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        request(
            self.netns,
            RouteNetlinkMessage::NewNeighbour(message),
            CREATE,
        )
        .unwrap_or_else(|e| panic!("add the neighbour {address} to device {}: {e}", self.index));
    }

    fn link(self) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = self.index;
        link
    }

    fn change(self, what: &str, link: LinkMessage) {
        request(self.netns, RouteNetlinkMessage::SetLink(link), 0)
            .unwrap_or_else(|e| panic!("{what} device {}: {e}", self.index));
    }

    fn route(self, prefix: IpNet) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = family(prefix.addr());
        message.header.destination_prefix_length = prefix.prefix_len();
        message.header.table = netlink_packet_route::route::RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::from(prefix.network())),
            RouteAttribute::Oif(self.index),
        ];
        message
    }

    fn add_route(self, prefix: IpNet, message: RouteMessage) {
        request(self.netns, RouteNetlinkMessage::NewRoute(message), CREATE)
            .unwrap_or_else(|e| panic!("add the route to {prefix} by device {}: {e}", self.index));
    }
}

const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// `RT_TABLE_LOCAL`, include/uapi/linux/rtnetlink.h
const LOCAL_TABLE: u8 = 255;

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn request(netns: &NetNs, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut message = NetlinkMessage::new(header, message.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = netns.run(|| Socket::new(NETLINK_ROUTE))?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|e| io::Error::other(e.to_string()))?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        other => Err(io::Error::other(format!("not an answer: {other:?}"))),
    }
}
