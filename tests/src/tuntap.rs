//! What a TUN and a TAP device have in common: packets go in and out of a descriptor.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::netns;

/// The test's end of a device. Packets may be written by several threads at once.
#[derive(Debug)]
pub(crate) struct Queue {
    file: File,
}

impl Queue {
    /// Makes a device in the namespace of the calling thread: `libc::IFF_TUN` or `libc::IFF_TAP`.
    /// The device is gone with its descriptor.
    pub(crate) fn make(name: &str, kind: libc::c_int) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            // A TAP device runs XDP programs in the driver only on what is written without
            // waiting (drivers/net/tun.c, tun_can_build_skb).
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .expect("open /dev/net/tun");
        let mut request = netns::request(name);
        request.ifr_ifru.ifru_flags =
            libc::c_short::try_from(kind | libc::IFF_NO_PI).expect("both fit");
        // SAFETY: TUNSETIFF takes an ifreq, and it lives.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert!(
            result >= 0,
            "make the device {name}: {}",
            std::io::Error::last_os_error()
        );
        Self { file }
    }

    /// Puts a packet into the namespace; the kernel has processed it when this returns.
    pub(crate) fn send(&self, packet: &[u8]) {
        let written = (&self.file).write(packet).expect("write to the device");
        assert_eq!(written, packet.len(), "a packet is written whole");
    }

    /// The next packet that the namespace sends; None if time is up.
    pub(crate) fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        let mut packet = vec![0; LONGEST];
        loop {
            match (&self.file).read(&mut packet) {
                Ok(length) => {
                    packet.truncate(length);
                    return Some(packet);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                    let mut wait = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                    poll(&mut wait, timeout).expect("wait for the device");
                }
                Err(e) => panic!("read from the device: {e}"),
            }
        }
    }
}

/// A device sends packets of 1 500 bytes unless told (drivers/net/tun.c, tun_net_initialize);
/// Ethernet and its tags come in front.
const LONGEST: usize = 1_500 + 14 + 4 * 4;
