//! Ethernet frames as bytes, header by header: right by default, and wrong in every way that a test
//! wants.
//!
//! ```text
//! Frame ─ tags ─ Ipv4 ─ options ─────┬─ Transport ─ Tcp, or bytes of another protocol
//!              ─ Ipv6 ─ Extension … ─┘
//!              ─ bytes of something that is not IP
//! ```

mod ip;
mod reset;
mod tcp;
mod transport;

use std::net::{IpAddr, SocketAddr};

pub use ip::{Extension, Ipv4, Ipv6, options};
pub use reset::{Reset, must_be_reset_of};
pub use tcp::{Tcp, flags};
pub use transport::Transport;

use crate::packet::Flow;

/// A hardware address.
pub type Mac = [u8; 6];

/// Who sends, unless told otherwise.
pub const CLIENT: Mac = [2, 0, 0, 0, 0, 1];
/// Who receives, unless told otherwise.
pub const SERVER: Mac = [2, 0, 0, 0, 0, 2];

/// What follows an Ethernet header or a tag (IEEE 802 numbers, "EtherType").
pub mod ethertype {
    #![expect(missing_docs, reason = "the names are those of the protocols")]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const LLDP: u16 = 0x88cc;
    /// QinQ before 802.1ad.
    pub const OLD_QINQ: u16 = 0x9100;
}

/// A tag of 802.1Q or 802.1ad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What stands in place of the ethertype.
    pub protocol: u16,
    /// Priority, drop eligibility, and the number of the network.
    pub control: u16,
}

/// An Ethernet frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Receiver.
    pub destination: Mac,
    /// Sender.
    pub source: Mac,
    /// From the outermost to the innermost.
    pub tags: Vec<Tag>,
    /// What the frame says it contains; None: what it contains.
    pub ethertype: Option<u16>,
    /// What it contains.
    pub contents: Contents,
    /// Bytes behind the packet, as in a frame that was padded to the shortest length.
    pub trailer: Vec<u8>,
}

/// What a frame contains.
#[derive(Clone, Debug)]
pub enum Contents {
    /// An IPv4 packet.
    V4(Ipv4),
    /// An IPv6 packet.
    V6(Ipv6),
    /// Something else.
    Other {
        /// What it is.
        ethertype: u16,
        /// All of it.
        bytes: Vec<u8>,
    },
}

impl Frame {
    /// The SYN of a flow, with the options that Linux sends.
    pub fn syn(flow: &Flow) -> Self {
        Self::tcp(flow.client, flow.server, Tcp::syn(flow))
    }

    /// A TCP segment.
    ///
    /// # Panics
    /// If the addresses are not of one family.
    pub fn tcp(from: SocketAddr, to: SocketAddr, tcp: Tcp) -> Self {
        Self::ip(from.ip(), to.ip(), Transport::Tcp(tcp))
    }

