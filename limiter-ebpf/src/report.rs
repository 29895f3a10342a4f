//! What is told of a verdict, the same from every hook.

use limiter_common::{
    admission::{Admission, Refusal, Zone as _},
    event::{
        Event, HOOK_SOCK_OPS, REASON_EXHAUSTED, REASON_LIMIT, REASON_NONE, STATUS_PASSED,
        STATUS_REJECTED, STATUS_REJECTED_DRY_RUN,
    },
    key::{Connection, KeyShape, ZoneKey},
    policy::ServerPolicy,
};

use crate::maps::{
    events::{self, Leave},
    policy,
    zones::zone_at,
};

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
    let status = match (admission.is_refused, server.dry_run) {
        (false, _) => STATUS_PASSED,
        (true, 0) => STATUS_REJECTED,
        (true, _) => STATUS_REJECTED_DRY_RUN,
    };
    let shape = server.limits[admission.limit].shape(connection);
    let mut event = event(server, connection, admission, HOOK_SOCK_OPS, status);
    limiter_report(&mut event, shape.to_word())
}

/// Reports a refusal that a budget has given leave for. `hook` is one of the `HOOK_` values.
#[inline(always)]
pub fn refused(
    server: &ServerPolicy,
    connection: &Connection,
    admission: Admission,
    hook: u8,
    leave: Leave,
) {
    let word = admission.to_word();
    limiter_refused(server, connection, word, hook.into(), leave.suppressed);
}

/// A global function, as above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_refused(
    server: *const ServerPolicy,
    connection: *const Connection,
    admission: u64,
    hook: u32,
    suppressed: u64,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection)) = (unsafe { (server.as_ref(), connection.as_ref()) })
    else {
        return 0;
    };
    let admission = Admission::from_word(admission);
    let mut event = event(server, connection, admission, hook as u8, STATUS_REJECTED);
    events::send(Leave { suppressed }, &mut event);
    1
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
fn event(
    server: &ServerPolicy,
    connection: &Connection,
    admission: Admission,
    hook: u8,
    status: u8,
) -> Event {
    Event {
        time_ns: 0,
        suppressed: 0,
        remote: connection.remote,
        local: connection.local,
        connections: admission.connections,
        limit: admission.number.into(),
        remote_port: connection.remote_port,
        local_port: connection.local_port,
        zone: server.limits[admission.limit].zone,
        server: server.index,
        status,
        reason: match (admission.is_refused, admission.why) {
            (false, _) => REASON_NONE,
            (true, Refusal::Full) => REASON_LIMIT,
            (true, Refusal::Exhausted) => REASON_EXHAUSTED,
        },
        hook,
        padding: 0,
        padding_to_word: 0,
    }
}
