//! What the kernel knows of a socket besides its addresses: queues, drops, and when data went which way.
//! Anybody may ask.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_sock_diag::{
    constants::{AF_INET, AF_INET6},
    inet::{ExtensionFlags, InetResponse, SocketId, StateFlags, nlas::Nla},
};

use super::{cgroup_of, cookie_from_bytes, each_answer, open_connections, request, send};

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedListener {
    /// Cookie: unique while the machine is up.
    pub cookie: u64,
    /// Address and port.
    pub local: SocketAddr,
    /// Whether `[::]` is for IPv6 clients only.
    pub v6_only: bool,
    /// Inode of its file.
    pub inode: u32,
    /// Id of the cgroup it was created in, if the kernel tells.
    pub cgroup: Option<u64>,
    /// Connections that wait to be accepted.
    pub depth: u32,
    /// As many may wait, and one more (net/core/sock.h, sk_acceptq_is_full): the smaller one of the
    /// backlog and `net.core.somaxconn`.
    pub limit: u32,
    /// Packets that it has dropped since it began to listen, for whatever reason. Wraps around.
    pub drops: u32,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedConnection {
    /// Cookie: unique while the machine is up.
    pub cookie: u64,
    /// Own address and port; IPv4 where that can be.
    pub local: SocketAddr,
    /// The peer's address and port; IPv4 where that can be.
    pub remote: SocketAddr,
    /// State, as in include/net/tcp_states.h.
    pub state: u8,
    /// Inode of its file. 0: nobody has accepted it yet, or nobody holds it any more.
    pub inode: u32,
    /// Id of the cgroup that its listener was created in, if the kernel tells.
    pub cgroup: Option<u64>,
    /// Bytes that have arrived and were not read yet.
    pub unread_bytes: u32,
    /// Bytes that were written and not acknowledged yet.
    pub unacknowledged_bytes: u32,
    /// What went over it; None in states that have no full socket.
    pub traffic: Option<Traffic>,
}

/// Of struct tcp_info (include/uapi/linux/tcp.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Milliseconds since data was sent for the last time; before that, since establishment.
    pub last_sent_ms: u32,
    /// Milliseconds since data was received for the last time; before that, since establishment.
    pub last_received_ms: u32,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Segments received that had data.
    pub received_segments: u32,
}

/// The sockets that listen, with their queues.
///
/// # Errors
///
/// If netlink fails.
pub fn observe_listeners() -> io::Result<Vec<ObservedListener>> {
    let mut listeners = Vec::new();
    each(&StateFlags::LISTEN, ExtensionFlags::SKMEMINFO, |response| {
        listeners.push(listener(&response));
    })?;
    Ok(listeners)
}

/// Calls `each` with every connection, half-open ones and those in TIME_WAIT included.
///
/// # Errors
///
/// If netlink fails.
pub fn observe_connections(mut each_one: impl FnMut(ObservedConnection)) -> io::Result<()> {
    let states = open_connections() | StateFlags::TIME_WAIT;
    each(&states, ExtensionFlags::INFO, |response| {
        each_one(connection(&response));
    })
}

fn each(
    states: &StateFlags,
    extensions: ExtensionFlags,
    mut each: impl FnMut(InetResponse),
) -> io::Result<()> {
    for (family, any) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let mut message = request(family, states.clone(), any, extensions.clone());
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.finalize();
        each_answer(&send(&message)?, &mut each)?;
    }
    Ok(())
}

fn listener(response: &InetResponse) -> ObservedListener {
    let header = &response.header;
    let id = &header.socket_id;
    let mut listener = ObservedListener {
        cookie: cookie_from_bytes(id.cookie),
        local: SocketAddr::new(id.source_address, id.source_port),
        v6_only: false,
        inode: header.inode,
        cgroup: response.nlas.iter().find_map(cgroup_of),
        depth: header.recv_queue,
        limit: header.send_queue,
        drops: 0,
    };
    for attribute in &response.nlas {
        match attribute {
            Nla::SkV6Only(only) => listener.v6_only = *only,
            Nla::MemInfo(memory) => listener.drops = memory.drops,
            _ => {}
        }
    }
    listener
}

fn connection(response: &InetResponse) -> ObservedConnection {
    let header = &response.header;
    let id = &header.socket_id;
    let end = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
    ObservedConnection {
        cookie: cookie_from_bytes(id.cookie),
        local: end(id.source_address, id.source_port),
        remote: end(id.destination_address, id.destination_port),
        state: header.state,
        inode: header.inode,
        cgroup: response.nlas.iter().find_map(cgroup_of),
        unread_bytes: header.recv_queue,
        unacknowledged_bytes: header.send_queue,
        traffic: response.nlas.iter().find_map(|attribute| match attribute {
            Nla::TcpInfo(bytes) => Traffic::read(bytes),
            _ => None,
        }),
    }
}

impl Traffic {
    /// None: the kernel is older than Linux 4.19, which has no `tcpi_bytes_sent`.
    fn read(info: &[u8]) -> Option<Self> {
        Some(Self {
            last_sent_ms: u32_at(info, 44)?,
            last_received_ms: u32_at(info, 52)?,
            received_bytes: u64_at(info, 128)?,
            received_segments: u32_at(info, 152)?,
            sent_bytes: u64_at(info, 200)?,
        })
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        mem::offset_of,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn offsets_are_those_of_the_c_library() {
        assert_eq!(offset_of!(libc::tcp_info, tcpi_last_data_sent), 44);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_last_data_recv), 52);
        assert_eq!(Traffic::read(&[0; 207]), None);
        assert_eq!(Traffic::read(&[0; 208]), Some(Traffic::default()));
    }

    #[test]
    fn a_listener_and_its_connections_are_observed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("a connection");
        let _waiting = TcpStream::connect(address).expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        client.write_all(b"question").expect("write");
        server.read_exact(&mut [0; 8]).expect("read");
        server.write_all(b"answer").expect("write");
        client.read_exact(&mut [0; 6]).expect("read");

        let all = observe_listeners().expect("netlink");
        let one = all.iter().find(|one| one.local == address);
        let one = one.expect("the listener");
        assert_eq!((one.depth, one.v6_only), (1, false));
        assert!(one.limit >= 1 && one.inode != 0);

        let remote = client.local_addr().expect("an address");
        let mut found = None;
        observe_connections(|it| {
            if it.local == address && it.remote == remote {
                found = Some(it);
            }
        })
        .expect("netlink");
        let found = found.expect("the connection");
        assert_eq!(found.state, 1);
        assert_ne!(found.inode, 0);
        let traffic = found.traffic.expect("tcp_info");
        assert_eq!((traffic.sent_bytes, traffic.received_bytes), (6, 8));
        assert_eq!(traffic.received_segments, 1);
        assert!(traffic.last_sent_ms < 60_000 && traffic.last_received_ms < 60_000);
    }
}
