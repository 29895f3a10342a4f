//! The frames that are sent, and where their fields stand.

use std::net::Ipv4Addr;

use ::tests::{
    frame::{Frame, Tcp, Transport, flags},
    packet::Flow,
    random,
};

use super::{
    client::Client,
    scene::{FULL_PORT, SERVER},
};

/// A SYN without tags, IP options and TCP options: Ethernet, IPv4, TCP.
pub const BARE_SYN_BYTES: usize = 14 + 20 + 20;
/// Where the TCP header begins, without tags and IP options.
const TCP: usize = 14 + 20;
// RFC 9293 §3.1
/// Where the client's port stands there.
pub const SOURCE_PORT: usize = TCP;
/// Where the sequence number stands.
pub const SEQUENCE: usize = TCP + 4;
/// Where the acknowledgement number stands.
pub const ACKNOWLEDGEMENT: usize = TCP + 8;
/// Where the window stands.
pub const WINDOW: usize = TCP + 14;

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

/// A SYN as Linux sends it, but with a window and an acknowledgement number that are the complements
/// of port and sequence number. They mean nothing here, and with them the checksum of one is right
/// for every other (RFC 1071 §1), see [`renew`].
pub fn renewable_syn(flow: &Flow) -> Frame {
    let syn = Tcp {
        acknowledgement: !flow.isn,
        window: !flow.client.port(),
        ..Tcp::syn(flow)
    };
    Frame::tcp(flow.client, flow.server, syn)
}

/// Makes a [`renewable_syn`] another attempt.
pub fn renew(frame: &mut [u8], attempt: u32) {
    let port = 1_024 + (attempt % 64_000) as u16;
    let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
    put(SOURCE_PORT, &port.to_be_bytes());
    put(SEQUENCE, &attempt.to_be_bytes());
    put(ACKNOWLEDGEMENT, &(!attempt).to_be_bytes());
    put(WINDOW, &(!port).to_be_bytes());
}

/// A number for an attempt that nobody has made.
pub fn random_u32() -> u32 {
    random::seed() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_syn_has_the_checksum_of_the_first() {
        let flow = |port, isn| Flow {
            client: ([10, 1, 0, 5], port).into(),
            server: (SERVER, FULL_PORT).into(),
            isn,
        };
        let first = renewable_syn(&flow(30_000, 1)).bytes();
        for attempt in [0, 64_000, 0x1234_5678, u32::MAX] {
            let mut renewed = first.clone();
            renew(&mut renewed, attempt);
            let port = u16::from_be_bytes([renewed[SOURCE_PORT], renewed[SOURCE_PORT + 1]]);
            assert_eq!(renewed, renewable_syn(&flow(port, attempt)).bytes());
        }
    }
}
