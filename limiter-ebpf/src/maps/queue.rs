//! The lines of connects that wait for a slot of a server, see [`limiter_common::upstream::queue`].

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, RingBuf},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    admission::Word,
    event::{Event, HOOK_CONNECT, REASON_TIMEOUT, STATUS_REJECTED},
    upstream::{
        Outgoing,
        queue::{ADMITTED, LEFT, MAX_WAITING_CONNECTS, TicketKey, WAITING, Waiting, word},
    },
};

use crate::{
    atomic::AtomicWord,
    clock::now_ns,
    maps::{
        events, policy,
        upstreams::{self, State},
    },
};

#[btf_map]
static CONNECT_QUEUE: HashMap<
    TicketKey,
    Waiting,
    { MAX_WAITING_CONNECTS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

#[btf_map]
static HELD_SYNS: RingBuf<Waiting, { 1 << 19 }> = RingBuf::new();

/// How often somebody else may take the ticket that one wants.
const TRIES: u32 = 8;
/// How many tickets are passed over at once, at the most. The next one goes on from there.
const STEPS: u32 = 64;

/// Whether nobody is in the line.
#[inline(always)]
pub fn is_empty(state: State) -> bool {
    state.head().load() >= state.tickets().load()
}

/// Joins the line of the server that the socket waits for. `false`: there is no memory, or others were
/// quicker every time; to be tried again.
#[inline(always)]
pub fn join(waiting: &mut Waiting, outgoing: &mut Outgoing) -> bool {
    let server = outgoing.awaited.wrapping_sub(1);
    let Some(state) = upstreams::state(server) else {
        return false;
    };
    for _ in 0..TRIES {
        let key = TicketKey {
            ticket: state.tickets().load(),
            server: server.into(),
        };
        waiting.state = word(&key, WAITING);
        let entry: &Waiting = waiting;
        let is_mine = CONNECT_QUEUE.insert(key, entry, BPF_NOEXIST.into()).is_ok();
        // Whoever has it may not have said so yet.
        let found = state.tickets().compare_exchange(key.ticket, key.ticket + 1);
        if !is_mine {
            continue;
        }
        outgoing.ticket = key.ticket + 1;
        if found == key.ticket {
            return true;
        }
        // Somebody else has counted on: because of this one, or of one that had the ticket before and
        // has left. In that case nobody would ever come by here.
        if !leave_line(outgoing) {
            return true;
        }
    }
    false
}

/// What the socket has come to.
pub enum Place {
    /// In the line, or on the way to it.
    Waits,
    /// It has been given a slot.
    Admitted,
}

/// Where the socket is.
#[inline(always)]
pub fn place(outgoing: &Outgoing) -> Place {
    match find(outgoing) {
        Some((key, waiting)) if state_of(waiting).load() == word(&key, ADMITTED) => Place::Admitted,
        _ => Place::Waits,
    }
}

/// The ticket of a socket that has one.
#[inline(always)]
fn ticket(outgoing: &Outgoing) -> TicketKey {
    TicketKey {
        ticket: outgoing.ticket - 1,
        server: outgoing.awaited.wrapping_sub(1).into(),
    }
}

/// The entry of the socket, if it is in a line.
#[inline(always)]
pub fn find(outgoing: &Outgoing) -> Option<(TicketKey, *mut Waiting)> {
    if outgoing.ticket == 0 {
        return None;
    }
    let key = ticket(outgoing);
    CONNECT_QUEUE.get_ptr_mut(key).map(|waiting| (key, waiting))
}

/// Has a socket that has been admitted hold the slot of the server instead of that of the queue, which
/// whoever admitted it has given back. To be called for a socket that has been.
#[inline(always)]
pub fn take_slot(outgoing: &mut Outgoing) {
    let key = ticket(outgoing);
    outgoing.held = outgoing.awaited.into();
    outgoing.ticket = 0;
    outgoing.awaited = 0;
    // It was there; whether it still is changes nothing.
    let _ = CONNECT_QUEUE.remove(key);
}

/// Takes the socket out of the line. `false`: it has been admitted meanwhile, and stays there.
#[inline(always)]
fn leave_line(outgoing: &mut Outgoing) -> bool {
    if let Some((key, waiting)) = find(outgoing) {
        let waits = word(&key, WAITING);
        if state_of(waiting).compare_exchange(waits, word(&key, LEFT)) != waits {
            return false;
        }
        let _ = CONNECT_QUEUE.remove(key);
    }
    outgoing.ticket = 0;
    true
}

/// Takes the socket out of the line as it ends. What it holds then is to be given back.
#[inline(always)]
pub fn leave(outgoing: &mut Outgoing) {
    if outgoing.awaited == 0 {
        return;
    }
    // SAFETY: written before it was put into the map.
    let waiting = find(outgoing).map(|(_, waiting)| unsafe { &*waiting });
    let since_ns = waiting.map_or(0, |waiting| waiting.since_ns);
    let (addr, port) = waiting.map_or((Addr::default(), 0), |waiting| {
        (waiting.connection.remote, waiting.connection.remote_port)
    });
    let server = outgoing.awaited - 1;
    if !leave_line(outgoing) {
        take_slot(outgoing);
        return;
    }
    outgoing.awaited = 0;
    if since_ns != 0
        && outgoing.held != 0
        && let Some(queue) = upstreams::state((outgoing.held - 1) as u32)
    {
        let waited_ns = now_ns().saturating_sub(since_ns);
        keep_longest(queue, waited_ns);
        // 0: it was established all the same, because nothing held its SYN.
        if outgoing.timeout_ms != 0 && waited_ns >= u64::from(outgoing.timeout_ms) * 1_000_000 {
            queue.timed_out().add(1);
            report_timeout(queue, server, addr, port);
        }
    }
}

/// Sends an event about a connect that has waited in vain, if a budget gives leave.
#[inline(always)]
fn report_timeout(queue: State, server: u32, addr: Addr, port: u16) {
    let Some(policy) = policy::in_force() else {
        return;
    };
    let Some(leave) = events::leave_for_upstream(queue, policy) else {
        return;
    };
    let connections = upstreams::state(server).map_or(0, |state| state.connections().load());
    let mut event = Event {
        remote: addr,
        local: addr.unspecified(),
        connections: connections as u32,
        limit: limit(server, &addr, port),
        remote_port: port,
        zone: u16::MAX,
        server: server as u16,
        status: STATUS_REJECTED,
        reason: REASON_TIMEOUT,
        hook: HOOK_CONNECT,
        ..Event::default()
    };
    events::send(leave, &mut event);
}

/// Gives free slots of the server to those who wait for one, in the order in which they came.
#[inline(always)]
pub fn admit(server: u32) {
    if let Some(state) = upstreams::state(server)
        && !is_empty(state)
    {
        limiter_admit(server);
    }
}

/// A global function, see [`crate::charge`]: it loops.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_admit(server: u32) -> u32 {
    let Some(state) = upstreams::state(server) else {
        return 0;
    };
    for _ in 0..STEPS {
        let ticket = state.head().load();
        if ticket >= state.tickets().load() {
            break;
        }
        let key = TicketKey {
            ticket,
            server: server.into(),
        };
        if let Some(waiting) = CONNECT_QUEUE.get_ptr_mut(key)
            && state_of(waiting).load() == word(&key, WAITING)
        {
            // SAFETY: written before it was put into the map.
            let (addr, port) = unsafe {
                (
                    &(*waiting).connection.remote,
                    (*waiting).connection.remote_port,
                )
            };
            let max = limit(server, addr, port);
            if !upstreams::take(server, max) {
                break;
            }
            // SAFETY: as above. If the exchange succeeds, this is still that of the ticket.
            let (queue, since_ns) = unsafe { ((*waiting).queue, (*waiting).since_ns) };
            let waits = word(&key, WAITING);
            if state_of(waiting).compare_exchange(waits, word(&key, ADMITTED)) == waits {
                admitted(state, queue, since_ns);
                send(&key, waiting);
            } else {
                // It has left.
                state.connections().add(u64::MAX);
            }
        }
        // Its turn is over, whoever has seen to that.
        state.head().compare_exchange(ticket, ticket + 1);
    }
    0
}

