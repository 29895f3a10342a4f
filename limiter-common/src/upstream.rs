//! Outgoing connections: how many there are to each server of an `upstream`.

use crate::{addr::Addr, admission::Word};

pub mod queue;

/// Servers of all upstreams together, at the most.
pub const MAX_UPSTREAM_SERVERS: u32 = 256;
/// Places for them and for their queues, of which there are as many at the most: those of two policies.
pub const MAX_UPSTREAM_INDICES: u32 = 4 * MAX_UPSTREAM_SERVERS;

/// Key of [`crate::names::MAP_UPSTREAMS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamKey {
    /// Address that is connected to; IPv4 in IPv4-mapped form.
    pub addr: Addr,
    /// Half of the policy, 0 or 1.
    pub half: u32,
    /// Port, host order.
    pub port: u32,
}

/// Value of [`crate::names::MAP_UPSTREAMS`]: what the policy says of one server.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamServer {
    /// Connections at the most; 0: as many as want to.
    pub max_conns: u32,
    /// Its index in [`crate::names::MAP_UPSTREAM_STATES`].
    pub index: u16,
    /// Not 0: everybody passes, and what would be refused is counted.
    pub dry_run: u8,
    /// Explicit padding, 0.
    pub padding: u8,
    /// Connects of its upstream that may wait for a slot at the same time; 0: none.
    pub queue_max: u32,
    /// How long each may wait, ms.
    pub queue_timeout_ms: u32,
    /// Index of the queue of its upstream in [`crate::names::MAP_UPSTREAM_STATES`], unless
    /// [`Self::queue_max`] is 0.
    pub queue: u16,
    /// Explicit padding, 0.
    pub padding_to_word: u16,
}

/// Value of [`crate::names::MAP_UPSTREAM_STATES`]: a server, or the queue of an upstream, whose slots
/// are places to wait in. Every word is changed atomically.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamState {
    /// Slots that are taken.
    pub connections: u64,
    /// Connects that got a slot within the limit.
    pub passed: u64,
    /// Connects that were refused.
    pub rejected: u64,
    /// Connects that dry run let through over the limit.
    pub rejected_dry_run: u64,
    /// Connects without memory to remember their slot: let through, and not counted.
    pub untracked: u64,
    /// Refusals, with dry run: for the budget of events.
    pub attempts: u64,
    /// [`Self::attempts`] at the last event.
    pub reported: u64,
    /// When that was, in ticks.
    pub last_event: u64,
    /// Slots of which nobody knows yet whether a SYN will be sent, by [`epoch`]: one word each, see
    /// [`note`].
    pub unconfirmed: [u64; EPOCHS],
    /// Of a server: tickets that were handed out in its line, see [`queue`].
    pub tickets: u64,
    /// Of a server: the first ticket that may still be in the line.
    pub head: u64,
    /// Of a queue: connects that waited for as long as they may, in vain.
    pub timed_out: u64,
    /// Of a queue: the longest that a connect has waited, ns.
    pub longest_wait_ns: u64,
}

impl UpstreamState {
    /// Connections, without the slots of connects that have failed before their SYN, and that nobody
    /// has given back yet. `now` is an [`epoch`].
    pub fn active(&self, now: u64) -> u64 {
        let words = self.unconfirmed.iter();
        let failed = words.filter(|word| is_over(**word, now));
        let failed: u64 = failed.map(|word| word & NUMBER).sum();
        self.connections.saturating_sub(failed)
    }
}

/// Value of the socket storage of a socket that has connected to a server.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Index plus one of the server whose slot the socket holds; 0: it holds none. Changed
    /// atomically, so that each slot is given back once.
    pub held: u64,
    /// Epoch plus one in which the slot was taken; 0: a SYN is being sent, or was, or the slot is not
    /// among [`UpstreamState::unconfirmed`].
    pub noted: u64,
    /// Not 0: the kernel tells of the end of this connection.
    pub is_followed: u64,
    /// Ticket plus one in the line of the server that is waited for; 0: in no line.
    pub ticket: u64,
    /// Index plus one of the server that is waited for, while the slot that is held is one of a queue;
    /// 0: none.
    pub awaited: u32,
    /// How long it may wait, ms; 0: it never waited, or is established.
    pub timeout_ms: u32,
    /// What the application has set as `TCP_USER_TIMEOUT`, ms, while [`Self::syn_retries`] is not 0.
    pub user_timeout_ms: u32,
    /// What it has set as `TCP_SYNCNT`, while both are set to wait; else 0.
    pub syn_retries: u32,
}

