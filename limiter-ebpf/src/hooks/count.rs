//! `sock_ops`: counts a connection from establishment to close.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
        bpf_sock_ops,
    },
    helpers::{bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set},
};
use limiter_common::{
    addr::Addr,
    event::{Excess, HOOK_SOCK_OPS},
    key::Connection,
    token::Token,
};

use crate::{
    charge, debug,
    maps::{counters, events, policy, tokens},
    report::{self, Verdict},
};

/// Loads one 32-bit word of the context. The verifier wants a constant offset from the context
/// itself, but LLVM merges loads of two branches into one from a computed address; it cannot merge
/// these.
macro_rules! load {
    ($ctx:expr, $field:ident) => {
        load!($ctx, $field, 0)
    };
    ($ctx:expr, $field:ident, $word:literal) => {{
        let ctx: *mut bpf_sock_ops = $ctx;
        let value: u64;
        // SAFETY: the kernel gives a valid context, and the field is within it.
        unsafe {
            core::arch::asm!(
                "{value} = *(u32 *)({ctx} + {offset})",
                value = out(reg) value,
                ctx = in(reg) ctx,
                offset = const core::mem::offset_of!(bpf_sock_ops, $field) + 4 * $word,
                options(readonly, nostack, preserves_flags),
            );
        }
        value as u32
    }};
}

const AF_INET: u32 = 2;
/// include/net/tcp_states.h
const TCP_CLOSE: u32 = 7;

/// Follows one operation of a socket.
#[inline(always)]
pub fn operation(ctx: *mut bpf_sock_ops) {
    // SAFETY: the kernel gives a valid context; its fields are read one by one, each in its own
    // width, as the verifier wants it.
    unsafe {
        match (&raw const (*ctx).op).read_volatile() {
            BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ctx),
            BPF_SOCK_OPS_STATE_CB => {
                let new_state = (&raw const (*ctx).__bindgen_anon_1.args[1]).read_volatile();
                if new_state == TCP_CLOSE {
                    closed(ctx);
                }
            }
            _ => {}
        }
    }
}

#[inline(always)]
fn established(ctx: *mut bpf_sock_ops) {
    let Some(policy) = policy::in_force() else {
        return;
    };
    let connection = connection(ctx);
    let Some((index, server)) = policy.limits_at(&connection.local, connection.local_port) else {
        return;
    };
    // SAFETY: as in `operation`.
    let socket = unsafe { (&raw const (*ctx).__bindgen_anon_2.sk).read_volatile() };
    if socket.is_null() {
        return;
    }
    // First the memory, then the charge: a charge that nothing remembers would never be released.
    // SAFETY: a full socket, from the context.
    let Some(token) = (unsafe { tokens::find_or_create(socket.cast()) }) else {
        if let Some(counters) = counters::of_zone(server.limits[0].zone) {
            counters.untracked();
        }
        return;
    };
    if token.count != 0 {
        return;
    }
    let admission = charge::established(index, server, &connection, token);
    watch_state(ctx);
    debug::established(&connection, index, admission.connections);
    let limit = &server.limits[admission.limit];
    let verdict = Verdict {
        connection: &connection,
        server: index,
        limit,
        connections: admission.connections,
        hook: HOOK_SOCK_OPS,
    };
    let dry_run = server.dry_run != 0;
    if !admission.is_refused {
        if policy.report_passed {
            report::passed(&verdict);
        }
        return;
    }
    report::refused(&verdict, admission.why, dry_run);
    if !dry_run {
        token.flags = Token::EXCESS;
        hand_over(ctx, &connection);
    }
}

/// Asks to be called at each change of state, and keeps what other programs have asked for.
#[inline(always)]
fn watch_state(ctx: *mut bpf_sock_ops) {
    // SAFETY: as in `operation`.
    unsafe {
        let flags = (&raw const (*ctx).bpf_sock_ops_cb_flags).read_volatile();
        bpf_sock_ops_cb_flags_set(ctx, (flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
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
        family: load!(ctx, family),
    });
}

#[inline(always)]
fn closed(ctx: *mut bpf_sock_ops) {
    // SAFETY: as in `operation`.
    let socket = unsafe { (&raw const (*ctx).__bindgen_anon_2.sk).read_volatile() };
    if socket.is_null() {
        return;
    }
    // SAFETY: a full socket, from the context.
    let Some(token) = (unsafe { tokens::find(socket.cast()) }) else {
        return;
    };
    if token.count == 0 {
        return;
    }
    let connection = connection(ctx);
    debug::closed(&connection, token.server);
    charge::closed(&connection, token);
}

/// Addresses are in network order; so is the remote port, in the upper half of its word on little
/// endian machines, while the local port is in host order (include/uapi/linux/bpf.h, bpf_sock_ops).
#[inline(always)]
fn connection(ctx: *mut bpf_sock_ops) -> Connection {
    let (remote, local) = if load!(ctx, family) == AF_INET {
        (
            Addr::from_v4_word(load!(ctx, remote_ip4)),
            Addr::from_v4_word(load!(ctx, local_ip4)),
        )
    } else {
        (
            Addr::from_v6_words([
                load!(ctx, remote_ip6, 0),
                load!(ctx, remote_ip6, 1),
                load!(ctx, remote_ip6, 2),
                load!(ctx, remote_ip6, 3),
            ]),
            Addr::from_v6_words([
                load!(ctx, local_ip6, 0),
                load!(ctx, local_ip6, 1),
                load!(ctx, local_ip6, 2),
                load!(ctx, local_ip6, 3),
            ]),
        )
    };
    Connection {
        remote,
        local,
        remote_port: u32::from_be(load!(ctx, remote_port)) as u16,
        local_port: load!(ctx, local_port) as u16,
    }
}
