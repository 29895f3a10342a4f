//! The kernel's TCP sockets, through netlink (sock_diag(7)). Always those of the network namespace
//! that the calling thread is in.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use limiter_common::{addr::Addr, event::Excess};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DESTROY, TCP_LISTEN, TCP_SYN_SENT},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

mod observe;
mod storage;

pub use self::observe::{
    ObservedConnection, ObservedListener, Traffic, observe_connections, observe_listeners,
};
pub(super) use self::storage::{Stored, each_stored};

/// One TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Cookie: unique while the machine is up.
    pub cookie: u64,
    /// Own address and port.
    pub local: SocketAddr,
    /// The peer's address and port; unspecified for a listener.
    pub remote: SocketAddr,
    /// Whether it listens.
    pub is_listener: bool,
    /// Whether it has sent a SYN and waits for the answer.
    pub is_connecting: bool,
    /// Id of the cgroup it was created in, if the kernel tells.
    pub cgroup: Option<u64>,
}

/// include/uapi/linux/inet_diag.h
const INET_DIAG_CGROUP_ID: u16 = 21;
/// Larger than any part of a dump (net/netlink/af_netlink.c, netlink_dump).
const BUFFER_BYTES: usize = 64 * 1024;

/// Lists the sockets that listen and those of open connections: every state from established to the
/// last acknowledgement, but not time-wait; and those that connect.
///
/// # Errors
///
/// If netlink fails.
pub fn tcp_sockets() -> io::Result<Vec<TcpSocket>> {
    list(&(open_connections() | StateFlags::LISTEN | StateFlags::SYN_SENT))
}

fn open_connections() -> StateFlags {
    StateFlags::ESTABLISHED
        | StateFlags::SYN_RECV
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK
        | StateFlags::CLOSING
}

/// Lists the sockets that listen.
///
/// # Errors
///
/// If netlink fails.
pub fn listeners() -> io::Result<Vec<TcpSocket>> {
    list(&StateFlags::LISTEN)
}

fn list(states: &StateFlags) -> io::Result<Vec<TcpSocket>> {
    let mut sockets = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let any = if family == AF_INET {
            SocketId::new_v4()
        } else {
            SocketId::new_v6()
        };
        dump(family, states.clone(), any, &mut sockets)?;
    }
    Ok(sockets)
}

/// Whether the kernel closes connections when it is told to: CONFIG_INET_DIAG_DESTROY.
///
/// # Errors
///
/// If netlink fails.
pub fn can_destroy() -> io::Result<bool> {
    // Without addresses, ports and a cookie that a socket could have.
    let nobody = Excess {
        cookie: u64::MAX,
        remote: Addr::UNSPECIFIED_V4,
        local: Addr::UNSPECIFIED_V4,
        remote_port: 0,
        local_port: 0,
        family: AF_INET.into(),
    };
    match destroy(&nobody) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Closes one connection at once, with a RST to the client (net/ipv4/tcp.c, tcp_abort).
///
/// # Errors
///
/// `NotFound` if it is not in this network namespace or gone, `Unsupported` if the kernel was built
/// without CONFIG_INET_DIAG_DESTROY.
pub fn destroy(connection: &Excess) -> io::Result<()> {
    let id = SocketId {
        source_port: connection.local_port,
        destination_port: connection.remote_port,
        source_address: address_of(connection.family, connection.local.into()),
        destination_address: address_of(connection.family, connection.remote.into()),
        interface_id: 0,
        cookie: cookie_to_bytes(connection.cookie),
    };
    let family = connection.family as u8;
    let mut message = request(family, StateFlags::all(), id, ExtensionFlags::empty());
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    message.finalize();
    message.header.message_type = SOCK_DESTROY;
    let socket = send(&message)?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    socket.recv(&mut buffer, 0)?;
    match parse(&buffer)?.payload {
        NetlinkPayload::Error(error) => error.code.map_or(Ok(()), |_| Err(error.to_io())),
        _ => Ok(()),
    }
}

fn dump(
    family: u8,
    states: StateFlags,
    id: SocketId,
    sockets: &mut Vec<TcpSocket>,
) -> io::Result<()> {
    let mut message = request(family, states, id, ExtensionFlags::empty());
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.finalize();
    each_answer(&send(&message)?, |response| {
        sockets.push(socket_of(&response));
    })
}

/// Reads what a dump answers, to its end.
fn each_answer(socket: &Socket, mut each: impl FnMut(InetResponse)) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            let message = parse(rest)?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    each(*response);
                }
                _ => {}
            }
            // Messages are aligned to four bytes (netlink(7)).
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn request(
    family: u8,
    states: StateFlags,
    socket_id: SocketId,
    extensions: ExtensionFlags,
) -> NetlinkMessage<SockDiagMessage> {
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions,
        states,
        socket_id,
    };
    NetlinkMessage::new(
        NetlinkHeader::default(),
        SockDiagMessage::InetRequest(request).into(),
    )
}

fn send(message: &NetlinkMessage<SockDiagMessage>) -> io::Result<Socket> {
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    send_bytes(&bytes)
}

fn send_bytes(bytes: &[u8]) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.send(bytes, 0)?;
    Ok(socket)
}

fn parse(bytes: &[u8]) -> io::Result<NetlinkMessage<SockDiagMessage>> {
    NetlinkMessage::deserialize(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

fn socket_of(response: &InetResponse) -> TcpSocket {
    let id = &response.header.socket_id;
    TcpSocket {
        cookie: cookie_from_bytes(id.cookie),
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: SocketAddr::new(id.destination_address, id.destination_port),
        is_listener: response.header.state == TCP_LISTEN,
        is_connecting: response.header.state == TCP_SYN_SENT,
        cgroup: response.nlas.iter().find_map(cgroup_of),
    }
}

fn cgroup_of(attribute: &Nla) -> Option<u64> {
    if attribute.kind() != INET_DIAG_CGROUP_ID {
        return None;
    }
    let mut value = [0; 8];
    if attribute.value_len() != value.len() {
        return None;
    }
    attribute.emit_value(&mut value);
    Some(u64::from_ne_bytes(value))
}

/// Two 32-bit words, the lower one first (net/core/sock_diag.c, sock_diag_save_cookie).
fn cookie_from_bytes(bytes: [u8; 8]) -> u64 {
    let [a, b, c, d, e, f, g, h] = bytes;
    u64::from(u32::from_ne_bytes([a, b, c, d])) | u64::from(u32::from_ne_bytes([e, f, g, h])) << 32
}

fn cookie_to_bytes(cookie: u64) -> [u8; 8] {
    let [a, b, c, d] = (cookie as u32).to_ne_bytes();
    let [e, f, g, h] = ((cookie >> 32) as u32).to_ne_bytes();
    [a, b, c, d, e, f, g, h]
}

/// An IPv4 connection of a dual-stack listener is an IPv6 socket.
fn address_of(family: u32, addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(v4) if family == u32::from(AF_INET6) => IpAddr::V6(v4.to_ipv6_mapped()),
        addr => addr,
    }
}
