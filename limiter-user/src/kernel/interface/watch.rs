//! Waits for changes of network devices: creation, removal, a new name, up, down, MTU …

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::{Interest, unix::AsyncFd};

use crate::kernel::error::{Context, KernelError};

const OPERATION: &str = "watch";
const OBJECT: &str = "the network interfaces";
/// Notifications taken at once, at the most.
const BATCH: usize = 4_096;

/// Tells when a device of the network namespace has changed. Which one it does not tell: the
/// notifications can be lost, so whoever waits looks at all that matter to him.
#[derive(Debug)]
pub struct InterfaceWatch {
    socket: AsyncFd<Socket>,
}

impl InterfaceWatch {
    /// Waits until something has changed since the call before, however often; the first time,
    /// since the daemon's start.
    ///
    /// # Errors
    ///
    /// If the socket cannot be read.
    pub async fn changed(&mut self) -> Result<(), KernelError> {
        loop {
            let mut ready = self.socket.readable().await.context(OPERATION, OBJECT)?;
            match drain(ready.get_inner()).context(OPERATION, OBJECT)? {
                Drained::More => return Ok(()),
                Drained::All { any } => {
                    ready.clear_ready();
                    if any {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Notifications from here on are kept until somebody waits for them.
pub(super) struct Subscription {
    socket: Socket,
}

impl Subscription {
    /// Subscribes to RTMGRP_LINK in the calling thread's network namespace.
    pub(super) fn new() -> Result<Self, KernelError> {
        Self::open().context(OPERATION, OBJECT)
    }

    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, libc::RTMGRP_LINK as u32))?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket })
    }

    /// To be called on the runtime.
    pub(super) fn into_watch(self) -> Result<InterfaceWatch, KernelError> {
        // SAFETY: a socket owns its descriptor and keeps it while it lives.
        let socket = unsafe { AsyncFd::register_with_interest(self.socket, Interest::READABLE) }
            .map_err(io::Error::from)
            .context(OPERATION, OBJECT)?;
        Ok(InterfaceWatch { socket })
    }
}

enum Drained {
    /// There may be more.
    More,
    All {
        any: bool,
    },
}

fn drain(socket: &Socket) -> io::Result<Drained> {
    // What they say is not needed; the kernel throws away what does not fit.
    let mut buffer = [0_u8; 16];
    let mut any = false;
    for _ in 0..BATCH {
        match socket.recv(&mut &mut buffer[..], 0) {
            Ok(_) => any = true,
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(Drained::All { any }),
                // Notifications were lost.
                Some(libc::ENOBUFS) => any = true,
                Some(libc::EINTR) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(Drained::More)
}
