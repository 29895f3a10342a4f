//! What is told of a verdict, the same from every hook.

use limiter_common::{
    admission::{Admission, Numbers as _, Refusal, Word as _, Zone as _},
    entry::Occupancy,
    event::{
        Event, HOOK_SOCK_OPS, REASON_EXHAUSTED, REASON_LIMIT, REASON_NONE, STATUS_CLOSED,
        STATUS_PASSED, STATUS_REJECTED, STATUS_REJECTED_DRY_RUN,
    },
    key::{Connection, KeyShape, ZoneKey},
    policy::{MAX_LIMITS, ServerPolicy},
    token::Token,
};

use crate::{
    clock::now_ns,
    maps::{
        events::{self, Leave},
        networks::Networks,
        policy,
        zones::zone_at,
    },
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

/// Reports that a counted connection is about to give back what it holds, if its budget allows.
#[inline(always)]
pub fn closed(token: &Token) {
    limiter_closed(token);
}

/// A global function, as above. There is no event about a connection that the policy in force does
/// not limit, or that holds nothing: it was counted by another policy, or is in excess.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_closed(token: *const Token) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to a token or null.
    let (Some(token), Some(policy)) = (unsafe { token.as_ref() }, policy::in_force()) else {
        return 0;
    };
    let connection = &token.connection;
    let Some(server) = policy.limits_at(&connection.local, connection.local_port) else {
        return 0;
    };
    let mut held = None;
    for charge in &token.charges {
        if charge.generation != 0 {
            held = Some(charge.key);
            break;
        }
    }
    let Some(key) = held else { return 0 };
    let Some(leave) = events::leave_for_passed(policy) else {
        return 0;
    };
    let connections = zone_at(key.zone().into())
        .and_then(|zone| Some(zone.occupancy(zone.find(&key.key(connection))?).load()))
        .map_or(0, |word| Occupancy::from_word(word).connections);
    let mut number = 0;
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        if server.limits[position].zone == key.zone() {
            number = Networks.number(server, position, &connection.remote);
            break;
        }
    }
    let mut event = Event {
        remote: connection.remote,
        local: connection.local,
        connections: connections.saturating_sub(1),
        limit: number.into(),
        remote_port: connection.remote_port,
        local_port: connection.local_port,
        zone: key.zone(),
        server: server.index,
        status: STATUS_CLOSED,
        reason: REASON_NONE,
        hook: HOOK_SOCK_OPS,
        duration_ns: match token.opened_ns {
            0 => 0,
            opened => now_ns().saturating_sub(opened).max(1),
        },
        ..Event::default()
    };
    events::send(leave, &mut event);
    1
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
        REASON_LIMIT => {
            let key = key();
            zone_at(event.zone.into())
                .and_then(|zone| zone.find(&key))
                .and_then(|entry| events::leave_for_entry(entry, event.zone, &key, policy))
        }
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
        number: 0,
        duration_ns: 0,
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
