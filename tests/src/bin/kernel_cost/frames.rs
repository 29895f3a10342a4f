//! The frames that are sent.

use std::net::Ipv4Addr;

use ::tests::{
    frame::{Frame, Tcp, Transport, flags},
    packet::Flow,
    syn_flood::random_u32,
};

use super::{
    client::Client,
    scene::{FULL_PORT, SERVER},
};

/// A SYN without tags, IP options and TCP options: Ethernet, IPv4, TCP.
pub const BARE_SYN_BYTES: usize = 14 + 20 + 20;

const PAYLOAD: [u8; 1_000] = [b'x'; 1_000];

/// A new attempt, or what follows one.
pub fn flow(client: &mut Client, addr: Ipv4Addr, server_port: u16) -> Flow {
    let port = client.peer(addr).port;
    Flow {
        client: (addr, port).into(),
        server: (SERVER, server_port).into(),
        isn: random_u32(),
    }
}

/// Of a client that the limiter never sees: its packets are data.
pub fn flow_v6() -> Flow {
    Flow {
        client: ([0xfd00, 0, 0, 0, 0, 0, 0, 5], 30_000).into(),
        server: ([0xfd00, 0, 0, 0, 0, 0, 0, 1], FULL_PORT).into(),
        isn: random_u32(),
    }
}

/// A segment with data.
pub fn data(flow: &Flow) -> Frame {
    let segment = Tcp {
        payload: PAYLOAD.to_vec(),
        ..Tcp::bare(flow, flags::ACK | flags::PSH)
    };
    Frame::tcp(flow.client, flow.server, segment)
}

/// A UDP datagram between the same ports.
pub fn udp(flow: &Flow) -> Frame {
    let datagram = Transport::udp(flow.client.port(), flow.server.port(), &PAYLOAD);
    Frame::ip(flow.client.ip(), flow.server.ip(), datagram)
}

/// The beginning of an attempt, without options.
pub fn bare_syn(flow: &Flow) -> Frame {
    Frame::tcp(flow.client, flow.server, Tcp::bare(flow, flags::SYN))
}
