//! A device of the test's own: the whole network behind it is the test, so it can send what no
//! well-behaved client sends, and nobody answers for it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use crate::{
    frame::{CLIENT, SERVER, ethertype},
    interface,
    netns::{self, NetNs},
    packet::{Flow, Segment},
    settle::PATIENCE,
    tap::Tap,
    tuntap::Queue,
};

/// A device that takes and gives IP packets. They may be written by several threads at once.
#[derive(Debug)]
pub struct Tun {
    link: Link,
}

#[derive(Debug)]
enum Link {
    Ip(Queue),
    Ethernet(Tap),
}

impl Tun {
    /// A device inside `netns`, where it has this address; all other addresses of the prefix are
    /// the test's. It is called `tun0`.
    ///
    /// A TUN device, or, if limiters are to be attached to [interfaces](interface), a TAP device:
    /// that is an interface of the kind that they are attached to.
    ///
    /// # Panics
    /// If there is no `/dev/net/tun`.
    pub fn new(netns: &NetNs, address: Ipv4Addr, prefix: u8) -> Self {
        if interface::is_wanted() {
            let address = IpNet::new(IpAddr::V4(address), prefix).expect("a prefix length");
            return Self::ethernet(netns, NAME, &[address]);
        }
        let queue = netns.run(|| {
            let queue = Queue::make(NAME, libc::IFF_TUN);
            netns::set_v4(NAME, address, prefix).expect("give the TUN device an address");
            netns::up(NAME).expect("bring the TUN device up");
            queue
        });
        let link = Link::Ip(queue);
        Self { link }
    }

    /// A TAP device with these addresses, see [`Tap::new`].
    ///
    /// # Panics
    /// If there is no `/dev/net/tun`.
    pub fn ethernet(netns: &NetNs, name: &str, addresses: &[IpNet]) -> Self {
        let link = Link::Ethernet(Tap::new(netns, name, addresses));
        Self { link }
    }

    /// Puts a packet into the namespace; the kernel has processed it when this returns.
    ///
    /// # Panics
    /// If the device does not take it.
    pub fn send(&self, packet: &[u8]) {
        match &self.link {
            Link::Ip(queue) => queue.send(packet),
            Link::Ethernet(tap) => {
                let ethertype = match packet.first() {
                    Some(first) if first >> 4 == 6 => ethertype::IPV6,
                    _ => ethertype::IPV4,
                };
                tap.send(&[&SERVER, &CLIENT, &ethertype.to_be_bytes()[..], packet].concat());
            }
        }
    }

    /// The next TCP segment that the namespace sends; None if time is up.
    ///
    /// # Panics
    /// If the device cannot be read.
    pub fn receive(&self, patience: Duration) -> Option<Segment> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let segment = match &self.link {
                Link::Ip(queue) => Segment::parse(&queue.receive(left)?),
                Link::Ethernet(tap) => Segment::parse_frame(&tap.receive(left)?),
            };
            if segment.is_some() {
                return segment;
            }
        }
    }

    /// Throws away what the namespace has sent so far.
    pub fn drain(&self) {
        while self.receive(Duration::ZERO).is_some() {}
    }

    /// Sends the SYNs of all flows, and returns the server's initial sequence number for each one
    /// that was answered before time is up. No handshake is completed.
    pub fn half_open(&self, flows: &[Flow], patience: Duration) -> Vec<(Flow, u32)> {
        for flow in flows {
            self.send(&flow.syn());
        }
        self.answers(flows, patience)
    }

    /// Waits for the SYN-ACKs to SYNs that were sent.
    pub fn answers(&self, flows: &[Flow], patience: Duration) -> Vec<(Flow, u32)> {
        let end = Instant::now() + patience;
        let mut waiting: HashMap<SocketAddr, Flow> =
            flows.iter().map(|flow| (flow.client, *flow)).collect();
        let mut answered = Vec::new();
        while !waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let Some(segment) = self.receive(left) else {
                break;
            };
            let Some(flow) = waiting.get(&segment.to) else {
                continue;
            };
            if segment.is_syn_ack_for(flow) {
                answered.push((*flow, segment.sequence));
                waiting.remove(&segment.to);
            }
        }
        answered
    }

    /// Completes one handshake; None if the SYN is not answered before time is up.
    pub fn connect(&self, flow: Flow, patience: Duration) -> Option<u32> {
        let (flow, server_isn) = self.half_open(&[flow], patience).pop()?;
        self.send(&flow.ack(server_isn));
        Some(server_isn)
    }

    /// One connection from each of `count` clients, 10.1.0.0 and up. Nobody need accept.
    ///
    /// # Panics
    /// If one is not answered.
    pub fn connect_each(&self, count: u16, server: SocketAddr) {
        self.connect_from([10, 1, 0, 0].into(), count.into(), server);
    }

    /// The same with clients from `first` on.
    ///
    /// # Panics
    /// If one is not answered.
    pub fn connect_from(&self, first: Ipv4Addr, count: u32, server: SocketAddr) {
        let flow = |n: u32| Flow {
            client: SocketAddr::new(Ipv4Addr::from_bits(first.to_bits() + n).into(), 4_000),
            server,
            isn: n << 8,
        };
        let flows: Vec<_> = (0..count).map(flow).collect();
        for flows in flows.chunks(100) {
            let answered = self.half_open(flows, PATIENCE);
            assert_eq!(answered.len(), flows.len(), "answered by {server}");
            for (flow, isn) in answered {
                self.send(&flow.ack(isn));
            }
        }
    }
}

const NAME: &str = "tun0";
