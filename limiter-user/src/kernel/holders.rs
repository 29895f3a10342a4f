//! The open connections that hold slots.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::Ebpf;
use limiter_common::{
    key::{Connection, ZoneKey},
    names::MAP_TOKENS,
    token::{Charge, Token},
};

use super::{
    compile::Compiled,
    error::{Context, KernelError},
    indices::Indices,
    netns, object,
    sock_diag::{Stored, each_stored},
};

/// One connection that was counted and is not closed yet.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// Cookie of its socket: unique while the machine is up.
    pub cookie: u64,
    /// Inode number of its network namespace.
    pub netns: u64,
    /// State, as in include/net/tcp_states.h.
    pub state: u8,
    /// Inode of its socket. 0: nobody has accepted it yet, or nobody holds it any more.
    pub inode: u32,
    /// Index of the server of the policy in force that it belongs to now.
    pub server: Option<u16>,
    token: Token,
}

impl Holder {
    /// Both ends.
    pub fn connection(&self) -> &Connection {
        &self.token.connection
    }

    /// When it was established, `CLOCK_MONOTONIC`, ns. None: before anybody counted.
    pub fn opened_ns(&self) -> Option<u64> {
        (self.token.opened_ns != 0).then_some(self.token.opened_ns)
    }

    /// Whether it was established in a lost race: it holds no slot, and is to be destroyed.
    pub fn lost_a_race(&self) -> bool {
        self.token.flags & Token::EXCESS != 0
    }

    /// The slots that it holds: index of the zone, and key.
    pub fn slots(&self) -> impl Iterator<Item = (u16, ZoneKey)> {
        let charges = self.token.charges.iter();
        let held = charges.filter(|charge| charge.generation != 0);
        held.map(|Charge { key, .. }| (key.zone(), key.key(&self.token.connection)))
    }
}

/// Reads the open connections, also while the daemon does something else.
pub struct HolderReader {
    tokens: OwnedFd,
    compiled: Compiled,
    /// Of the policy in force when it was made.
    pub indices: Indices,
}

impl HolderReader {
    pub(super) fn new(
        ebpf: &Ebpf,
        compiled: &Compiled,
        indices: &Indices,
    ) -> Result<Self, KernelError> {
        let tokens = object::storage(ebpf, MAP_TOKENS)?.try_clone_to_owned();
        Ok(Self {
            tokens: tokens.context("open map", MAP_TOKENS)?,
            compiled: compiled.clone(),
            indices: indices.clone(),
        })
    }

    /// Lists them in every network namespace that can be found, in no order. One that opens or
    /// closes meanwhile may be there or not, but never twice.
    ///
    /// # Errors
    ///
    /// If netlink fails.
    pub fn read(&self) -> Result<Vec<Holder>, KernelError> {
        let mut holders = Vec::new();
        // The kernel goes on in a hash chain by counting, and chains change (net/ipv4/inet_diag.c).
        let mut met = HashSet::new();
        let mut result = Ok(());
        netns::in_each(|namespace| {
            let listed = each_stored(self.tokens.as_fd(), |stored: Stored<Token>| {
                let token = stored.value;
                if token.is_counted == 0 {
                    return;
                }
                let holder = Holder {
                    cookie: stored.cookie,
                    netns: namespace.id.1,
                    state: stored.state,
                    inode: stored.inode,
                    server: self.server(&token.connection),
                    token,
                };
                // A policy may have left nothing of what one before it had charged.
                let is_one = holder.lost_a_race() || holder.slots().next().is_some();
                if is_one && met.insert(stored.cookie) {
                    holders.push(holder);
                }
            });
            if result.is_ok() {
                result = listed;
            }
        });
        result.context("list", "the connections that hold slots")?;
        Ok(holders)
    }

    fn server(&self, connection: &Connection) -> Option<u16> {
        self.compiled
            .server_at(connection.local, connection.local_port)
    }
}
