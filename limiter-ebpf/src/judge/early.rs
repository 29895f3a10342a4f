//! The verdict on an interface, where refusals are remembered for a moment, see
//! [`limiter_common::standing`].

use limiter_common::{
    admission::{Word as _, Zone as _, watch},
    attempt::{Client, Endpoint, Fingerprint},
    entry::Occupancy,
    event::HOOK_XDP,
    key::Connection,
    packet::Segment,
    policy::{ACTION_CLOSE, ServerPolicy},
    standing::Refused,
    tally,
};

use super::{judge, no_at};
use crate::{
    debug,
    maps::{
        attempts, counters, endpoints, events, networks,
        policy::{self, Policy},
        standing,
        tallies::{self, Handle},
        zones::zone_at,
    },
};

/// Whether a limit of the server says no to this SYN, on an interface. Counts and reports it then.
#[inline(always)]
pub fn judge_early(policy: Policy, segment: &Segment, server: &ServerPolicy) -> bool {
    let connection = &segment.connection;
    let endpoint = Endpoint::of(connection, policy.seed);
    let client = Client::at(endpoint, connection);
    let Some(slot) = standing::slot(client, policy) else {
        return false;
    };
    let mut tally = slot.stands(connection);
    if tally.is_none() {
        // Before any key is looked up, because it mostly ends it: where nobody is refused, nobody will be.
        if !endpoints::has_refused(endpoint) {
            return false;
        }
        if slot.comes_again(client)
            && limiter_remember(server, connection, policy.halves().to_word()) != 0
        {
            tally = slot.tally();
        }
    }
    let Some(tally) = tally else {
        return judge(segment, server, HOOK_XDP);
    };
    debug::refused(connection, server.index, slot.connections());
    refuse_again(slot.zone(), tally, segment, client);
    true
}

/// Counts a refusal that stands. An event is due in another tick at the soonest.
#[inline(always)]
fn refuse_again(zone: u16, tally: Handle, segment: &Segment, client: Client) {
    let Some(counters) = counters::of_zone(zone) else {
        return;
    };
    if attempts::is_repeated(Fingerprint::of_syn(segment, client)) {
        counters.retransmitted();
        return;
    }
    counters.rejected();
    events::suppress();
    tally::count(tally);
}

/// Remembers the refusal of a client that comes again, if the first limit of the server says no to it; 0 if
/// not. (While another limit says no, the first may come to say it.) `halves` is the word of those that the
/// server is of. A global function, see [`crate::charge`]: it runs once a tick and client.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_remember(
    server: *const ServerPolicy,
    connection: *const Connection,
    halves: u32,
) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(connection), Some(policy)) =
        (unsafe { (server.as_ref(), connection.as_ref(), policy::in_force()) })
    else {
        return 0;
    };
    if policy.halves().to_word() != halves {
        return 0;
    }
    remember(policy, server, connection).is_some().into()
}

#[inline(always)]
fn remember(policy: Policy, server: &ServerPolicy, connection: &Connection) -> Option<()> {
    let zone = server.limits[0].zone;
    let watched = zone_at(zone.into())?;
    // Nobody may wait for a place to be closed in, and the kernel forgets no key: it is at its limit until
    // a slot of the zone is given back.
    if server.action == ACTION_CLOSE || watched.evicts() {
        return None;
    }
    if networks::is_exempt(server, &connection.remote) {
        return None;
    }
    let freed = watch(watched);
    let no = no_at(server, 0, connection)?;
    let occupancy = Occupancy::from_word(no.zone.occupancy(no.entry?).load());
    let refused = Refused {
        freed,
        zone,
        lease: tallies::lease(zone, &no.key, occupancy.generation)?,
        connections: no.connections,
    };
    let client = Client::at(Endpoint::of(connection, policy.seed), connection);
    standing::slot(client, policy)?.remember(connection, refused);
    Some(())
}
