//! `cgroup/connect4`, `cgroup/connect6`: counts outgoing connections to the servers of upstreams, and
//! refuses those that are too many. `cgroup/sock_release`: what no callback tells of.
//!
//! The kernel calls `connect4` and `connect6` with the socket locked, and only if it is closed: not
//! for a second connect() of a socket that connects already or listens (net/ipv4/af_inet.c,
//! __inet_stream_connect). sendto() with MSG_FASTOPEN comes the same way.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_addr, bpf_sock_addr__bindgen_ty_1 as SocketField},
    helpers::generated::bpf_set_retval,
};
use limiter_common::{
    addr::Addr,
    event::{
        Event, HOOK_CONNECT, REASON_LIMIT, REASON_NONE, STATUS_PASSED, STATUS_REJECTED,
        STATUS_REJECTED_DRY_RUN,
    },
    upstream::{Outgoing, Taken, UpstreamServer},
};

use crate::{
    context::load,
    maps::{
        events, outgoing,
        policy::{self, Policy},
        queue,
        upstreams::{self, State},
    },
    options,
};

/// What came of a connect().
pub enum Connect {
    /// To no server of an upstream, or not by TCP.
    NoUpstream,
    /// It holds a slot.
    WithinLimit,
    /// It holds a slot over the limit.
    DryRun,
    /// It holds a place in the queue.
    Waits,
    /// There is no memory to remember a slot.
    Untracked,
    /// The server has all its connections.
    Refused,
}

const IPPROTO_TCP: u32 = 6;
const ECONNREFUSED: i32 = 111;
/// include/net/tcp_states.h
const TCP_CLOSE: u32 = 7;

/// connect() to an IPv4 address.
#[inline(always)]
pub fn v4(ctx: *mut bpf_sock_addr) -> Connect {
    let word = load!(bpf_sock_addr, ctx, user_ip4);
    connect(ctx, Addr::from_v4_word(word))
}

/// connect() to an IPv6 address, also to an IPv4-mapped one.
#[inline(always)]
pub fn v6(ctx: *mut bpf_sock_addr) -> Connect {
    let addr = Addr::from_v6_words([
        load!(bpf_sock_addr, ctx, user_ip6, 0),
        load!(bpf_sock_addr, ctx, user_ip6, 1),
        load!(bpf_sock_addr, ctx, user_ip6, 2),
        load!(bpf_sock_addr, ctx, user_ip6, 3),
    ]);
    connect(ctx, addr)
}

/// A socket is closed for good. It is not locked: what is followed is left to its callbacks, which
/// may run now. What is not followed has no packets that could race with this.
#[inline(always)]
pub fn release(ctx: *mut bpf_sock) {
    // SAFETY: the context is a full socket.
    let Some(outgoing) = (unsafe { outgoing::find(ctx.cast()) }) else {
        return;
    };
    if outgoing.is_followed == 0 || load!(bpf_sock, ctx, state) == TCP_CLOSE {
        upstreams::give_back(outgoing);
    }
}

#[inline(always)]
fn connect(ctx: *mut bpf_sock_addr, addr: Addr) -> Connect {
    if load!(bpf_sock_addr, ctx, protocol) != IPPROTO_TCP {
        return Connect::NoUpstream;
    }
    let Some(socket) = socket(ctx) else {
        return Connect::NoUpstream;
    };
    // A connect() of this socket that failed before its SYN: it is closed, so that one is over.
    // SAFETY: a full socket, from the context.
    if let Some(outgoing) = unsafe { outgoing::find(socket) } {
        upstreams::give_back(outgoing);
        outgoing.is_followed = 0;
    }
    let Some(policy) = policy::in_force() else {
        return Connect::NoUpstream;
    };
    let addr = &reached(addr);
    // Network order, in the lower half of its word.
    let port = u16::from_be(load!(bpf_sock_addr, ctx, user_port) as u16);
    let server = match upstreams::find(policy, addr, port) {
        Some(server) => server,
        // The next policy counts already, and refuses nobody.
        None => match policy
            .next()
            .and_then(|next| upstreams::find(next, addr, port))
        {
            Some(next) => UpstreamServer {
                max_conns: 0,
                ..next
            },
            None => return Connect::NoUpstream,
        },
    };
    let Some(state) = upstreams::state(server.index.into()) else {
        return Connect::NoUpstream;
    };
    // First the memory, then the slot.
    // SAFETY: as above.
    let Some(outgoing) = (unsafe { outgoing::find_or_create(socket) }) else {
        state.untracked().add(1);
        return Connect::Untracked;
    };
    let max = if server.dry_run != 0 {
        0
    } else {
        server.max_conns
    };
    // Whoever waits is before whoever comes.
    let queues = max != 0 && server.queue_max != 0;
    let mut taken = Taken {
        is_taken: false,
        before: max.into(),
    };
    if !queues || queue::is_empty(state) {
        let Some((_, charged)) = upstreams::charge(server.index.into(), max, outgoing) else {
            return Connect::NoUpstream;
        };
        taken = charged;
    }
    if !taken.is_taken && queues && wait(ctx, server, outgoing) {
        return Connect::Waits;
    }
    let outcome = if !taken.is_taken {
        state.rejected().add(1);
        // SAFETY: a number.
        unsafe { bpf_set_retval(-ECONNREFUSED) };
        Connect::Refused
    } else if server.max_conns != 0 && taken.before >= server.max_conns.into() {
        state.rejected_dry_run().add(1);
        expect_syn(ctx, outgoing);
        Connect::DryRun
    } else {
        state.passed().add(1);
        expect_syn(ctx, outgoing);
        Connect::WithinLimit
    };
    report(policy, server, state, taken, &outcome, addr, port);
    outcome
}

