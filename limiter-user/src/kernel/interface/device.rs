//! One network device, as rtnetlink(7) shows it. Always of the network namespace that the calling
//! thread is in.

use std::io;

use netlink_packet_core::{
    DecodeError, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NlaBuffer, NlasIterator, Parseable as _, parse_string, parse_u32,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkHeader, LinkLayerType, LinkMessage, LinkXdp},
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

/// Where on the interface the program runs; include/uapi/linux/if_link.h, XDP_FLAGS_SKB_MODE and
/// XDP_FLAGS_DRV_MODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Mode {
    Generic = 1 << 1,
    Native = 1 << 2,
}

/// What decides whether and how a program can be attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) is_up: bool,
    pub(super) is_loopback: bool,
    /// Whether its frames begin with an Ethernet header. Tunnels such as tun and WireGuard have none.
    pub(super) is_ethernet: bool,
    pub(super) mtu: u32,
    /// `veth`, `bond` …; none if it is a device of its driver.
    pub(super) kind: Option<String>,
    /// The bond or bridge that it is a part of.
    pub(super) controller: Option<u32>,
    pub(super) programs: Vec<XdpProgram>,
}

/// An XDP program on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpProgram {
    pub(super) id: u32,
    /// `native`, `generic` or `hardware`
    pub(super) mode: &'static str,
}

impl Device {
    /// Whether this program is attached to it.
    pub(super) fn runs(&self, id: u32) -> bool {
        self.programs.iter().any(|program| program.id == id)
    }

    /// Whether a program's replies (XDP_TX) leave the device.
    ///
    /// veth hands them to the other end, which takes them only with a program of its own
    /// (drivers/net/veth.c, veth_xdp_xmit and veth_xdp_flush). Nobody can see that from here.
    pub(super) fn can_transmit(&self, mode: Mode) -> bool {
        mode == Mode::Generic || self.kind.as_deref() != Some("veth")
    }
}

/// Room for one answer: without virtual functions it is a few kilobytes (net/core/rtnetlink.c,
/// if_nlmsg_size).
const BUFFER_BYTES: usize = 64 * 1024;

/// The device that has this name now.
pub(super) fn find(name: &str) -> io::Result<Option<Device>> {
    let mut request = LinkMessage::default();
    request.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    let mut message = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(RouteNetlinkMessage::GetLink(request)),
    );
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(BUFFER_BYTES);
    socket.recv(&mut answer, 0)?;
    let answer = NetlinkMessage::<Device>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match answer.payload {
        NetlinkPayload::InnerMessage(device) => Ok(Some(device)),
        NetlinkPayload::Error(error) => match error.to_io() {
            error if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            error => Err(error),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// RTM_NEWLINK. Reads nothing but what is needed, so that an attribute of a future kernel cannot
/// spoil it.
impl NetlinkDeserializable for Device {
    type Error = DecodeError;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let header = LinkHeader::parse(payload)?;
        let mut device = Self {
            index: header.index,
            is_up: header.flags.contains(LinkFlags::Up),
            is_loopback: header.flags.contains(LinkFlags::Loopback),
            is_ethernet: matches!(
                header.link_layer_type,
                LinkLayerType::Ether | LinkLayerType::Loopback
            ),
            ..Self::default()
        };
        // struct ifinfomsg, include/uapi/linux/rtnetlink.h
        const HEADER_BYTES: usize = 16;
        for attribute in attributes(&payload[HEADER_BYTES..]) {
            let attribute = attribute?;
            let value = attribute.value();
            match attribute.kind() {
                libc::IFLA_MTU => device.mtu = parse_u32(value)?,
                libc::IFLA_MASTER => device.controller = Some(parse_u32(value)?),
                libc::IFLA_LINKINFO => device.kind = kind(value)?,
                libc::IFLA_XDP => device.programs = programs(value)?,
                _ => {}
            }
        }
        Ok(device)
    }
}

fn kind(info: &[u8]) -> Result<Option<String>, DecodeError> {
    for attribute in attributes(info) {
        let attribute = attribute?;
        if attribute.kind() == libc::IFLA_INFO_KIND {
            return parse_string(attribute.value()).map(Some);
        }
    }
    Ok(None)
}

fn programs(xdp: &[u8]) -> Result<Vec<XdpProgram>, DecodeError> {
    let mut programs = Vec::new();
    for attribute in attributes(xdp) {
        let (mode, id) = match LinkXdp::parse(&attribute?)? {
            LinkXdp::DrvProgId(id) => ("native", id),
            LinkXdp::SkbProgId(id) => ("generic", id),
            LinkXdp::HwProgId(id) => ("hardware", id),
            _ => continue,
        };
        programs.push(XdpProgram { id, mode });
    }
    Ok(programs)
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<NlaBuffer<&[u8]>, DecodeError>> {
    NlasIterator::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_nothing_else_is_made_up() {
        let device = find("lo").expect("netlink answers").expect("loopback");
        assert!(device.is_loopback && device.is_ethernet);
        assert!(device.index > 0 && device.mtu > 0);
        assert_eq!((device.kind, device.controller), (None, None));
        assert_eq!(find("no-such-device").expect("netlink answers"), None);
    }

    #[test]
    fn replies_leave_a_veth_only_in_generic_mode() {
        let veth = Device {
            kind: Some("veth".to_owned()),
            ..Device::default()
        };
        assert!(veth.can_transmit(Mode::Generic) && !veth.can_transmit(Mode::Native));
        assert!(Device::default().can_transmit(Mode::Native));
    }
}
