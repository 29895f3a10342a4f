//! What the kernel says is open: TCP sockets through sock_diag(7).

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, Timer, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_SOCK_DIAG};

use crate::netns::NetNs;

/// TCP states, include/net/tcp_states.h.
pub mod state {
    #![expect(missing_docs, reason = "the names are those of RFC 9293 §3.3.2")]
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const TIME_WAIT: u8 = 6;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
    pub const NEW_SYN_RECV: u8 = 12;
}

/// One TCP socket.
#[derive(Clone, Debug)]
pub struct TcpSocket {
    /// Its own end; an IPv4-mapped address is shown as IPv4.
    pub local: SocketAddr,
    /// The other end, in the same form.
    pub remote: SocketAddr,
    /// One of [`state`].
    pub state: u8,
    /// What is left of a connection after its socket is closed (TIME_WAIT, and the FIN_WAIT2 of an
    /// orphan), see `inet_twsk_diag_fill` in net/ipv4/inet_diag.c.
    pub remnant: bool,
    /// Whether a process holds it. Nobody holds what is not accepted yet, or closed already.
    pub held: bool,
    /// Bytes that have come and that nobody has read.
    pub unread: u32,
    /// Id of the cgroup it was made in; a connection is of its listener's.
    pub cgroup: Option<u64>,
    family: u8,
    id: SocketId,
}

impl TcpSocket {
    /// A number that no other socket of this boot has had.
    pub fn cookie(&self) -> [u8; 8] {
        self.id.cookie
    }

    /// Whether it is a connection from establishment to close: what a limiter has to count.
    ///
    /// With Fast Open the application may have it before the handshake is complete; one that is
    /// not accepted yet cannot be told from a half-open handshake then.
    pub fn is_connection(&self) -> bool {
        use state::{CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, SYN_RECV};
        let states = [
            ESTABLISHED,
            FIN_WAIT1,
            FIN_WAIT2,
            CLOSE_WAIT,
            LAST_ACK,
            CLOSING,
        ];
        let is_early = self.state == SYN_RECV && self.held;
        !self.remnant && (states.contains(&self.state) || is_early)
    }
}

/// All TCP sockets of the namespace.
///
/// # Panics
/// If the kernel refuses the dump.
pub fn dump(netns: &NetNs) -> Vec<TcpSocket> {
    dump_states(netns, u32::MAX)
}

fn dump_states(netns: &NetNs, states: u32) -> Vec<TcpSocket> {
    netns.run(|| {
        let mut sockets = Vec::new();
        for (family, id) in [
            (AF_INET, SocketId::new_v4()),
            (AF_INET6, SocketId::new_v6()),
        ] {
            let answers = ask(family, id, states, NLM_F_DUMP, None).expect("dump TCP sockets");
            sockets.extend(answers.iter().map(TcpSocket::new));
        }
        sockets
    })
}

/// The TCP sockets of the namespace that are open on either side: neither listeners nor what is left of
/// closed connections.
///
/// # Panics
/// If the kernel refuses the dump.
pub fn open(netns: &NetNs) -> Vec<TcpSocket> {
    let half_open = [state::SYN_RECV, state::NEW_SYN_RECV];
    not_over(netns, &half_open)
}

/// Those that something may come of yet, and that are not in one of these states.
fn not_over(netns: &NetNs, but: &[u8]) -> Vec<TcpSocket> {
    let left_out = [state::TIME_WAIT, state::LISTEN];
    let left_out = left_out.iter().chain(but);
    let states = left_out.fold(u32::MAX, |rest, state| rest & !(1 << state));
    let mut sockets = dump_states(netns, states);
    sockets.retain(|socket| !socket.remnant);
    sockets
}

/// The server's ends of the connections to `port` that a limiter has to count.
pub fn connections(netns: &NetNs, port: u16) -> Vec<TcpSocket> {
    let mut sockets = dump(netns);
    sockets.retain(|socket| socket.local.port() == port && socket.is_connection());
    sockets
}

/// How many of them there are.
pub fn count(netns: &NetNs, port: u16) -> u64 {
    connections(netns, port).len() as u64
}

/// How many sockets of clients and servers of `port` there are that something may come of yet: what is
/// open, and half-open handshakes.
///
/// # Panics
/// If the kernel refuses the dump.
pub fn unfinished(netns: &NetNs, port: u16) -> usize {
    let is_of_port = |it: &&TcpSocket| it.local.port() == port || it.remote.port() == port;
    not_over(netns, &[]).iter().filter(is_of_port).count()
}

/// Destroys a socket from outside, as `ss --kill` does.
///
/// # Errors
/// `EOPNOTSUPP` if the kernel was built without `CONFIG_INET_DIAG_DESTROY`.
pub fn destroy(netns: &NetNs, socket: &TcpSocket) -> io::Result<()> {
    netns.run(|| {
        ask(
            socket.family,
            socket.id.clone(),
            u32::MAX,
            NLM_F_ACK,
            Some(SOCK_DESTROY),
        )
        .map(drop)
    })
}

// include/uapi/linux/sock_diag.h
const SOCK_DESTROY: u16 = 21;

impl TcpSocket {
    fn new(answer: &InetResponse) -> Self {
        let header = &answer.header;
        let id = &header.socket_id;
        Self {
            local: SocketAddr::new(id.source_address.to_canonical(), id.source_port),
            remote: SocketAddr::new(id.destination_address.to_canonical(), id.destination_port),
            state: header.state,
            remnant: header.timer == Some(Timer::TimeWait),
            // A socket that is not in a file has no inode (net/core/sock.c, sock_i_ino).
            held: header.inode != 0,
            unread: header.recv_queue,
            cgroup: answer.nlas.iter().find_map(cgroup_of),
            family: header.family,
            id: id.clone(),
        }
    }
}

fn cgroup_of(attribute: &Nla) -> Option<u64> {
    // include/uapi/linux/inet_diag.h
    const INET_DIAG_CGROUP_ID: u16 = 21;
    let mut value = [0; 8];
    if attribute.kind() != INET_DIAG_CGROUP_ID || attribute.value_len() != value.len() {
        return None;
    }
    attribute.emit_value(&mut value);
    Some(u64::from_ne_bytes(value))
}

fn ask(
    family: u8,
    id: SocketId,
    states: u32,
    flags: u16,
    kind: Option<u16>,
) -> io::Result<Vec<InetResponse>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(
        header,
        SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::from_bits_retain(states),
            socket_id: id,
        })
        .into(),
    );
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    if let Some(kind) = kind {
        // struct nlmsghdr: 32 bits of length, then 16 bits of type. The crate knows queries only.
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    }
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    collect(&socket)
}

fn collect(socket: &Socket) -> io::Result<Vec<InetResponse>> {
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|e| io::Error::other(e.to_string()))?;
            let length = usize::try_from(message.header.length).expect("fits");
            // Messages begin at multiples of four (NLMSG_ALIGN).
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(answer)) => {
                    answers.push(*answer);
                }
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Error(_) => return Ok(answers),
                _ => {}
            }
        }
    }
}

/// Sockets of one client at a server's port.
pub fn count_from(netns: &NetNs, port: u16, client: IpAddr) -> usize {
    connections(netns, port)
        .iter()
        .filter(|socket| socket.remote.ip() == client)
        .count()
}
