//! Charging and discharging a connection.
//!
//! Functions of the BPF machine with a linkage of their own: the verifier checks each once, by its
//! signature (Documentation/bpf/verifier.rst, global functions), not once a path that leads to it.

use limiter_common::{
    admission::{Admission, Mode, Observer, Refusal, admit, discharge},
    key::Connection,
    policy::{Limit, ServerPolicy},
    token::{Charge, Token},
};

use crate::maps::{counters, zones::Zones};

/// A connection has been established, under this mode.
const ESTABLISHED: u32 = 0;
/// A connection that was open before is adopted.
const ADOPTED: u32 = 1;

/// Charges a connection that has been established. What is counted depends on the server's dry run.
#[inline(always)]
pub fn established(
    server: u16,
    policy: &ServerPolicy,
    connection: &Connection,
    token: &mut Token,
) -> Admission {
    charge(server, policy, connection, token, ESTABLISHED)
}

/// Charges a connection that was open before, whatever the limits say.
#[inline(always)]
pub fn adopted(server: u16, policy: &ServerPolicy, connection: &Connection, token: &mut Token) {
    charge(server, policy, connection, token, ADOPTED);
}

/// Gives back what the token holds.
#[inline(always)]
pub fn closed(connection: &Connection, token: &mut Token) {
    limiter_discharge(connection, token);
}

#[inline(always)]
fn charge(
    server: u16,
    policy: &ServerPolicy,
    connection: &Connection,
    token: &mut Token,
    why: u32,
) -> Admission {
    token.server = server;
    token.count = policy.limit_count as u16;
    let word = limiter_charge(policy, connection, token, why);
    Admission::from_word(word)
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_charge(
    policy: *const ServerPolicy,
    connection: *const Connection,
    token: *mut Token,
    why: u32,
) -> u64 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(policy), Some(connection), Some(token)) =
        (unsafe { (policy.as_ref(), connection.as_ref(), token.as_mut()) })
    else {
        return 0;
    };
    let mode = if why == ADOPTED || policy.dry_run != 0 {
        Mode::Count
    } else {
        Mode::Enforce
    };
    let server = token.server;
    let observer = Accounts { why, mode };
    admit(&Zones, &observer, server, policy, connection, mode, token).to_word()
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