const _: () = assert!(size_of::<UpstreamKey>() == 24);
const _: () = assert!(size_of::<UpstreamServer>() == 20);
const _: () = assert!(size_of::<UpstreamState>() == 128);
const _: () = assert!(size_of::<Outgoing>() == 48);

/// Tries at the exchange before the slower way.
const TRIES: u32 = 16;

/// What came of [`take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether a slot was taken.
    pub is_taken: bool,
    /// Connections before that.
    pub before: u64,
}

/// Takes a slot unless `max` are taken. 0: there is no limit.
///
/// Limit and slot are one exchange, so no interleaving leads over the limit, and a refusal never
/// changes anything that another CPU could see. If others win sixteen times in a row, the slot is
/// taken first and given back if it was too many: never over the limit either, but whoever comes
/// between the two is refused by a connection that is refused itself.
#[inline(always)]
pub fn take(connections: impl Word, max: u32) -> Taken {
    if max == 0 {
        let before = connections.fetch_add(1);
        return Taken {
            is_taken: true,
            before,
        };
    }
    let max = u64::from(max);
    let mut before = connections.load();
    for _ in 0..TRIES {
        if before >= max {
            return Taken {
                is_taken: false,
                before,
            };
        }
        let found = connections.compare_exchange(before, before + 1);
        if found == before {
            return Taken {
                is_taken: true,
                before,
            };
        }
        before = found;
    }
    let before = connections.fetch_add(1);
    let is_taken = before < max;
    if !is_taken {
        connections.fetch_add(u64::MAX);
    }
    Taken { is_taken, before }
}

/// Words of [`UpstreamState::unconfirmed`].
pub const EPOCHS: usize = 4;
/// Bits of a word with the number of slots; above them is the epoch.
const NUMBER_BITS: u32 = 24;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

/// The epoch of a time in ns of `CLOCK_MONOTONIC`: about a second.
#[inline(always)]
pub const fn epoch(now_ns: u64) -> u64 {
    now_ns >> 30
}

/// Whether what stands in this word of [`UpstreamState::unconfirmed`] has failed for certain: it was
/// taken a second ago at the least, and between the hook and the SYN there is but one system call.
#[inline(always)]
const fn is_over(word: u64, now: u64) -> bool {
    (word >> NUMBER_BITS) + 2 <= now
}

/// Notes a slot that was taken in this epoch. What still stands in the word of four epochs ago is given
/// back to `connections`. `false`: others won every time, and it is not noted.
#[inline(always)]
pub fn note(word: impl Word, connections: impl Word, now: u64) -> bool {
    for _ in 0..TRIES {
        let found = word.load();
        let is_now = found >> NUMBER_BITS == now;
        if !is_now && !is_over(found, now) {
            // Of the future: this program has slept for long.
            return false;
        }
        let (new, failed) = if is_now {
            (found + 1, 0)
        } else {
            (now << NUMBER_BITS | 1, found & NUMBER)
        };
        if word.compare_exchange(found, new) == found {
            if failed != 0 {
                connections.fetch_add(0_u64.wrapping_sub(failed));
            }
            return true;
        }
    }
    false
}

/// Takes a slot out again that was noted in `epoch`. `false`: it was given up as failed, and is no slot
/// any more.
#[inline(always)]
pub fn withdraw(word: impl Word, epoch: u64) -> bool {
    for _ in 0..4 * TRIES {
        let found = word.load();
        if found >> NUMBER_BITS != epoch || found & NUMBER == 0 {
            return false;
        }
        if word.compare_exchange(found, found - 1) == found {
            return true;
        }
    }
    // It was of this epoch a moment ago, and is so for seconds.
    word.fetch_add(u64::MAX);
    true
}

/// Gives up what has failed for certain; how many slots that is, which the caller gives back.
#[inline(always)]
pub fn give_up(word: impl Word, now: u64) -> u64 {
    let found = word.load();
    let failed = found & NUMBER;
    if failed == 0 || !is_over(found, now) || word.compare_exchange(found, found - failed) != found
    {
        return 0;
    }
    failed
}

/// Takes out of a token what it holds: the index of a server, once, whoever asks at the same time.
#[inline(always)]
pub fn take_out(held: impl Word) -> Option<u32> {
    let value = held.load();
    if value == 0 || held.compare_exchange(value, 0) != value {
        return None;
    }
    Some((value - 1) as u32)
}

#[cfg(test)]
mod tests;