/// Has the socket wait for a slot, if there is a place in the queue.
#[inline(always)]
fn wait(ctx: *mut bpf_sock_addr, server: UpstreamServer, outgoing: &mut Outgoing) -> bool {
    let charged = upstreams::charge(server.queue.into(), server.queue_max, outgoing);
    let Some((queue, taken)) = charged else {
        return false;
    };
    if !taken.is_taken {
        queue.rejected().add(1);
        return false;
    }
    outgoing.awaited = u32::from(server.index) + 1;
    outgoing.timeout_ms = server.queue_timeout_ms;
    expect_syn(ctx, outgoing);
    true
}

/// Where a connect() to the unspecified address leads: to this machine (net/ipv4/route.c,
/// ip_route_output_key_hash_rcu; net/ipv6/tcp_ipv6.c, tcp_v6_connect).
#[inline(always)]
fn reached(addr: Addr) -> Addr {
    if addr == Addr::UNSPECIFIED_V4 {
        Addr::from_v4_word(0x7f00_0001_u32.to_be())
    } else if addr == Addr::UNSPECIFIED {
        Addr::from_v6_words([0, 0, 0, 1_u32.to_be()])
    } else {
        addr
    }
}

/// The socket.
#[inline(always)]
fn socket(ctx: *mut bpf_sock_addr) -> Option<*mut c_void> {
    // SAFETY: the kernel gives a valid context.
    let field: *const SocketField = unsafe { &raw const (*ctx).__bindgen_anon_1 };
    // SAFETY: the verifier makes this load a pointer to the socket.
    let socket = unsafe { field.cast::<*mut bpf_sock>().read_volatile() };
    (!socket.is_null()).then_some(socket.cast())
}

/// Asks for the callbacks of this socket before its first change of state, so that a connect() that
/// finds no free port is told of, too; then a slot without such a change can be given up. Before Linux
/// 6.12 the SYN is when it is asked for, and what fails before is given back as the socket is closed or
/// used again.
#[inline(always)]
fn expect_syn(ctx: *mut bpf_sock_addr, outgoing: &mut Outgoing) {
    if options::watch_state(ctx.cast()) {
        upstreams::expect_syn(outgoing);
    }
}

/// Sends an event, if a budget gives leave.
#[inline(always)]
fn report(
    policy: Policy,
    server: UpstreamServer,
    state: State,
    taken: Taken,
    outcome: &Connect,
    addr: &Addr,
    port: u16,
) {
    let status = match outcome {
        Connect::Refused => STATUS_REJECTED,
        Connect::DryRun => STATUS_REJECTED_DRY_RUN,
        Connect::WithinLimit if policy.report_passed => STATUS_PASSED,
        _ => return,
    };
    let leave = if status == STATUS_PASSED {
        events::leave_for_passed(policy)
    } else {
        events::leave_for_upstream(state, policy)
    };
    let Some(leave) = leave else { return };
    let mut event = Event {
        remote: *addr,
        local: addr.unspecified(),
        connections: (taken.before + u64::from(taken.is_taken)) as u32,
        limit: server.max_conns,
        remote_port: port,
        zone: u16::MAX,
        server: server.index,
        status,
        reason: if status == STATUS_PASSED {
            REASON_NONE
        } else {
            REASON_LIMIT
        },
        hook: HOOK_CONNECT,
        ..Event::default()
    };
    events::send(leave, &mut event);
}
