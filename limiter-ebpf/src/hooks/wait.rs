//! `sock_ops`: counts refused connections that the daemon has accepted and will close.
//!
//! Attached to the daemon's own cgroup, where its sockets are. Each holds a place among the waiting
//! connections of its key, and none of its slots.

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
    bpf_sock_ops,
};
use limiter_common::{
    admission::{begin_wait, end_wait},
    key::Connection,
    policy::{MAX_LIMITS, ServerPolicy},
    token::{Charge, Waiter},
};

use crate::{
    hooks::count::{connection, has_closed, socket, watch},
    judge::first_no,
    maps::{networks, policy, waiters, zones::zone_at},
};

/// Follows one operation of a socket.
#[inline(always)]
pub fn operation(ctx: *mut bpf_sock_ops) {
    // SAFETY: the kernel gives a valid context.
    match unsafe { (&raw const (*ctx).op).read_volatile() } {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ctx),
        BPF_SOCK_OPS_STATE_CB if has_closed(ctx) => closed(ctx),
        _ => {}
    }
}

#[inline(always)]
fn established(ctx: *mut bpf_sock_ops) {
    let Some(waiter) = waiter(ctx) else { return };
    let connection = connection(ctx);
    let Some(server) = policy::in_force()
        .and_then(|policy| policy.limits_at(&connection.local, connection.local_port))
    else {
        return;
    };
    // More at once than may wait: what holds no place is reset by the daemon as it is accepted.
    if limiter_begin_wait(server, &connection, waiter) != 0 {
        watch(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
    }
}

#[inline(always)]
fn closed(ctx: *mut bpf_sock_ops) {
    let Some(waiter) = waiter(ctx) else { return };
    if waiter.is_counted != 0 {
        limiter_end_wait(&connection(ctx), waiter);
    }
}

#[inline(always)]
fn waiter(ctx: *mut bpf_sock_ops) -> Option<&'static mut Waiter> {
    // SAFETY: a full socket, from the context.
    unsafe { waiters::find(socket(ctx)?) }
}

/// Takes a place; 0 if there is none. A global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_begin_wait(
    server: *const ServerPolicy,
    connection: *const Connection,
    waiter: *mut Waiter,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection), Some(waiter), Some(policy)) = (unsafe {
        (
            server.as_ref(),
            connection.as_ref(),
            waiter.as_mut(),
            policy::in_force(),
        )
    }) else {
        return 0;
    };
    // The limit that said no may have room by now. Refused is refused.
    let position = first_no(server, connection).map_or(0, |no| no.position);
    let limit = &server.limits[position & (MAX_LIMITS - 1)];
    let Some(zone) = zone_at(limit.zone.into()) else {
        return 0;
    };
    let key = limit.key_ref(connection, server.index);
    let number = networks::number(server, position, &connection.remote);
    if !waiters::enter(policy.max_waiting) {
        return 0;
    }
    let Some(generation) = begin_wait(zone, &key.key(connection), number.into()) else {
        waiters::leave();
        return 0;
    };
    waiter.charge = Charge { generation, key };
    waiter.is_counted = 1;
    1
}

/// Gives the place back. A global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_end_wait(connection: *const Connection, waiter: *mut Waiter) -> u32 {
    // SAFETY: as above.
    let (Some(connection), Some(waiter)) = (unsafe { (connection.as_ref(), waiter.as_mut()) })
    else {
        return 0;
    };
    waiter.is_counted = 0;
    waiters::leave();
    let Charge { generation, key } = waiter.charge;
    if let Some(zone) = zone_at(key.zone().into()) {
        end_wait(zone, &key.key(connection), generation);
    }
    1
}
