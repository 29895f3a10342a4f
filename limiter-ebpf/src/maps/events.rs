//! The rings to the daemon, and the budgets that keep a flood out of them.
//!
//! What passes and closes has a budget of its own, and half of the ring: however much of it there is,
//! refusals are not lost for it.

use aya_ebpf::{
    bindings::BPF_RB_AVAIL_DATA,
    btf_maps::{Array, PerCpuArray, RingBuf},
    helpers::generated::bpf_ringbuf_query,
    macros::btf_map,
};
use limiter_common::{
    admission::Word,
    counters::{EVENTS_PER_SECOND_PER_CPU, EventCounters},
    event::{EVENT_NUMBER, Event, Excess, NUMBERS},
    hash::{finish, mix},
    key::ZoneKey,
    refusals::{self, Moment},
};

use crate::{
    atomic::AtomicWord,
    clock::{now_ns, ticks},
    maps::{policy::Policy, tallies, upstreams::State, zones::Entry},
};

#[btf_map]
static EVENTS: RingBuf<Event, { RING_BYTES as usize }> = RingBuf::new();

const RING_BYTES: u64 = 1 << 20;

#[btf_map]
static EVENT_NUMBERS: Array<u64, NUMBERS> = Array::new();

#[btf_map]
static EXCESS: RingBuf<Excess, { 1 << 16 }> = RingBuf::new();

#[btf_map]
static EVENT_COUNTERS: PerCpuArray<EventCounters, 1> = PerCpuArray::new();

#[btf_map]
static EXHAUSTED_BUDGET: Array<Budget, BUDGET_SLOTS> = Array::new();

const BUDGET_SLOTS: usize = 16_384;

/// Event budget of a key that has no entry.
#[repr(C)]
struct Budget {
    /// Hash of the key.
    tag: u64,
    /// Ticks.
    last_event: u64,
    suppressed: u64,
}

/// Leave to send one event.
pub struct Leave {
    /// Refusals of the key since its last event.
    pub suppressed: u64,
}

/// Asks for an event about a refusal of this entry's key: one a key and second, within the budget
/// of this CPU. A refusal without leave is counted as suppressed. `key` is that of the entry, in the zone at
/// the index `zone`.
#[inline(always)]
pub fn leave_for_entry(entry: Entry, zone: u16, key: &ZoneKey, policy: Policy) -> Option<Leave> {
    let before = refusals::count(entry.refusals());
    let counters = counters()?;
    let now = ticks();
    let moment = Moment::of(now);
    let granted = before.last_event.is_past(moment, policy.ticks_per_second)
        && take_from_cpu_budget(refused(counters), now, policy)
        && refusals::claim(entry.refusals(), before.last_event, moment);
    if !granted {
        suppressed(counters);
        return None;
    }
    Some(Leave {
        suppressed: refusals::tell(entry.reported(), before, tallies::gather(zone, key)),
    })
}

/// The same for a server of an upstream.
#[inline(always)]
pub fn leave_for_upstream(state: State, policy: Policy) -> Option<Leave> {
    let refused_before = state.attempts().fetch_add(1);
    let (last_event, reported) = (state.last_event(), state.reported());
    let now = ticks();
    let counters = counters()?;
    let last = last_event.load();
    let granted = now.saturating_sub(last) >= policy.ticks_per_second
        && take_from_cpu_budget(refused(counters), now, policy)
        && last_event.compare_exchange(last, now) == last;
    if !granted {
        suppressed(counters);
        return None;
    }
    let told = reported.load();
    reported.compare_exchange(told, refused_before + 1);
    Some(Leave {
        suppressed: refused_before.saturating_sub(told),
    })
}

/// The same for a key that has no entry because its zone is full. Two keys that share a slot take
/// turns in it.
#[inline(always)]
pub fn leave_for_exhausted(zone: u16, key: &ZoneKey, policy: Policy) -> Option<Leave> {
    let now = ticks();
    let counters = counters()?;
    let tag = tag(zone, key, policy.seed);
    let budget = EXHAUSTED_BUDGET.get_ptr_mut(tag as u32 & (BUDGET_SLOTS as u32 - 1))?;
    // SAFETY: aligned words of a map value. Racing writers can only make an event more or less.
    unsafe {
        let same = (*budget).tag == tag;
        if same && now.saturating_sub((*budget).last_event) < policy.ticks_per_second
            || !take_from_cpu_budget(refused(counters), now, policy)
        {
            if same {
                AtomicWord::new(&raw mut (*budget).suppressed).add(1);
            }
            suppressed(counters);
            return None;
        }
        let leave = Leave {
            suppressed: if same { (*budget).suppressed } else { 0 },
        };
        (*budget).tag = tag;
        (*budget).last_event = now;
        (*budget).suppressed = 0;
        Some(leave)
    }
}

