//! Further paths of MPTCP connections (RFC 8684), through the generic netlink family `mptcp_pm`
//! (include/uapi/linux/mptcp_pm.h).

use std::{io, net::Ipv4Addr, path::Path};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use crate::netns::NetNs;

/// Whether the kernel has MPTCP.
pub fn is_there(netns: &NetNs) -> bool {
    netns.run(|| Path::new("/proc/sys/net/mptcp/enabled").exists())
}

/// Has every MPTCP connection of the namespace take these addresses for further paths, and lets
/// it have as many paths as the kernel allows.
///
/// # Panics
/// If the kernel refuses it.
pub fn take_paths(netns: &NetNs, from: &[Ipv4Addr]) {
    netns.run(|| {
        let mut family = Family::open().expect("find mptcp_pm");
        family.allow_paths().expect("set the limits of MPTCP");
        for address in from {
            let added = family.add(*address);
            added.unwrap_or_else(|e| panic!("add {address} to MPTCP: {e}"));
        }
    });
}

/// Lets connections that come have as many paths as the kernel allows.
///
/// # Panics
/// If the kernel refuses it.
pub fn allow_paths(netns: &NetNs) {
    take_paths(netns, &[]);
}

struct Family {
    socket: Socket,
    number: u16,
}

impl Family {
    /// `enum { MPTCP_PM_ATTR_… }`
    const ADDRESS: u16 = 1;
    const ACCEPTED_ADDRESSES: u16 = 2;
    const PATHS: u16 = 3;

    fn open() -> io::Result<Self> {
        // include/uapi/linux/genetlink.h
        const CONTROL: u16 = 16;
        const GET_FAMILY: u8 = 3;
        const FAMILY_ID: u16 = 1;
        const FAMILY_NAME: u16 = 2;
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let name = attribute(FAMILY_NAME, b"mptcp_pm\0");
        let answer = ask(&socket, CONTROL, GET_FAMILY, &name)?;
        let mut rest = answer.as_slice();
        while let [a, b, kind_low, kind_high, ..] = *rest {
            let length = usize::from(u16::from_ne_bytes([a, b]));
            if u16::from_ne_bytes([kind_low, kind_high]) == FAMILY_ID {
                let number = u16::from_ne_bytes([rest[4], rest[5]]);
                return Ok(Self { socket, number });
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Err(io::Error::other("the kernel does not say its number"))
    }

    fn allow_paths(&mut self) -> io::Result<()> {
        // net/mptcp/pm_kernel.c, MPTCP_PM_ADDR_MAX
        const MOST: u32 = 8;
        const SET_LIMITS: u8 = 5;
        let most = MOST.to_ne_bytes();
        let limits = [
            attribute(Self::ACCEPTED_ADDRESSES, &most),
            attribute(Self::PATHS, &most),
        ];
        ask(&self.socket, self.number, SET_LIMITS, &limits.concat()).map(drop)
    }

    fn add(&mut self, address: Ipv4Addr) -> io::Result<()> {
        const ADD_ADDRESS: u8 = 1;
        const NESTED: u16 = 1 << 15;
        /// `enum mptcp_pm_addr_attrs`
        const FAMILY: u16 = 1;
        const IPV4: u16 = 3;
        const FLAGS: u16 = 6;
        /// `MPTCP_PM_ADDR_FLAG_SUBFLOW`
        const PATH: u32 = 1 << 1;
        let family = u16::try_from(libc::AF_INET).expect("small");
        let parts = [
            attribute(FAMILY, &family.to_ne_bytes()),
            attribute(IPV4, &address.octets()),
            attribute(FLAGS, &PATH.to_ne_bytes()),
        ];
        let address = attribute(Self::ADDRESS | NESTED, &parts.concat());
        ask(&self.socket, self.number, ADD_ADDRESS, &address).map(drop)
    }
}

/// `struct nlattr`, and what fills it up to a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attributes of the answer; none if it is just an acknowledgement.
fn ask(socket: &Socket, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    // include/uapi/linux/netlink.h: NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR
    const FLAGS: u16 = 1 | 4;
    const ERROR: u16 = 2;
    /// `struct nlmsghdr` and `struct genlmsghdr`.
    const HEADERS: usize = 16 + 4;
    let length = u32::try_from(HEADERS + attributes.len()).expect("short");
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(family.to_ne_bytes());
    request.extend(FLAGS.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([command, 1, 0, 0]);
    request.extend(attributes);
    socket.send(&request, 0)?;
    let mut answer = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        match u16::from_ne_bytes([datagram[4], datagram[5]]) {
            ERROR => {
                let code = datagram[16..20].try_into().expect("four bytes");
                return match i32::from_ne_bytes(code) {
                    0 => Ok(answer),
                    code => Err(io::Error::from_raw_os_error(-code)),
                };
            }
            _ => answer = datagram.get(HEADERS..).unwrap_or_default().to_vec(),
        }
    }
}
