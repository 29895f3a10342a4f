//! Senders of SYNs, as fast as they can.

use std::{io, os::fd::AsRawFd};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use serde::Serialize;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};
use tests::{
    bpf,
    test_run::Program,
    xdp::{self, Verdict},
};

use super::frames::{self, ACKNOWLEDGEMENT, BARE_SYN_BYTES, SEQUENCE, random_u32};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempts {
    /// Each SYN is another attempt.
    New,
    /// Each SYN is the same.
    Repeated,
}

/// Sends from a device of the calling thread's namespace. The other end of the cable has dealt with
/// the frames when they are sent: veth receives on the CPU that sends, at once.
pub trait Sender: Send {
    /// Sends for a millisecond or two, so that most bursts end before somebody else wants the CPU.
    /// Returns how many SYNs it has sent.
    fn burst(&mut self) -> Result<u32>;
}

/// A process with a raw socket (packet(7)).
pub struct RawSocket {
    socket: Socket,
    frames: Vec<Vec<u8>>,
    attempts: Attempts,
    /// Number of the last attempt.
    attempt: u32,
}

/// Frames for one system call.
const TOGETHER: usize = 64;
/// System calls for one burst.
const CALLS: usize = 16;

impl RawSocket {
    /// SYNs like this [renewable one](frames::renewable_syn).
    pub fn new(device: &str, syn: &[u8], attempts: Attempts) -> Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).context("open a raw socket")?;
        let bound = if_nametoindex(device)
            .map_err(io::Error::from)
            .and_then(link_address)
            .and_then(|address| socket.bind(&address));
        bound.with_context(|| format!("bind a raw socket to {device}"))?;
        Ok(Self {
            socket,
            frames: vec![syn.to_vec(); TOGETHER],
            attempts,
            attempt: random_u32(),
        })
    }
}

impl Sender for RawSocket {
    fn burst(&mut self) -> Result<u32> {
        for _ in 0..CALLS {
            if self.attempts == Attempts::New {
                for frame in &mut self.frames {
                    self.attempt = self.attempt.wrapping_add(1);
                    frames::renew(frame, self.attempt);
                }
            }
            send_all(&self.socket, &mut self.frames).context("send frames")?;
        }
        Ok((CALLS * TOGETHER) as u32)
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

/// The kernel itself: it makes frames of its own pages and gives them to the device as XDP programs
/// do, without socket buffers and system calls.
pub struct KernelFrames {
    program: Program,
    interface: u32,
    syn: Vec<u8>,
}

impl KernelFrames {
    /// How many make a burst: making the first one takes a while.
    const BURST: u32 = 2_048;

    /// SYNs like this [renewable one](frames::renewable_syn).
    pub fn new(device: &str, syn: &[u8], attempts: Attempts) -> Result<Self> {
        let interface = if_nametoindex(device).with_context(|| format!("find {device}"))?;
        let program = match attempts {
            Attempts::Repeated => xdp::load("bench_send", &xdp::always(Verdict::Tx)),
            Attempts::New => Self::renewing()?,
        };
        Ok(Self {
            program,
            interface,
            syn: syn.to_vec(),
        })
    }

    /// What makes the frames; it has to stay attached somewhere, see [`super::cables`].
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// As [`frames::renew`], but for the port.
    fn renewing() -> Result<Program> {
        // The program keeps the map.
        let word = bpf::word().context("make a map")?;
        let first = [
            0x1261,                                       // r2 = *(u32 *)(r1 + 0): data
            0x0004_1361,                                  // r3 = *(u32 *)(r1 + 4): data_end
            0x24bf,                                       // r4 = r2
            0x0407 | (BARE_SYN_BYTES as u64) << 32,       // r4 += BARE_SYN_BYTES
            0x0008_342d,                                  // if r4 > r3: send it as it is
            0x2618 | u64::from(bpf::number(&word)) << 32, // r6 = &word
            0,
            0x6561,                                  // r5 = *(u32 *)(r6 + 0)
            0x0507 | 1 << 32,                        // r5 += 1
            0x5663,                                  // *(u32 *)(r6 + 0) = r5
            0x5263 | (SEQUENCE as u64) << 16,        // *(u32 *)(r2 + SEQUENCE) = r5
            0x05a7 | 0xffff_ffff << 32,              // r5 ^= -1
            0x5263 | (ACKNOWLEDGEMENT as u64) << 16, // *(u32 *)(r2 + ACKNOWLEDGEMENT) = r5
        ];
        let tx = xdp::always(Verdict::Tx);
        Ok(xdp::load("bench_send", &[&first[..], &tx].concat()))
    }
}

impl Sender for KernelFrames {
    fn burst(&mut self) -> Result<u32> {
        self.program
            .make_frames(&self.syn, self.interface, Self::BURST)
            .context("make frames in the kernel")?;
        Ok(Self::BURST)
    }
}
