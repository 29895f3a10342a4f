//! `sock_ops`: counts a connection from establishment to close.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
        BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_SOCK_OPS_TCP_LISTEN_CB, bpf_sock_ops,
    },
    helpers::{bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set},
};
use limiter_common::{event::Excess, key::Connection, policy::ServerPolicy, token::Token};

use super::{audit, outgoing};
use crate::{
    charge,
    clock::now_ns,
    context::{load, load_addresses},
    debug,
    maps::{
        counters, events, listening, networks,
        policy::{self, Policy},
        tokens, waiters,
    },
    report,
};

/// include/net/tcp_states.h
const TCP_CLOSE: u32 = 7;
/// The same.
const TCP_ESTABLISHED: u32 = 1;
/// The same.
const TCP_SYN_SENT: u32 = 2;

/// Follows one operation of a socket.
#[inline(always)]
pub fn operation(ctx: *mut bpf_sock_ops) {
    // SAFETY: the kernel gives a valid context; its fields are read one by one, each in its own
    // width, as the verifier wants it.
    match unsafe { (&raw const (*ctx).op).read_volatile() } {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ctx),
        BPF_SOCK_OPS_STATE_CB => match new_state(ctx) {
            TCP_CLOSE => closed(ctx),
            TCP_SYN_SENT => outgoing::connects(ctx),
            TCP_ESTABLISHED if old_state(ctx) == TCP_SYN_SENT => outgoing::is_connected(ctx),
            _ => {}
        },
        BPF_SOCK_OPS_TCP_CONNECT_CB => outgoing::sends_syn(ctx),
        BPF_SOCK_OPS_RTO_CB => outgoing::retries(ctx),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => outgoing::begins(ctx),
        BPF_SOCK_OPS_TCP_LISTEN_CB => listens(ctx),
        _ => {}
    }
}

/// Whether a change of state is the one to closed.
#[inline(always)]
pub fn has_closed(ctx: *mut bpf_sock_ops) -> bool {
    new_state(ctx) == TCP_CLOSE
}

/// The state that comes, in a callback about states.
#[inline(always)]
fn new_state(ctx: *mut bpf_sock_ops) -> u32 {
    // SAFETY: as in `operation`.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.args[1]).read_volatile() }
}

/// The state that ends, in a callback about states.
#[inline(always)]
fn old_state(ctx: *mut bpf_sock_ops) -> u32 {
    // SAFETY: as in `operation`.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.args[0]).read_volatile() }
}

/// The socket, if it is a full one.
#[inline(always)]
pub fn socket(ctx: *mut bpf_sock_ops) -> Option<*mut c_void> {
    // SAFETY: as in `operation`.
    let socket = unsafe { (&raw const (*ctx).__bindgen_anon_2.sk).read_volatile() };
    (!socket.is_null()).then_some(socket.cast())
}

#[inline(always)]
fn listens(ctx: *mut bpf_sock_ops) {
    let port = load!(bpf_sock_ops, ctx, local_port) as u16;
    if policy::in_force().is_some_and(|policy| policy.knows_port(port)) {
        listening::is_new(port);
    }
}

