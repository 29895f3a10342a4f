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
    upstream::{
        MAX_UPSTREAM_INDICES, MAX_UPSTREAM_SERVERS, Outgoing, Taken, UpstreamKey, UpstreamServer,
        UpstreamState, take, take_out,
    },
};

use crate::{atomic::AtomicWord, maps::policy::Policy};

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
    let taken = take(state.connections(), max);
    if taken.is_taken {
        outgoing.held = u64::from(index) + 1;
    }
    Some((state, taken))
}

/// Gives back what the socket holds, if it does.
#[inline(always)]
pub fn give_back(outgoing: &mut Outgoing) {
    // SAFETY: an aligned word of a map value.
    let held = unsafe { AtomicWord::new(&raw mut outgoing.held) };
    if let Some(index) = take_out(held)
        && let Some(state) = state(index)
    {
        state.connections().add(u64::MAX);
    }
}

/// What is counted of one server.
#[derive(Clone, Copy)]
pub struct State(*mut UpstreamState);

/// Of the server with this index.
#[inline(always)]
pub fn state(index: u32) -> Option<State> {
    UPSTREAM_STATES.get_ptr_mut(index).map(State)
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

words! { connections passed rejected rejected_dry_run untracked attempts reported last_event }
