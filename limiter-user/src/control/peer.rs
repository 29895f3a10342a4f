//! Who is at the other end of the control socket, and what they may do.

use std::{io, os::fd::AsRawFd};

use tokio::net::UnixStream;

use super::refusal::Refusal;
use crate::policy::{Grant, Others};

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

/// On what ground somebody may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Root, or the daemon's own user.
    Owner,
    /// In the group of the socket, which may do everything, too.
    Member,
    /// Anybody, where `others=read`.
    Reader,
    /// Anybody else.
    Stranger,
}

impl Standing {
    /// What comes of it.
    pub fn access(self) -> Access {
        match self {
            Self::Owner | Self::Member => Access::Change,
            Self::Reader => Access::Read,
            Self::Stranger => Access::None,
        }
    }
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The daemon's user, who may do everything, as root may.
    pub uid: u32,
    /// What everybody else may.
    pub grant: Grant,
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
    /// How `peer` stands here.
    pub fn standing(&self, peer: &Peer) -> Standing {
        let group = self.grant.group.as_ref();
        if peer.uid == 0 || peer.uid == self.uid {
            Standing::Owner
        } else if group.is_some_and(|group| peer.gids.contains(&group.gid)) {
            Standing::Member
        } else {
            match self.grant.others {
                Others::Read => Standing::Reader,
                Others::Nothing => Standing::Stranger,
            }
        }
    }

    /// Refuses `peer` what needs `wanted`.
    pub fn permit(&self, peer: &Peer, wanted: Access) -> Result<(), Refusal> {
        if self.standing(peer).access() >= wanted {
            return Ok(());
        }
        let act = match wanted {
            Access::None | Access::Read => "read",
            Access::Change => "change",
        };
        let mut who = vec!["root".to_owned()];
        if self.uid != 0 {
            who.push(format!("uid {}", self.uid));
        }
        let way = match &self.grant.group {
            Some(group) => {
                who.push(format!("the members of group {:?}", group.name));
                "become a member of the group"
            }
            None => "have a group named that may (group= behind \"control\", or --control-group)",
        };
        Err(Refusal::forbidden(format!(
            "uid {} may not {act} anything here, only {} may: run it as root, or {way}",
            peer.uid,
            listed(&who)
        )))
    }
}

/// `a, b and c`
fn listed(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => names.concat(),
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
    use crate::policy::Group;

    fn guard(group: Option<u32>, others: Others) -> Guard {
        let group = group.map(|gid| Group {
            name: "netadmin".to_owned(),
            gid,
        });
        Guard {
            uid: 990,
            grant: Grant { group, others },
        }
    }

    fn peer(uid: u32, gids: &[u32]) -> Peer {
        Peer {
            uid,
            gids: gids.to_vec(),
        }
    }

    #[test]
    fn everybody_may_what_is_granted() {
        for (guard, member, other) in [
            (
                guard(None, Others::Nothing),
                Standing::Stranger,
                Standing::Stranger,
            ),
            (
                guard(None, Others::Read),
                Standing::Reader,
                Standing::Reader,
            ),
            (
                guard(Some(980), Others::Nothing),
                Standing::Member,
                Standing::Stranger,
            ),
            (
                guard(Some(980), Others::Read),
                Standing::Member,
                Standing::Reader,
            ),
        ] {
            assert_eq!(guard.standing(&peer(0, &[0])), Standing::Owner);
            assert_eq!(guard.standing(&peer(990, &[990])), Standing::Owner);
            assert_eq!(guard.standing(&peer(1000, &[1000, 980])), member);
            assert_eq!(guard.standing(&peer(1000, &[1000])), other);
        }
        assert_eq!(Standing::Owner.access(), Access::Change);
        assert_eq!(Standing::Member.access(), Access::Change);
        assert_eq!(Standing::Reader.access(), Access::Read);
        assert_eq!(Standing::Stranger.access(), Access::None);
    }

    #[test]
    fn a_refusal_says_who_asks_who_may_and_what_to_do() {
        let reader = peer(1000, &[1000]);
        let with_group = guard(Some(980), Others::Read);
        assert!(with_group.permit(&reader, Access::Read).is_ok());
        let refusal = with_group.permit(&reader, Access::Change);
        let refusal = refusal.expect_err("a reader");
        assert_eq!(refusal.status, 403);
        assert_eq!(
            refusal.text,
            "uid 1000 may not change anything here, only root, uid 990 and the members of group \
             \"netadmin\" may: run it as root, or become a member of the group"
        );
        let mut alone = guard(None, Others::Nothing);
        alone.uid = 0;
        let refusal = alone.permit(&reader, Access::Read).expect_err("a stranger");
        assert_eq!(
            refusal.text,
            "uid 1000 may not read anything here, only root may: run it as root, or have a group \
             named that may (group= behind \"control\", or --control-group)"
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
