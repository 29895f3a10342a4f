//! What is told of a verdict, the same from every hook.

use limiter_common::{
    admission::{Admission, Refusal, Zone as _},
    event::{
        Event, HOOK_SOCK_OPS, REASON_EXHAUSTED, REASON_LIMIT, REASON_NONE, STATUS_PASSED,
        STATUS_REJECTED, STATUS_REJECTED_DRY_RUN,
    },
    key::{Connection, KeyShape, ZoneKey},
    policy::{Limit, ServerPolicy},
};

use crate::maps::{
    events::{self, Leave},
    policy,
    zones::zone_at,
};

/// One verdict.
pub struct Verdict<'a> {
    /// Who.
    pub connection: &'a Connection,
    /// To which server.
    pub server: u16,
    /// The limit that decided.
    pub limit: &'a Limit,
    /// Connections of the key.
    pub connections: u32,
    /// How many it may have.
    pub number: u16,
    /// One of the `HOOK_` values.
    pub hook: u8,
}

/// Reports a connection that has been established, as often as the budgets allow.
#[inline(always)]
pub fn established(server: &ServerPolicy, connection: &Connection, admission: Admission) {
    limiter_established(server, connection, admission.to_word());
}

/// A global function, see [`crate::charge`]: events are large.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_established(
    server: *const ServerPolicy,
    connection: *const Connection,
    admission: u64,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection)) = (unsafe { (server.as_ref(), connection.as_ref()) })
    else {
        return 0;
    };
    let admission = Admission::from_word(admission);
    let limit = &server.limits[admission.limit];
    let verdict = Verdict {
        connection,
        server: server.index,
        limit,
        connections: admission.connections,
        number: admission.number,
        hook: HOOK_SOCK_OPS,
    };
    let (status, reason) = match (admission.is_refused, server.dry_run) {
        (false, _) => (STATUS_PASSED, REASON_NONE),
        (true, 0) => (STATUS_REJECTED, reason(admission.why)),
        (true, _) => (STATUS_REJECTED_DRY_RUN, reason(admission.why)),
    };
    let shape = limit.shape(connection);
    limiter_report(&mut event(&verdict, status, reason), shape.to_word())
}

/// Reports a refusal that a budget has given leave for.
#[inline(always)]
pub fn refused_with_leave(verdict: &Verdict<'_>, why: Refusal, leave: Leave) {
    events::send(leave, &mut event(verdict, STATUS_REJECTED, reason(why)));
}

/// Sends the event if a budget gives leave. A global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_report(event: *mut Event, shape: u32) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to an event or null.
    let (Some(event), Some(policy)) = (unsafe { event.as_mut() }, policy::in_force()) else {
        return 0;
    };
    let key = || {
        let connection = Connection {
            remote: event.remote,
            local: event.local,
            remote_port: event.remote_port,
            local_port: event.local_port,
            padding: 0,
        };
        ZoneKey::new(KeyShape::from_word(shape), &connection, event.server)
    };
    let leave = match event.reason {
        REASON_LIMIT => zone_at(event.zone.into())
            .and_then(|zone| zone.find(&key()))
            .and_then(|entry| events::leave_for_entry(entry, policy)),
        REASON_EXHAUSTED => events::leave_for_exhausted(event.zone, &key(), policy),
        _ => events::leave_for_passed(policy),
    };
    if let Some(leave) = leave {
        events::send(leave, event);
    }
    1
}

#[inline(always)]
fn reason(why: Refusal) -> u8 {
    match why {
        Refusal::Full => REASON_LIMIT,
        Refusal::Exhausted => REASON_EXHAUSTED,
    }
}

#[inline(always)]
fn event(verdict: &Verdict<'_>, status: u8, reason: u8) -> Event {
    Event {
        time_ns: 0,
        suppressed: 0,
        remote: verdict.connection.remote,
        local: verdict.connection.local,
        connections: verdict.connections,
        limit: verdict.number.into(),
        remote_port: verdict.connection.remote_port,
        local_port: verdict.connection.local_port,
        zone: verdict.limit.zone,
        server: verdict.server,
        status,
        reason,
        hook: verdict.hook,
        padding: 0,
        padding_to_word: 0,
    }
}
