//! The verdict on an interface, where refusals are remembered for a moment, see
//! [`limiter_common::standing`].

use limiter_common::{
    admission::{Word as _, Zone as _, watch},
    attempt::{Client, Endpoint, Fingerprint},
    entry::Occupancy,
    event::HOOK_XDP,
    packet::Segment,
    policy::{ACTION_CLOSE, ServerPolicy},
    standing::Refused,
};

use super::{first_no, tell};
use crate::{
    debug,
    maps::{
        attempts, counters, endpoints, events,
        policy::Policy,
        standing::{self, Slot},
        zones::{Zone, zone_at},
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
    if slot.stands(connection) {
        debug::refused(connection, server.index, slot.connections());
        refuse_again(slot, segment, client);
        return true;
    }
    // Before any key is looked up, because it mostly ends it: where nobody is refused, nobody will be.
    if !endpoints::has_refused(endpoint) {
        return false;
    }
    let mut suppressed = 0;
    let word = verdict(policy, server, segment, client, slot, &mut suppressed);
    tell(segment, server, HOOK_XDP, word, suppressed)
}

/// Counts a refusal that stands. An event is due in another tick at the soonest.
#[inline(always)]
fn refuse_again(mut slot: Slot, segment: &Segment, client: Client) {
    let Some(counters) = counters::of_zone(slot.zone()) else {
        return;
    };
    if attempts::is_repeated(Fingerprint::of_syn(segment, client)) {
        counters.retransmitted();
        return;
    }
    counters.rejected();
    events::suppress();
    slot.count();
}

/// As at a listener, but that it is remembered.
#[inline(always)]
fn verdict(
    policy: Policy,
    server: &ServerPolicy,
    segment: &Segment,
    client: Client,
    mut slot: Slot,
    suppressed: &mut u64,
) -> u64 {
    // Of the first limit only: while another one says no, this one may come to say it.
    let first_zone = zone_at(server.limits[0].zone.into());
    let freed = match first_zone {
        Some(zone) if slot.comes_again(client) && is_lasting(server, zone) => Some(watch(zone)),
        _ => None,
    };
    let connection = &segment.connection;
    let Some(no) = first_no(server, connection) else {
        return 0;
    };
    if server.action == ACTION_CLOSE && no.may_wait(policy) {
        return 0;
    }
    slot.settle();
    if let (Some(freed), Some(entry), 0) = (freed, no.entry, no.position) {
        let occupancy = no.zone.occupancy(entry).load();
        let refused = Refused {
            freed,
            zone: no.limit.zone,
            key: no.key,
            generation: Occupancy::from_word(occupancy).generation,
            connections: no.connections,
        };
        slot.remember(connection, refused);
    }
    no.refuse(segment, client, policy, suppressed)
}

/// Whether a refusal of a key of this zone lasts until a slot of the zone is given back: nobody may wait
/// for a place to be closed in, and the kernel forgets no key.
#[inline(always)]
fn is_lasting(server: &ServerPolicy, zone: Zone) -> bool {
    server.action != ACTION_CLOSE && !zone.evicts()
}
