//! A TAP device: the test is everybody else on an Ethernet segment, and sends and sees whole
//! frames.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use crate::{
    frame::{CLIENT, SERVER},
    link,
    netns::NetNs,
    routing,
    tuntap::Queue,
};

/// A TAP device. Its own hardware address is [`SERVER`]; everybody else has [`CLIENT`], and nobody
/// is asked for it.
#[derive(Debug)]
pub struct Tap {
    queue: Queue,
    index: u32,
}

impl Tap {
    /// A device inside `netns`, where it has these addresses; all other addresses of their
    /// prefixes are the test's.
    ///
    /// # Panics
    /// If there is no `/dev/net/tun`.
    pub fn new(netns: &NetNs, name: &str, addresses: &[IpNet]) -> Self {
        let queue = netns.run(|| Queue::make(name, libc::IFF_TAP));
        link::set_mac(netns, name, SERVER);
        link::bring_up(netns, name);
        for address in addresses {
            // One gateway for a whole prefix, because the kernel remembers a thousand neighbours
            // and not one more (net/ipv4/arp.c, gc_thresh3).
            let gateway = gateway(address.addr());
            routing::add_address(netns, name, IpNet::from(address.addr()));
            routing::add_neighbour(netns, name, gateway, CLIENT);
            routing::add_route(netns, name, address.trunc(), gateway);
        }
        let index = link::index(netns, name);
        Self { queue, index }
    }

    /// Its index in the namespace.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Puts a frame into the namespace; the kernel has processed it when this returns.
    ///
    /// # Panics
    /// If the device does not take it.
    pub fn send(&self, frame: &[u8]) {
        self.queue.send(frame);
    }

    /// The next frame that the namespace sends, the kernel's own chatter (neighbour discovery,
    /// multicast reports) included; None if time is up.
    ///
    /// # Panics
    /// If the device cannot be read.
    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        self.queue.receive(patience)
    }

    /// The next frame that `wanted` takes; others are thrown away. None if time is up.
    pub fn receive_if(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let frame = self.receive(left)?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }
}

/// An address that no test uses.
fn gateway(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(169, 254, 255, 254).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xffff).into(),
    }
}
