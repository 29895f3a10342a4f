//! A TUN device: the whole network behind it is the test, so it can send what no well-behaved
//! client sends, and nobody answers for it.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    netns::{self, NetNs},
    packet::{Flow, Segment},
};

/// A TUN device. Packets may be written by several threads at once.
#[derive(Debug)]
pub struct Tun {
    file: File,
}

impl Tun {
    /// A device inside `netns`, where it has this address; all other addresses of the prefix are
    /// the test's.
    ///
    /// # Panics
    /// If there is no `/dev/net/tun`.
    pub fn new(netns: &NetNs, address: Ipv4Addr, prefix: u8) -> Self {
        let file = netns.run(|| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
                .open("/dev/net/tun")
                .expect("open /dev/net/tun");
            attach(&file);
            netns::set_v4(NAME, address, prefix).expect("give the TUN device an address");
            netns::up(NAME).expect("bring the TUN device up");
            file
        });
        Self { file }
    }

    /// Puts a packet into the namespace; the kernel has processed it when this returns.
    ///
    /// # Panics
    /// If the device does not take it.
    pub fn send(&self, packet: &[u8]) {
        let written = (&self.file).write(packet).expect("write to the TUN device");
        assert_eq!(written, packet.len(), "a packet is written whole");
    }

    /// The next TCP segment that the namespace sends; None if time is up.
    ///
    /// # Panics
    /// If the device cannot be read.
    pub fn receive(&self, patience: Duration) -> Option<Segment> {
        let end = Instant::now() + patience;
        let mut packet = [0; MTU];
        loop {
            match (&self.file).read(&mut packet) {
                Ok(length) => {
                    if let Some(segment) = Segment::parse(&packet[..length]) {
                        return Some(segment);
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                    let mut wait = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                    poll(&mut wait, timeout).expect("wait for the TUN device");
                }
                Err(e) => panic!("read from the TUN device: {e}"),
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
}

const NAME: &str = "tun0";
/// A TUN device sends nothing longer unless told (drivers/net/tun.c, tun_net_initialize).
const MTU: usize = 1_500;

fn attach(file: &File) {
    let mut request = netns::request(NAME);
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("both fit");
    // SAFETY: TUNSETIFF takes an ifreq, and it lives.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert!(
        result >= 0,
        "make a TUN device: {}",
        std::io::Error::last_os_error()
    );
}
