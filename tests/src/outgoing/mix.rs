//! Connections with every end.

use std::{net::SocketAddr, os::fd::AsRawFd as _};

use socket2::Socket;

use super::{
    Way,
    connect::{connect, new},
};

/// One of the ways for a connection to fail or to end. What is refused by the limit is over at once.
pub(super) fn one(number: usize, [open, refused, no_route, silent]: [SocketAddr; 4]) {
    let socket = |way, to| new(way, to).expect("make a socket");
    let (blocking, at_once) = (Way::Blocking, Way::NonBlocking);
    match number % 14 {
        0 => drop(connect(blocking, open)),
        1 => drop(connect(blocking, refused)),
        2 => drop(connect(blocking, no_route)),
        // Closed before the answer.
        3 => drop(connect(at_once, open)),
        4 => drop(connect(at_once, silent)),
        // Used again after each way to fail.
        5 => {
            let socket = socket(blocking, open);
            for to in [no_route, refused, no_route, open] {
                let _ = socket.connect(&to.into());
            }
        }
        // Disconnected, and used again.
        6 => {
            let socket = socket(at_once, silent);
            let _ = socket.connect(&silent.into());
            disconnect(&socket);
            let _ = socket.connect(&open.into());
            disconnect(&socket);
        }
        // Twice at once.
        7 => {
            let socket = socket(at_once, silent);
            let _ = socket.connect(&silent.into());
            let _ = socket.connect(&open.into());
        }
        8 => drop(connect(Way::FastOpen, open)),
        // Deferred until there are data, which never come.
        9 => {
            let socket = socket(blocking, open);
            fast_open_connect(&socket);
            let _ = socket.connect(&open.into());
        }
        // Reset.
        10 => {
            if let (Some(socket), _) = connect(blocking, open) {
                let _ = socket.set_linger(Some(std::time::Duration::ZERO));
            }
        }
        // No address to come from.
        11 => {
            let socket = socket(blocking, open);
            let _ = socket.set_reuse_address(true);
            let from: SocketAddr = "127.0.0.1:4242".parse().expect("literal");
            let _ = socket.bind(&from.into());
            let _ = socket.connect(&open.into());
        }
        12 => drop(connect(Way::Mapped, open)),
        // Half closed first.
        _ => {
            if let (Some(socket), _) = connect(blocking, open) {
                let _ = socket.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

fn disconnect(socket: &Socket) {
    let nobody = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as u16,
        sa_data: [0; 14],
    };
    // SAFETY: the address lives during the call, and has this length.
    unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, 16) };
}

fn fast_open_connect(socket: &Socket) {
    let on: libc::c_int = 1;
    // SAFETY: the value lives during the call, and has this length.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            4,
        )
    };
}
