//! Clients that nginx does not count, because their key is empty.
//!
//! nginx leaves them out of a zone, limiter out of all limits of a server. Where that is the same,
//! it is `limit_conn_exempt`. Where it is not, they get the largest number there is for that zone.

use ipnet::IpNet;

use super::{
    note::{Note, Places},
    plan::{Held, Plan},
    zone::{Zone, Zones},
};

/// Settles who is exempt in a server. `room` is how many networks limiter still has room for.
pub(super) fn settle(plan: &mut Plan, zones: &Zones, places: &Places, room: &mut usize) {
    let of = |held: &Held| exempt(&zones.all[held.zone]);
    let Some(first) = plan.limits.first().map(of) else {
        return;
    };
    let same = plan.limits.iter().all(|held| of(held) == first);
    if same && take(first, room) {
        plan.exempt = first.to_vec();
        return;
    }
    let mut kept = Vec::new();
    for mut held in std::mem::take(&mut plan.limits) {
        let zone = &zones.all[held.zone];
        let networks = exempt(zone);
        let reason = if !same && !networks.is_empty() && !zone.has_client() {
            "nginx leaves some clients out of this limit alone, and limiter out of all limits of a \
             server. If it may hold for them:"
        } else if same || !take(networks, room) {
            "it is not for so many networks that limiter has no room for them all. If it may hold \
             for them:"
        } else {
            held.unlimited = networks.to_vec();
            kept.push(held);
            continue;
        };
        let place = places.of(&held.place);
        let line = held.line(zones);
        let typed = line.trim_end_matches(';');
        let text = format!("{place}: \"{typed}\": {reason}");
        plan.notes.push(Note::new(text).instead(line));
    }
    plan.limits = kept;
}

fn exempt(zone: &Zone) -> &[IpNet] {
    zone.key.as_ref().map_or(&[], |key| key.exempt.as_slice())
}

fn take(networks: &[IpNet], room: &mut usize) -> bool {
    let left = room.checked_sub(networks.len());
    *room = left.unwrap_or(*room);
    left.is_some()
}
