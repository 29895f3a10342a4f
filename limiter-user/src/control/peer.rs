//! Who is at the other end of the control socket, and what they may do.

use std::{io, os::fd::AsRawFd};

use tokio::net::UnixStream;

use super::refusal::Refusal;

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    None,
    /// Read state and events.
    Read,
    /// Change the running policy and reset counters, too.
    Change,
}

/// Who may do what: root and the daemon's own user everything, the socket's group reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The daemon's user.
    pub uid: u32,
    /// Group of the socket file.
    pub gid: u32,
}

/// A process at the other end, as it was when it connected (unix(7), `SO_PEERCRED`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group and supplementary groups.
    pub gids: Vec<u32>,
}

impl Peer {
    /// Asks the kernel who opened the other end of `stream`.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let mut gids = supplementary_groups(stream)?;
        gids.push(credentials.gid());
        Ok(Self {
            uid: credentials.uid(),
            gids,
        })
    }
}

impl Guard {
    /// What `peer` may do.
    pub fn access(&self, peer: &Peer) -> Access {
        if peer.uid == 0 || peer.uid == self.uid {
            Access::Change
        } else if peer.gids.contains(&self.gid) {
            Access::Read
        } else {
            Access::None
        }
    }

    /// Refuses `peer` what needs `wanted`.
    pub fn permit(&self, peer: &Peer, wanted: Access) -> Result<(), Refusal> {
        if self.access(peer) >= wanted {
            return Ok(());
        }
        let rule = match wanted {
            Access::None | Access::Read => "may not read; root and the socket's group may",
            Access::Change => "may not change anything; root and the daemon's user may",
        };
        Err(Refusal::forbidden(format!("uid {} {rule}", peer.uid)))
    }
}

/// `SO_PEERGROUPS`, since Linux 4.13.
fn supplementary_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    // A first size for nearly everybody; the kernel tells the right one with ERANGE.
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice()))
            .map_err(|_| io::Error::other("too many groups"))?;
        // SAFETY: the buffer is valid for writes of `length` bytes, and any bytes are valid gids.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Guard = Guard { uid: 990, gid: 980 };

    fn peer(uid: u32, gids: &[u32]) -> Peer {
        Peer {
            uid,
            gids: gids.to_vec(),
        }
    }

    #[test]
    fn root_and_the_daemons_user_may_change_the_group_may_read() {
        assert_eq!(GUARD.access(&peer(0, &[0])), Access::Change);
        assert_eq!(GUARD.access(&peer(990, &[990])), Access::Change);
        assert_eq!(GUARD.access(&peer(1000, &[1000, 980])), Access::Read);
        assert_eq!(GUARD.access(&peer(1000, &[1000])), Access::None);
    }

    #[test]
    fn a_refusal_says_who_may() {
        let reader = peer(1000, &[980]);
        assert!(GUARD.permit(&reader, Access::Read).is_ok());
        let refusal = GUARD.permit(&reader, Access::Change).expect_err("a reader");
        assert_eq!(refusal.status, 403);
        assert_eq!(
            refusal.text,
            "uid 1000 may not change anything; root and the daemon's user may"
        );
    }

    #[tokio::test]
    async fn the_kernel_tells_who_the_peer_is() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
        let peer = Peer::of(&ours).expect("credentials");
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert!(peer.gids.contains(&nix::unistd::getegid().as_raw()));
    }
}
