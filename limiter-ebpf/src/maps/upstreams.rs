//! The servers of upstreams: what the policy says of them, and how many connections each has.
//!
//! Elements of an array stay where they are, and the daemon gives an index to another server only
//! when no socket holds a slot of it. So a token needs no generation.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    admission::Word as _,
    upstream::{
        self, EPOCHS, MAX_UPSTREAM_INDICES, MAX_UPSTREAM_SERVERS, Outgoing, Taken, UpstreamKey,
        UpstreamServer, UpstreamState, epoch, give_up, note, take_out, withdraw,
    },
};

use crate::{
    atomic::AtomicWord,
    clock::now_ns,
    maps::{policy::Policy, queue},
};

#[btf_map]
static UPSTREAMS: HashMap<
    UpstreamKey,
    UpstreamServer,
    { 2 * MAX_UPSTREAM_SERVERS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

#[btf_map]
static UPSTREAM_STATES: Array<UpstreamState, { MAX_UPSTREAM_INDICES as usize }> = Array::new();

/// The server at this address and port.
#[inline(always)]
pub fn find(policy: Policy, addr: &Addr, port: u16) -> Option<UpstreamServer> {
    let key = UpstreamKey {
        addr: *addr,
        half: policy.half,
        port: port.into(),
    };
    // SAFETY: the daemon writes only the half that is not in force.
    unsafe { UPSTREAMS.get(key) }.copied()
}

/// Has the socket hold a slot of the server, unless `max` are taken; 0: in any case.
#[inline(always)]
pub fn charge(index: u32, max: u32, outgoing: &mut Outgoing) -> Option<(State, Taken)> {
    let state = state(index)?;
    let word = limiter_take_outgoing(index, max);
    let taken = Taken {
        is_taken: word & TAKEN != 0,
        before: word & !TAKEN,
    };
    if taken.is_taken {
        outgoing.held = u64::from(index) + 1;
    }
    Some((state, taken))
}

/// Takes a slot for somebody who waits, unless `max` are taken; 0: in any case.
#[inline(always)]
pub fn take(index: u32, max: u32) -> bool {
    limiter_take_outgoing(index, max) & TAKEN != 0
}

/// In the word that [`limiter_take_outgoing`] returns, beside the number of connections.
const TAKEN: u64 = 1 << 63;

/// A global function, as those below: they loop.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_take_outgoing(index: u32, max: u32) -> u64 {
    let Some(state) = state(index) else { return 0 };
    let mut taken = upstream::take(state.connections(), max);
    if !taken.is_taken && give_up_failed(state) {
        taken = upstream::take(state.connections(), max);
    }
    if taken.is_taken {
        taken.before | TAKEN
    } else {
        taken.before
    }
}

/// Gives back what the socket holds, if it does.
#[inline(always)]
pub fn give_back(outgoing: &mut Outgoing) {
    limiter_give_back(outgoing);
}

/// A SYN may never be sent: what is not confirmed soon is given back by whoever comes next.
#[inline(always)]
pub fn expect_syn(outgoing: &mut Outgoing) {
    limiter_expect_syn(outgoing);
}

/// A SYN is about to be sent.
#[inline(always)]
pub fn confirm(outgoing: &mut Outgoing) {
    limiter_confirm(outgoing);
}

/// A global function, see [`crate::charge`], as those below: they loop.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_give_back(outgoing: *mut Outgoing) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to such a value or null.
    let Some(outgoing) = (unsafe { outgoing.as_mut() }) else {
        return 0;
    };
    // What it waited for, it waits for no longer, or has.
    queue::leave(outgoing);
    // SAFETY: an aligned word of a map value.
    let held = unsafe { AtomicWord::new(&raw mut outgoing.held) };
    if let Some(index) = take_out(held)
        && let Some(state) = state(index)
        && is_still_held(state, outgoing)
    {
        state.connections().fetch_add(u64::MAX);
        queue::admit(index);
    }
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_expect_syn(outgoing: *mut Outgoing) -> u32 {
    // SAFETY: as above.
    let Some(outgoing) = (unsafe { outgoing.as_mut() }) else {
        return 0;
    };
    let now = epoch(now_ns());
    if outgoing.held != 0
        && let Some(state) = state((outgoing.held - 1) as u32)
        && note(state.unconfirmed(now), state.connections(), now)
    {
        outgoing.noted = now + 1;
    }
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_confirm(outgoing: *mut Outgoing) -> u32 {
    // SAFETY: as above.
    let Some(outgoing) = (unsafe { outgoing.as_mut() }) else {
        return 0;
    };
    if outgoing.held != 0
        && outgoing.noted != 0
        && let Some(state) = state((outgoing.held - 1) as u32)
        && !is_still_held(state, outgoing)
    {
        // Given up too early: the system call has taken seconds.
        state.connections().add(1);
    }
    1
}

/// Whether nobody has given the slot up as that of a failed connect(). Nobody will from here on.
#[inline(always)]
fn is_still_held(state: State, outgoing: &mut Outgoing) -> bool {
    let noted = outgoing.noted;
    outgoing.noted = 0;
    noted == 0 || withdraw(state.unconfirmed(noted - 1), noted - 1)
}

/// Gives back the slots of connects that have failed before their SYN. `false`: there are none.
#[inline(always)]
fn give_up_failed(state: State) -> bool {
    let now = epoch(now_ns());
    let mut failed = 0;
    for place in 0..EPOCHS as u64 {
        failed += give_up(state.unconfirmed(place), now);
    }
    if failed != 0 {
        state.connections().add(0_u64.wrapping_sub(failed));
    }
    failed != 0
}

/// What is counted of one server.
#[derive(Clone, Copy)]
pub struct State(*mut UpstreamState);

/// Of the server with this index.
#[inline(always)]
pub fn state(index: u32) -> Option<State> {
    UPSTREAM_STATES.get_ptr_mut(index).map(State)
}

impl State {
    /// The word of [`UpstreamState::unconfirmed`] for this epoch.
    #[inline(always)]
    fn unconfirmed(self, epoch: u64) -> AtomicWord {
        // SAFETY: as below; the place is within the array.
        unsafe {
            let words = (&raw mut (*self.0).unconfirmed).cast::<u64>();
            AtomicWord::new(words.add(epoch as usize & (EPOCHS - 1)))
        }
    }
}

macro_rules! words {
    ($($field:ident)*) => {
        impl State {
            $(
                #[doc = concat!("[`UpstreamState::", stringify!($field), "`]")]
                #[inline(always)]
                pub fn $field(self) -> AtomicWord {
                    // SAFETY: the pointer comes from the map's look-up; an aligned word.
                    unsafe { AtomicWord::new(&raw mut (*self.0).$field) }
                }
            )*
        }
    };
}

words! {
    connections passed rejected rejected_dry_run untracked attempts reported last_event
    tickets head timed_out longest_wait_ns
}
