//! The SYNs of connects that have waited, and have a slot now.
//!
//! The kernel would send each again by itself, but only when its timer says so. So the SYN that was held
//! back is sent here, as the socket would send it now: from its own addresses, in its own network
//! namespace. The answer finds the socket. If this fails, or the SYN is lost, the timer is still there.

mod segment;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    num::NonZeroU32,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use limiter_common::upstream::queue::Waiting;
use nix::time::ClockId;
use socket2::{Domain, Protocol, Socket, Type};

use super::netns;

/// How long a network namespace is kept open without need: it lives as long as a socket of it.
const IDLE: Duration = Duration::from_secs(10);

/// Sends them. It has a pair of raw sockets for each network namespace that is in use.
#[derive(Default)]
pub(super) struct Sender {
    /// By cookie of the namespace.
    namespaces: HashMap<u64, Sockets>,
    /// What went wrong the last time. That is said once.
    failed: Option<String>,
}

struct Sockets {
    v4: Socket,
    /// None: there is no IPv6 here.
    v6: Option<Socket>,
    used: Instant,
}

impl Sender {
    /// Sends each of them. What cannot be sent is left to the kernel's timer.
    pub(super) fn send(&mut self, syns: &[Waiting]) {
        self.namespaces.retain(|_, it| it.used.elapsed() < IDLE);
        let is_open = |syn: &Waiting| self.namespaces.contains_key(&syn.netns_cookie);
        if !syns.iter().all(is_open) {
            self.open(syns);
        }
        for syn in syns {
            let Some(sockets) = self.namespaces.get_mut(&syn.netns_cookie) else {
                tracing::debug!("a SYN was held back in a network namespace that is not found");
                continue;
            };
            sockets.used = Instant::now();
            match sockets.send(syn) {
                Ok(()) => self.failed = None,
                Err(error) => {
                    let error = error.to_string();
                    if self.failed.as_ref() != Some(&error) {
                        tracing::warn!(
                            "send a SYN that was held back: {error}; connects that have waited go on \
                             half a second later"
                        );
                    }
                    self.failed = Some(error);
                }
            }
        }
    }

    /// Opens sockets in the namespaces that these are of.
    fn open(&mut self, syns: &[Waiting]) {
        let wanted = |cookie| syns.iter().any(|syn| syn.netns_cookie == cookie);
        let namespaces = &mut self.namespaces;
        let mut failed = None;
        netns::in_each(|_| match Sockets::open() {
            Ok((cookie, sockets)) => {
                if wanted(cookie) {
                    namespaces.entry(cookie).or_insert(sockets);
                }
            }
            Err(error) => failed = Some(error),
        });
        if let Some(error) = failed {
            tracing::debug!("open a raw socket: {error}");
        }
    }
}

impl Sockets {
    /// In the current namespace, with its cookie.
    fn open() -> io::Result<(u64, Self)> {
        let raw = |domain| Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
        let v4 = raw(Domain::IPV4)?;
        v4.set_header_included_v4(true)?;
        let cookie = netns::cookie(v4.as_fd())?;
        let v6 = raw(Domain::IPV6).and_then(|v6| {
            v6.set_header_included_v6(true)?;
            Ok(v6)
        });
        let sockets = Self {
            v4,
            v6: v6.ok(),
            used: Instant::now(),
        };
        Ok((cookie, sockets))
    }

    fn send(&self, syn: &Waiting) -> io::Result<()> {
        let now = Duration::from(ClockId::CLOCK_MONOTONIC.now()?);
        let held_for = now.saturating_sub(Duration::from_nanos(syn.held_ns));
        let Some(packet) = segment::renewed(syn, held_for) else {
            return Err(io::Error::other(
                "it has headers of a kind that limiter does not know",
            ));
        };
        let server = IpAddr::from(syn.connection.remote);
        let (socket, to) = match server {
            IpAddr::V4(_) => (&self.v4, SocketAddr::new(server, 0)),
            IpAddr::V6(addr) => {
                let socket = self.v6.as_ref();
                let socket = socket.ok_or_else(|| io::Error::other("no IPv6 socket"))?;
                let is_link_local = addr.is_unicast_link_local();
                let scope = if is_link_local { syn.interface } else { 0 };
                (socket, SocketAddrV6::new(addr, 0, 0, scope).into())
            }
        };
        socket.set_mark(syn.mark)?;
        let bound = NonZeroU32::new(syn.bound_interface);
        match server {
            IpAddr::V4(_) => socket.bind_device_by_index_v4(bound)?,
            IpAddr::V6(_) => socket.bind_device_by_index_v6(bound)?,
        }
        socket.send_to(&packet, &to.into())?;
        Ok(())
    }
}
