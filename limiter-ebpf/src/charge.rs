//! Charging and discharging a connection.
//!
//! Functions of the BPF machine with a linkage of their own: the verifier checks each once, by its
//! signature (Documentation/bpf/verifier.rst, global functions), not once a path that leads to it.

use limiter_common::{
    admission::{Admission, Mode, Observer, Refusal, admit, discharge},
    key::Connection,
    policy::{Limit, MAX_LIMITS, ServerPolicy},
    token::{Charge, Token},
};

use crate::maps::{counters, networks::Networks, zones::Zones};

/// A connection has been established, under this mode.
const ESTABLISHED: u32 = 0;
/// A connection that was open before is adopted.
const ADOPTED: u32 = 1;

/// Charges a connection that has been established. What is counted depends on the server's dry run.
#[inline(always)]
pub fn established(server: &ServerPolicy, connection: &Connection, token: &mut Token) -> Admission {
    charge(server, connection, token, ESTABLISHED)
}

/// Charges a connection that was open before, whatever the limits say.
#[inline(always)]
pub fn adopted(server: &ServerPolicy, connection: &Connection, token: &mut Token) {
    charge(server, connection, token, ADOPTED);
}

/// Counts a connection of an exempt client.
#[inline(always)]
pub fn skipped(server: &ServerPolicy) {
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        if let Some(counters) = counters::of_zone(server.limits[position].zone) {
            counters.skipped();
        }
    }
}

/// Gives back what the token holds.
#[inline(always)]
pub fn closed(connection: &Connection, token: &mut Token) {
    limiter_discharge(connection, token);
}

#[inline(always)]
fn charge(
    server: &ServerPolicy,
    connection: &Connection,
    token: &mut Token,
    why: u32,
) -> Admission {
    token.server = server.index;
    token.count = server.limit_count;
    Admission::from_word(limiter_charge(server, connection, token, why))
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_charge(
    server: *const ServerPolicy,
    connection: *const Connection,
    token: *mut Token,
    why: u32,
) -> u64 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection), Some(token)) =
        (unsafe { (server.as_ref(), connection.as_ref(), token.as_mut()) })
    else {
        return 0;
    };
    let mode = if why == ADOPTED || server.dry_run != 0 {
        Mode::Count
    } else {
        Mode::Enforce
    };
    let observer = Accounts { why, mode };
    admit(
        &Zones, &Networks, &observer, server, connection, mode, token,
    )
    .to_word()
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_discharge(connection: *const Connection, token: *mut Token) -> u32 {
    // SAFETY: as above.
    let (Some(connection), Some(token)) = (unsafe { (connection.as_ref(), token.as_mut()) }) else {
        return 0;
    };
    let server = token.server;
    // Why and how the connection was charged has no part in giving back.
    let observer = Accounts {
        why: ESTABLISHED,
        mode: Mode::Enforce,
    };
    discharge(&Zones, &observer, server, connection, token);
    token.count = 0;
    1
}

/// Moves exactly one verdict counter of each zone that has a say. About an adopted connection
/// nobody decides: only the connections count.
struct Accounts {
    why: u32,
    mode: Mode,
}

impl Observer for Accounts {
    #[inline(always)]
    fn taken(&self, limit: &Limit, within: bool) {
        let Some(counters) = counters::of_zone(limit.zone) else {
            return;
        };
        counters.opened();
        if self.why == ADOPTED {
            return;
        }
        if within {
            counters.passed();
        } else {
            counters.rejected_dry_run();
        }
    }

    #[inline(always)]
    fn refused(&self, limit: &Limit, why: Refusal) {
        let Some(counters) = counters::of_zone(limit.zone) else {
            return;
        };
        if self.why == ADOPTED {
            return;
        }
        match (self.mode, why) {
            (Mode::Enforce, Refusal::Full) => counters.rejected(),
            (Mode::Enforce, Refusal::Exhausted) => counters.exhausted(),
            (Mode::Count, Refusal::Full) => counters.rejected_dry_run(),
            (Mode::Count, Refusal::Exhausted) => counters.exhausted_dry_run(),
        }
        if self.mode == Mode::Enforce {
            counters.excess();
        }
    }

    #[inline(always)]
    fn contended(&self, limit: &Limit) {
        if let Some(counters) = counters::of_zone(limit.zone) {
            counters.untracked();
        }
    }

    #[inline(always)]
    fn skipped(&self, limit: &Limit) {
        if let Some(counters) = counters::of_zone(limit.zone) {
            counters.skipped();
        }
    }

    #[inline(always)]
    fn given_back(&self, charge: &Charge, evicted: bool) {
        if let Some(counters) = counters::of_zone(charge.zone) {
            counters.closed();
            if evicted {
                counters.evicted();
            }
        }
    }
}