    /// An IP packet.
    ///
    /// # Panics
    /// If the addresses are not of one family.
    pub fn ip(from: IpAddr, to: IpAddr, transport: Transport) -> Self {
        Self::of(match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Contents::V4(Ipv4::new(from, to, transport)),
            (IpAddr::V6(from), IpAddr::V6(to)) => Contents::V6(Ipv6::new(from, to, transport)),
            _ => panic!("{from} and {to} are not of one family"),
        })
    }

    /// Something that is not IP.
    pub fn other(ethertype: u16, bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::of(Contents::Other { ethertype, bytes })
    }

    fn of(contents: Contents) -> Self {
        Self {
            destination: SERVER,
            source: CLIENT,
            tags: Vec::new(),
            ethertype: None,
            contents,
            trailer: Vec::new(),
        }
    }

    /// With one more tag, inside of those that it has.
    #[must_use]
    pub fn tag(mut self, protocol: u16, control: u16) -> Self {
        self.tags.push(Tag { protocol, control });
        self
    }

    /// With a hop-by-hop, routing … header behind those that it has.
    ///
    /// # Panics
    /// If it is no IPv6 packet.
    #[must_use]
    pub fn extension(self, extension: Extension) -> Self {
        self.v6(|ip| ip.extensions.push(extension))
    }

    /// With the IPv4 header changed.
    ///
    /// # Panics
    /// If it is no IPv4 packet.
    #[must_use]
    pub fn v4(mut self, change: impl FnOnce(&mut Ipv4)) -> Self {
        match &mut self.contents {
            Contents::V4(ip) => change(ip),
            other => panic!("not IPv4: {other:?}"),
        }
        self
    }

    /// With the IPv6 header changed.
    ///
    /// # Panics
    /// If it is no IPv6 packet.
    #[must_use]
    pub fn v6(mut self, change: impl FnOnce(&mut Ipv6)) -> Self {
        match &mut self.contents {
            Contents::V6(ip) => change(ip),
            other => panic!("not IPv6: {other:?}"),
        }
        self
    }

    /// With the TCP header changed.
    ///
    /// # Panics
    /// If it is no TCP segment.
    #[must_use]
    pub fn segment(mut self, change: impl FnOnce(&mut Tcp)) -> Self {
        let transport = match &mut self.contents {
            Contents::V4(ip) => &mut ip.transport,
            Contents::V6(ip) => &mut ip.transport,
            other => panic!("not IP: {other:?}"),
        };
        match transport {
            Transport::Tcp(tcp) => change(tcp),
            other => panic!("not TCP: {other:?}"),
        }
        self
    }

    /// Only these bytes of what the IP packet carries; multiples of eight, but for the last.
    ///
    /// # Panics
    /// If it is no IP packet.
    #[must_use]
    pub fn fragment(mut self, from: usize, to: usize) -> Self {
        match &mut self.contents {
            Contents::V4(ip) => ip.part = Some(from..to),
            Contents::V6(ip) => {
                let more = to < ip.transport_bytes().len();
                ip.extensions.push(Extension::fragment(from, more));
                ip.part = Some(from..to);
            }
            other => panic!("not IP: {other:?}"),
        }
        self
    }

    /// Padded to the shortest length of a frame, 60 bytes without its checksum.
    #[must_use]
    pub fn padded(mut self) -> Self {
        let length = self.bytes().len();
        self.trailer.resize(60_usize.saturating_sub(length), 0);
        self
    }

    /// From the first hardware address to the last byte of the trailer.
    pub fn bytes(&self) -> Vec<u8> {
        let (ethertype, contents) = match &self.contents {
            Contents::V4(ip) => (ethertype::IPV4, ip.bytes()),
            Contents::V6(ip) => (ethertype::IPV6, ip.bytes()),
            Contents::Other { ethertype, bytes } => (*ethertype, bytes.clone()),
        };
        let mut bytes = [self.destination, self.source].concat();
        for tag in &self.tags {
            bytes.extend(tag.protocol.to_be_bytes());
            bytes.extend(tag.control.to_be_bytes());
        }
        bytes.extend(self.ethertype.unwrap_or(ethertype).to_be_bytes());
        bytes.extend(contents);
        bytes.extend(&self.trailer);
        bytes
    }

    /// What it carries: from the IP header to the last byte of the trailer.
    pub fn packet(&self) -> Vec<u8> {
        let start = 2 * size_of::<Mac>() + 4 * self.tags.len() + size_of::<u16>();
        self.bytes().split_off(start)
    }

    /// The first bytes of it.
    ///
    /// # Panics
    /// If it has not so many.
    pub fn cut(&self, length: usize) -> Vec<u8> {
        let mut bytes = self.bytes();
        assert!(length <= bytes.len(), "{length} of {} bytes", bytes.len());
        bytes.truncate(length);
        bytes
    }

    /// Where each header ends, counted from the start of the frame: Ethernet, the tags, IP, its
    /// options or extensions, TCP, its options.
    pub fn boundaries(&self) -> Vec<usize> {
        let mut ends = vec![2 * size_of::<Mac>() + 2];
        let mut add = |length: usize| {
            let end = ends.last().expect("never empty") + length;
            ends.push(end);
        };
        self.tags.iter().for_each(|_| add(4));
        let transport = match &self.contents {
            Contents::V4(ip) => {
                add(20);
                if !ip.options.is_empty() {
                    add(ip.options.len().next_multiple_of(4));
                }
                &ip.transport
            }
            Contents::V6(ip) => {
                add(40);
                ip.extensions.iter().for_each(|it| add(it.bytes.len()));
                &ip.transport
            }
            Contents::Other { .. } => return ends,
        };
        if let Transport::Tcp(tcp) = transport {
            add(20);
            if !tcp.options.is_empty() {
                add(tcp.options.len().next_multiple_of(4));
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests;