/// Asks for an event about a connection that has passed or closed.
#[inline(always)]
pub fn leave_for_passed(policy: Policy) -> Option<Leave> {
    let counters = counters()?;
    if take_from_cpu_budget(passed(counters), ticks(), policy) && unread_bytes() < RING_BYTES / 2 {
        Some(Leave { suppressed: 0 })
    } else {
        suppressed(counters);
        None
    }
}

/// Bytes in the ring that the daemon has not read.
#[inline(always)]
fn unread_bytes() -> u64 {
    let ring = (&raw const EVENTS).cast_mut().cast();
    // SAFETY: a ring.
    unsafe { bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA.into()) }
}

/// Sends an event. A full ring is counted.
#[inline(always)]
pub fn send(leave: Leave, event: &mut Event) {
    let Some(counters) = counters() else { return };
    event.time_ns = now_ns();
    event.suppressed = leave.suppressed;
    event.number = next_number();
    let event: &Event = event;
    // SAFETY: the counters are aligned words of a map value.
    unsafe {
        if EVENTS.output(event, 0).is_ok() {
            AtomicWord::new(&raw mut (*counters).sent).add(1);
        } else {
            AtomicWord::new(&raw mut (*counters).lost).add(1);
        }
    }
}

/// Hands a connection to the daemon for destruction. A full ring is counted as a lost event.
#[inline(always)]
pub fn send_excess(excess: &Excess) {
    if EXCESS.output(excess, 0).is_err()
        && let Some(counters) = counters()
    {
        // SAFETY: an aligned word of a map value.
        unsafe { AtomicWord::new(&raw mut (*counters).lost) }.add(1);
    }
}

/// Counts a refusal that nobody is to be told of.
#[inline(always)]
pub fn suppress() {
    if let Some(counters) = counters() {
        suppressed(counters);
    }
}

#[inline(always)]
fn counters() -> Option<*mut EventCounters> {
    EVENT_COUNTERS.get_ptr_mut(0)
}

#[inline(always)]
fn suppressed(counters: *mut EventCounters) {
    // SAFETY: an aligned word of a map value.
    unsafe { AtomicWord::new(&raw mut (*counters).suppressed) }.add(1);
}

/// Taken before the event is put into the ring, so that two CPUs may do so in another order.
#[inline(always)]
fn next_number() -> u64 {
    // SAFETY: an aligned word of a map value.
    EVENT_NUMBERS
        .get_ptr_mut(EVENT_NUMBER)
        .map_or(0, |word| unsafe { AtomicWord::new(word) }.fetch_add(1) + 1)
}

/// Where the window of a budget begins, and what was sent in it.
struct Window {
    start: *mut u64,
    sent: *mut u64,
}

#[inline(always)]
fn refused(counters: *mut EventCounters) -> Window {
    // SAFETY: fields of a map value.
    unsafe {
        Window {
            start: &raw mut (*counters).window_start,
            sent: &raw mut (*counters).window_sent,
        }
    }
}

#[inline(always)]
fn passed(counters: *mut EventCounters) -> Window {
    // SAFETY: as above.
    unsafe {
        Window {
            start: &raw mut (*counters).passed_window_start,
            sent: &raw mut (*counters).passed_window_sent,
        }
    }
}

/// A fixed window. It is not atomic: an interruption in between can only let a few more through.
#[inline(always)]
fn take_from_cpu_budget(window: Window, now: u64, policy: Policy) -> bool {
    let Window { start, sent } = window;
    // SAFETY: aligned words of a map value of this CPU.
    unsafe {
        if now.saturating_sub(*start) >= policy.ticks_per_second {
            *start = now;
            *sent = 0;
        }
        if *sent >= EVENTS_PER_SECOND_PER_CPU {
            return false;
        }
        *sent += 1;
    }
    true
}

#[inline(always)]
fn tag(zone: u16, key: &ZoneKey, seed: u64) -> u64 {
    finish(mix(key.hash(seed), zone.into())) | 1 << 63
}