#[inline(always)]
fn established(ctx: *mut bpf_sock_ops) {
    let Some(policy) = policy::in_force() else {
        return;
    };
    if has_connected(ctx) {
        return;
    }
    let connection = connection(ctx);
    let server = server(policy, &connection);
    // While the policy changes, the next one counts already, and refuses nobody.
    let next = policy
        .next()
        .and_then(|next| networks::counts_at(next, &connection));
    let Some(first) = server.or(next) else { return };
    let Some(socket) = socket(ctx) else { return };
    // SAFETY: a full socket, from the context.
    if unsafe { waiters::find(socket) }.is_some() {
        // Refused, and accepted by the daemon. The action may be another one by now.
        return;
    }
    // First the memory, then the charge: a charge that nothing remembers would never be released.
    // SAFETY: a full socket, from the context.
    let Some(token) = (unsafe { tokens::find_or_create(socket) }) else {
        if let Some(counters) = counters::of_zone(first.limits[0].zone) {
            counters.untracked();
        }
        return;
    };
    if token.is_counted != 0 {
        return;
    }
    token.connection = connection;
    audit::starts(policy, token);
    token.is_counted = 1;
    token.opened_ns = now_ns();
    watch(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
    if let Some(server) = server {
        let admission = charge::established(server, token);
        debug::established(&connection, server.index, admission.connections);
        if admission.is_refused || policy.report_passed {
            report::established(server, &connection, admission);
        }
        if admission.is_refused && server.dry_run == 0 {
            token.flags = Token::EXCESS;
            hand_over(ctx, &connection);
            return;
        }
    }
    if let Some(next) = next {
        charge::cover(next, token);
    }
    audit::counts(policy, token);
}

/// Whether the socket has connected, and the other end to it at the same moment (RFC 9293 §3.5,
/// figure 8): then nobody listens, but the kernel makes the same callback (net/ipv4/tcp_input.c,
/// tcp_rcv_state_process, TCP_SYN_RECV). Such a socket has sent its SYN; what comes from a listener
/// has sent nothing by itself yet, because the SYN-ACK is the request's.
#[inline(always)]
fn has_connected(ctx: *mut bpf_sock_ops) -> bool {
    load!(bpf_sock_ops, ctx, segs_out) != 0
}

/// The server that counts the connection.
#[inline(always)]
fn server(policy: Policy, connection: &Connection) -> Option<&'static ServerPolicy> {
    let server = policy.limits_at(&connection.local, connection.local_port)?;
    if networks::is_exempt(server, &connection.remote) {
        charge::skipped(server);
        return None;
    }
    Some(server)
}

/// Asks for callbacks, and keeps what other programs have asked for.
#[inline(always)]
pub fn watch(ctx: *mut bpf_sock_ops, callbacks: u32) {
    // SAFETY: as in `operation`.
    unsafe {
        let flags = (&raw const (*ctx).bpf_sock_ops_cb_flags).read_volatile();
        bpf_sock_ops_cb_flags_set(ctx, (flags | callbacks) as i32);
    }
}

/// Hands a connection that was established in spite of a limit to the daemon for destruction.
#[inline(always)]
fn hand_over(ctx: *mut bpf_sock_ops, connection: &Connection) {
    events::send_excess(&Excess {
        // SAFETY: as in `operation`.
        cookie: unsafe { bpf_get_socket_cookie(ctx.cast()) },
        remote: connection.remote,
        local: connection.local,
        remote_port: connection.remote_port,
        local_port: connection.local_port,
        family: load!(bpf_sock_ops, ctx, family),
    });
}

#[inline(always)]
fn closed(ctx: *mut bpf_sock_ops) {
    outgoing::closed(ctx);
    let Some(socket) = socket(ctx) else { return };
    // SAFETY: a full socket, from the context.
    let Some(token) = (unsafe { tokens::find(socket) }) else {
        return;
    };
    if token.is_counted == 0 {
        return;
    }
    debug::closed(&token.connection);
    if let Some(policy) = policy::in_force() {
        if policy.report_passed {
            report::closed(token);
        }
        audit::parts(policy, token);
    }
    charge::closed(token);
}

/// Addresses are in network order; so is the remote port, in the upper half of its word on little
/// endian machines, while the local port is in host order (include/uapi/linux/bpf.h, bpf_sock_ops).
#[inline(always)]
pub fn connection(ctx: *mut bpf_sock_ops) -> Connection {
    let (remote, local) = load_addresses!(bpf_sock_ops, ctx);
    Connection {
        remote,
        local,
        remote_port: u32::from_be(load!(bpf_sock_ops, ctx, remote_port)) as u16,
        local_port: load!(bpf_sock_ops, ctx, local_port) as u16,
        padding: 0,
    }
}
