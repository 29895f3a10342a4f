//! SYNs from a raw socket (packet(7)), as fast as it can, and every one with the right checksum.

use std::{io, net::IpAddr, os::fd::AsRawFd};

use nix::net::if_::if_nametoindex;
use serde::Serialize;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::{
    frame::{Frame, Tcp},
    packet::Flow,
    random,
};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempts {
    /// Each SYN is another attempt.
    New,
    /// Each SYN is the same.
    Repeated,
}

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

/// A process with a raw socket.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    frames: Vec<Vec<u8>>,
    next: usize,
    attempts: Attempts,
    /// Number of the last attempt.
    attempt: u32,
}

/// Frames for one system call.
const TOGETHER: usize = 64;
/// System calls for one burst.
const CALLS: usize = 16;

impl RawSocket {
    /// SYNs like this [renewable one](renewable_syn), from a device of the calling thread's namespace.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn new(device: &str, syn: &[u8], attempts: Attempts) -> io::Result<Self> {
        Self::of(device, vec![syn.to_vec(); TOGETHER], attempts)
    }

    /// SYNs from each of these clients in turn, a new attempt each.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn from_each(
        device: &str,
        clients: impl IntoIterator<Item = IpAddr>,
        server: std::net::SocketAddr,
    ) -> io::Result<Self> {
        let syn = |client: IpAddr| {
            renewable_syn(&Flow {
                client: (client, 30_000).into(),
                server,
                isn: random_u32(),
            })
        };
        let frames = clients.into_iter().map(|client| syn(client).bytes());
        let mut frames: Vec<_> = frames.collect();
        // Each call sends as many as the others do.
        let known = frames.len();
        let wanted = known.next_multiple_of(TOGETHER);
        (known..wanted).for_each(|at| frames.push(frames[at % known].clone()));
        Self::of(device, frames, Attempts::New)
    }

    fn of(device: &str, frames: Vec<Vec<u8>>, attempts: Attempts) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        let index = if_nametoindex(device).map_err(io::Error::from)?;
        socket.bind(&link_address(index)?)?;
        Ok(Self {
            socket,
            frames,
            next: 0,
            attempts,
            attempt: random_u32(),
        })
    }

    /// Sends for a millisecond or two, so that most bursts end before somebody else wants the CPU.
    /// Returns how many SYNs it has sent.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn burst(&mut self) -> io::Result<u32> {
        (0..CALLS).try_fold(0, |sent, _| Ok(sent + self.call()?))
    }

    /// One system call. Returns how many SYNs it has sent.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn call(&mut self) -> io::Result<u32> {
        let frames = &mut self.frames[self.next..self.next + TOGETHER];
        if self.attempts == Attempts::New {
            for frame in &mut *frames {
                self.attempt = self.attempt.wrapping_add(1);
                renew(frame, self.attempt);
            }
        }
        send_all(&self.socket, frames)?;
        self.next = (self.next + TOGETHER) % self.frames.len();
        Ok(TOGETHER as u32)
    }
}

fn send_all(socket: &Socket, frames: &mut [Vec<u8>]) -> io::Result<()> {
    let mut parts: Vec<_> = frames
        .iter_mut()
        .map(|frame| libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        })
        .collect();
    let mut messages: Vec<_> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: `mmsghdr` is plain data for which all zeroes is valid.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let length = messages.len() as u32;
    // SAFETY: the messages, and the frames that they point to, live until this returns.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), length, 0) };
    match sent {
        sent if sent < 0 => Err(io::Error::last_os_error()),
        sent if sent as u32 == length => Ok(()),
        sent => Err(io::Error::other(format!("{sent} of {length} were taken"))),
    }
}

/// Frames of no protocol in particular go to this device, and none come from it.
fn link_address(index: u32) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the storage has room for every kind of address, and is zeroed.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index;
    // SAFETY: all of the address is set.
    Ok(unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32) })
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
            server: ([10, 0, 0, 1], 8_080).into(),
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
