//! TCP segments as bytes, with right checksums.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};

use crate::frame::{Frame, Tcp};

/// One attempt of a client, as its segments on the wire (RFC 9293 §3.5).
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Address and port of the client.
    pub client: SocketAddr,
    /// Address and port of the server, of the same family.
    pub server: SocketAddr,
    /// Initial sequence number of the client.
    pub isn: u32,
}

impl Flow {
    /// The SYN.
    pub fn syn(&self) -> Vec<u8> {
        self.segment(Shape::Syn)
    }

    /// The ACK that completes the handshake.
    pub fn ack(&self, server_isn: u32) -> Vec<u8> {
        self.segment(Shape::Ack {
            server_isn,
            sent: 0,
            payload: &[],
        })
    }

    /// Data, `sent` bytes after the start of the stream.
    pub fn data(&self, server_isn: u32, sent: u32, payload: &[u8]) -> Vec<u8> {
        self.segment(Shape::Ack {
            server_isn,
            sent,
            payload,
        })
    }

    /// A RST right after the handshake.
    pub fn rst(&self) -> Vec<u8> {
        self.rst_after(0)
    }

    /// A RST, `sent` bytes after the start of the stream.
    pub fn rst_after(&self, sent: u32) -> Vec<u8> {
        self.segment(Shape::Rst { sent })
    }

    /// Any segment at all: these flags, numbers and payload, and no options.
    pub fn forged(
        &self,
        flags: u16,
        sequence: u32,
        acknowledgement: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let tcp = Tcp {
            sequence,
            acknowledgement,
            payload: payload.to_vec(),
            ..Tcp::bare(self, flags)
        };
        Frame::tcp(self.client, self.server, tcp).packet()
    }

    fn segment(&self, shape: Shape<'_>) -> Vec<u8> {
        let builder = match (self.client.ip(), self.server.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                PacketBuilder::ipv4(from.octets(), to.octets(), 64)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                PacketBuilder::ipv6(from.octets(), to.octets(), 64)
            }
            _ => panic!("both ends of a connection are of one family: {self:?}"),
        };
        let (from, to) = (self.client.port(), self.server.port());
        let (tcp, payload) = match shape {
            Shape::Syn => {
                let tcp = builder
                    .tcp(from, to, self.isn, WINDOW)
                    .syn()
                    .options(&[TcpOptionElement::MaximumSegmentSize(1460)])
                    .expect("one option fits");
                (tcp, &[][..])
            }
            Shape::Ack {
                server_isn,
                sent,
                payload,
            } => {
                let sequence = self.isn.wrapping_add(1).wrapping_add(sent);
                let tcp = builder
                    .tcp(from, to, sequence, WINDOW)
                    .ack(server_isn.wrapping_add(1));
                (tcp, payload)
            }
            Shape::Rst { sent } => {
                let sequence = self.isn.wrapping_add(1).wrapping_add(sent);
                let tcp = builder.tcp(from, to, sequence, 0).rst();
                (tcp, &[][..])
            }
        };
        let mut bytes = Vec::with_capacity(tcp.size(payload.len()));
        tcp.write(&mut bytes, payload)
            .expect("write a packet to memory");
        bytes
    }
}

const WINDOW: u16 = 64_240;

enum Shape<'a> {
    Syn,
    Ack {
        server_isn: u32,
        sent: u32,
        payload: &'a [u8],
    },
    Rst {
        sent: u32,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// SYN flag.
    pub syn: bool,
    /// ACK flag.
    pub ack: bool,
    /// RST flag.
    pub rst: bool,
    /// FIN flag.
    pub fin: bool,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledged up to here.
    pub acknowledged: u32,
    /// Options of the TCP header, all bytes of them.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Segment {
    /// From an IP packet; None if it is something else than TCP.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        Self::of(SlicedPacket::from_ip(packet).ok()?)
    }

    /// From an Ethernet frame, with or without tags; None if it is something else than TCP.
    pub fn parse_frame(frame: &[u8]) -> Option<Self> {
        Self::of(SlicedPacket::from_ethernet(frame).ok()?)
    }

    fn of(packet: SlicedPacket<'_>) -> Option<Self> {
        let (from, to): (IpAddr, IpAddr) = match packet.net? {
            NetSlice::Ipv4(v4) => (
                v4.header().source_addr().into(),
                v4.header().destination_addr().into(),
            ),
            NetSlice::Ipv6(v6) => (
                v6.header().source_addr().into(),
                v6.header().destination_addr().into(),
            ),
            NetSlice::Arp(_) => return None,
        };
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
            return None;
        };
        Some(Self {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            syn: tcp.syn(),
            ack: tcp.ack(),
            rst: tcp.rst(),
            fin: tcp.fin(),
            sequence: tcp.sequence_number(),
            acknowledged: tcp.acknowledgment_number(),
            options: tcp.options().to_vec(),
            payload: tcp.payload().to_vec(),
        })
    }

    /// Whether it answers this flow's SYN.
    pub fn is_syn_ack_for(&self, flow: &Flow) -> bool {
        self.syn
            && self.ack
            && self.to == flow.client
            && self.from == flow.server
            && self.acknowledged == flow.isn.wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_what_is_parsed() {
        let flow = Flow {
            client: "10.1.2.3:4000".parse().expect("literal"),
            server: "10.0.0.1:80".parse().expect("literal"),
            isn: u32::MAX,
        };
        let syn = Segment::parse(&flow.syn()).expect("a segment");
        assert!(syn.syn && !syn.ack && syn.sequence == u32::MAX);
        assert_eq!((syn.from, syn.to), (flow.client, flow.server));
        let data = Segment::parse(&flow.data(7, 2, b"hello")).expect("a segment");
        assert!(!data.syn && data.ack && data.sequence == 2 && data.acknowledged == 8);
        assert_eq!(data.payload, b"hello");
    }
}