/// How many connections the server may have now. 0: as many as want to.
#[inline(always)]
fn limit(server: u32, addr: &Addr, port: u16) -> u32 {
    match policy::in_force().and_then(|policy| upstreams::find(policy, addr, port)) {
        Some(found) if u32::from(found.index) == server && found.dry_run == 0 => found.max_conns,
        _ => 0,
    }
}

/// One that waited has a slot: its place is free.
#[inline(always)]
fn admitted(state: State, queue: u32, since_ns: u64) {
    state.passed().add(1);
    if let Some(queue) = upstreams::state(queue) {
        queue.connections().add(u64::MAX);
        queue.passed().add(1);
        keep_longest(queue, now_ns().saturating_sub(since_ns));
    }
}

/// Has the daemon send the SYN that was held back. Without it, or if it has much to do, the kernel sends
/// it again by itself.
#[inline(always)]
fn send(key: &TicketKey, waiting: *mut Waiting) {
    // SAFETY: an aligned word of a map value. Its owner writes it before it looks at the state.
    let held = unsafe { AtomicWord::new(&raw mut (*waiting).held_ns) };
    if held.load() == 0 {
        return;
    }
    let Some(mut record) = HELD_SYNS.reserve(0) else {
        return;
    };
    // SAFETY: an entry of the map, and room for as much.
    unsafe { record.as_mut_ptr().copy_from_nonoverlapping(waiting, 1) };
    // Its owner may have gone on without us, and its memory be that of another connect, which has no slot.
    // An exchange, because it has to come after the copy.
    let is_still = word(key, ADMITTED);
    if state_of(waiting).compare_exchange(is_still, is_still) == is_still {
        record.submit(0);
    } else {
        record.discard(0);
    }
}

/// Keeps the longest of these times.
#[inline(always)]
fn keep_longest(queue: State, waited_ns: u64) {
    for _ in 0..4 {
        let longest = queue.longest_wait_ns().load();
        if waited_ns <= longest
            || queue.longest_wait_ns().compare_exchange(longest, waited_ns) == longest
        {
            return;
        }
    }
}

/// The word of [`Waiting::state`].
#[inline(always)]
fn state_of(waiting: *mut Waiting) -> AtomicWord {
    // SAFETY: an aligned word of a map value.
    unsafe { AtomicWord::new(&raw mut (*waiting).state) }
}
