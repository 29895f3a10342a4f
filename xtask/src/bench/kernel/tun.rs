//! The device behind which the clients are. What is written to it has been through the kernel's
//! receive path when the write returns (drivers/net/tun.c, tun_get_user), on this CPU.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    mem::zeroed,
    net::Ipv4Addr,
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::segment::Segment;

const DEVICE: &str = "/dev/net/tun";
/// How long the kernel may take to answer. It answers within the write.
const PATIENCE_MS: u16 = 1_000;

/// An open TUN device.
pub struct Tun {
    file: File,
}

impl Tun {
    /// Makes a device with this address in the current network namespace; everything else of the
    /// prefix is behind it.
    pub fn open(addr: Ipv4Addr, mask: Ipv4Addr) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(DEVICE)
            .with_context(|| format!("open {DEVICE}"))?;
        let mut request = request("bench");
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        configure(file.as_raw_fd(), libc::TUNSETIFF, &request).context("make a TUN device")?;
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
            .context("open a socket to configure the TUN device")?;
        let socket = socket.as_raw_fd();
        request.ifr_ifru.ifru_addr = sockaddr(addr);
        configure(socket, libc::SIOCSIFADDR, &request).context("set the address of the device")?;
        request.ifr_ifru.ifru_netmask = sockaddr(mask);
        configure(socket, libc::SIOCSIFNETMASK, &request).context("set the mask of the device")?;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        configure(socket, libc::SIOCSIFFLAGS, &request).context("bring the device up")?;
        Ok(Self { file })
    }

    /// Has the kernel receive one segment.
    pub fn send(&mut self, segment: Segment) -> Result<()> {
        let packet = segment.to_bytes();
        let written = self.file.write(&packet).context("write to the device")?;
        ensure!(
            written == packet.len(),
            "the device took a part of a packet"
        );
        Ok(())
    }

    /// The next segment that the kernel sends.
    pub fn receive(&mut self) -> Result<Segment> {
        loop {
            if let Some(segment) = self.try_receive()? {
                return Ok(segment);
            }
            let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            let number = poll(&mut ready, PollTimeout::from(PATIENCE_MS)).context("poll")?;
            ensure!(number > 0, "the kernel did not answer a segment");
        }
    }

    /// Throws away what the kernel has sent so far.
    pub fn discard(&mut self) -> Result<()> {
        while self.try_receive()?.is_some() {}
        Ok(())
    }

    fn try_receive(&mut self) -> Result<Option<Segment>> {
        let mut packet = [0; 2048];
        loop {
            match self.file.read(&mut packet) {
                Ok(length) => {
                    if let Some(segment) = Segment::parse(&packet[..length]) {
                        return Ok(Some(segment));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("read from the device"),
            }
        }
    }
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: a C struct of integers and arrays, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn sockaddr(addr: Ipv4Addr) -> libc::sockaddr {
    let mut sockaddr = libc::sockaddr {
        sa_family: libc::AF_INET as u16,
        sa_data: [0; 14],
    };
    // struct sockaddr_in: port, then address.
    for (to, from) in sockaddr.sa_data[2..].iter_mut().zip(addr.octets()) {
        *to = from as libc::c_char;
    }
    sockaddr
}

fn configure(fd: RawFd, operation: libc::c_ulong, request: &libc::ifreq) -> io::Result<()> {
    // SAFETY: these operations read a struct ifreq.
    if unsafe { libc::ioctl(fd, operation, std::ptr::from_ref(request)) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
