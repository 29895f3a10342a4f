//! Charging and discharging a connection.
//!
//! Functions of the BPF machine with a linkage of their own: the verifier checks each once, by its
//! signature (Documentation/bpf/verifier.rst, global functions), not once a path that leads to it.

use limiter_common::{
    admission::{
        Admission, Mode, Observer, Refusal, Said, Steps, Zone as _, admit, charge_one, conclude,
        cover_one, discharge, renew as renew_all, trim_one,
    },
    policy::{Limit, MAX_LIMITS, ServerPolicy},
    token::{Charge, MAX_CHARGES, Token},
};

use crate::maps::{
    audit, counters,
    networks::Networks,
    zones::{Zones, zone_at},
};

/// Charges a connection that has been established. What is counted depends on the server's dry run.
#[inline(always)]
pub fn established(server: &ServerPolicy, token: &mut Token) -> Admission {
    let mode = if server.dry_run != 0 {
        Mode::Count
    } else {
        Mode::Enforce
    };
    admit(&InSteps, server, mode, token)
}

/// Charges a connection that is open already for what the server asks and the token does not hold,
/// whatever the limits say.
#[inline(always)]
pub fn cover(server: &ServerPolicy, token: &mut Token) {
    for position in 0..MAX_LIMITS as u32 {
        if position >= server.limit_count.into() {
            break;
        }
        limiter_cover(server, position, token);
    }
}

/// Forgets the slots of a connection whose entries are gone.
#[inline(always)]
pub fn renew(token: &mut Token) {
    limiter_renew(token);
}

/// Gives back what the token holds and the server does not ask for.
#[inline(always)]
pub fn trim(server: &ServerPolicy, token: &mut Token) {
    for index in 0..MAX_CHARGES as u32 {
        if token.charges[index as usize].generation != 0 {
            limiter_trim(server, index, token);
        }
    }
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

/// Gives back all that the token holds: it counts no more.
#[inline(always)]
pub fn closed(token: &mut Token) {
    give_back(token);
    token.is_counted = 0;
}

/// Gives back all that the token holds.
#[inline(always)]
pub fn give_back(token: &mut Token) {
    limiter_discharge(token);
}

/// Each step is checked once, and what it keeps on the stack is gone before the next.
struct InSteps;

impl Steps for InSteps {
    #[inline(always)]
    fn charge_one(
        &self,
        server: &ServerPolicy,
        position: usize,
        mode: Mode,
        token: &mut Token,
    ) -> Said {
        Said::from_word(limiter_charge(server, position as u32, mode as u32, token))
    }

    #[inline(always)]
    fn conclude(&self, server: &ServerPolicy, keeps: bool, token: &mut Token) {
        limiter_conclude(server, keeps.into(), token);
    }
}

/// `mode` is the number of a [`Mode`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_charge(
    server: *const ServerPolicy,
    position: u32,
    mode: u32,
    token: *mut Token,
) -> u64 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(token)) = (unsafe { (server.as_ref(), token.as_mut()) }) else {
        return 0;
    };
    let mode = Mode::from_number(mode);
    let (position, observer) = (position as usize, Accounts { mode });
    charge_one(&Zones, &Networks, &observer, server, position, mode, token).to_word()
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_conclude(server: *const ServerPolicy, keeps: u32, token: *mut Token) -> u32 {
    // SAFETY: as above.
    let (Some(server), Some(token)) = (unsafe { (server.as_ref(), token.as_mut()) }) else {
        return 0;
    };
    let observer = Accounts {
        mode: Mode::Enforce,
    };
    conclude(&Zones, &observer, server, keeps != 0, token);
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_cover(server: *const ServerPolicy, position: u32, token: *mut Token) -> u32 {
    // SAFETY: as above.
    let (Some(server), Some(token)) = (unsafe { (server.as_ref(), token.as_mut()) }) else {
        return 0;
    };
    let observer = Accounts { mode: Mode::Adopt };
    cover_one(&Zones, &observer, server, position as usize, token);
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_renew(token: *mut Token) -> u32 {
    // SAFETY: as above.
    let Some(token) = (unsafe { token.as_mut() }) else {
        return 0;
    };
    renew_all(&Zones, &Accounts { mode: Mode::Adopt }, token);
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_trim(server: *const ServerPolicy, index: u32, token: *mut Token) -> u32 {
    // SAFETY: as above.
    let (Some(server), Some(token)) = (unsafe { (server.as_ref(), token.as_mut()) }) else {
        return 0;
    };
    let observer = Accounts { mode: Mode::Adopt };
    trim_one(&Zones, &observer, server, index as usize, token);
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_discharge(token: *mut Token) -> u32 {
    // SAFETY: as above.
    let Some(token) = (unsafe { token.as_mut() }) else {
        return 0;
    };
    // How the connection was charged has no part in giving back.
    discharge(&Zones, &Accounts { mode: Mode::Adopt }, token);
    1
}

/// Moves exactly one verdict counter of each zone that has a say. About an adopted connection
/// nobody decides: only the connections count.
struct Accounts {
    mode: Mode,
}

impl Observer for Accounts {
    #[inline(always)]
    fn taken(&self, limit: &Limit, within: bool) {
        let Some(counters) = counters::of_zone(limit.zone) else {
            return;
        };
        counters.opened();
        if self.mode == Mode::Adopt {
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
        match (self.mode, why) {
            (Mode::Adopt, _) => {}
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
        if let Some(counters) = counters::of_zone(charge.key.zone()) {
            counters.closed();
            if evicted {
                counters.evicted();
            }
        }
    }

    #[inline(always)]
    fn lost(&self, charge: &Charge) -> bool {
        let zone = charge.key.zone();
        if audit::is_full(zone) {
            return false;
        }
        let Some(counters) = counters::of_zone(zone) else {
            return false;
        };
        counters.closed();
        if zone_at(zone.into()).is_some_and(|zone| zone.evicts()) {
            counters.evicted();
        } else {
            counters.drifted(1);
        }
        true
    }
}
