//! The verdict on an attempt, the same from every hook that sees its packets.

mod early;

use limiter_common::{
    admission::{Admission, Peek, Refusal, may_wait, peek},
    attempt::{Client, Endpoint, Fingerprint},
    event::HOOK_XDP,
    key::{Connection, KeyFields, ZoneKey},
    packet::{Handshake, Segment},
    policy::{ACTION_CLOSE, Limit, MAX_LIMITS, ServerPolicy},
};

pub use self::early::judge_early;
use crate::{
    debug,
    maps::{
        attempts, counters, endpoints,
        events::{self, Leave},
        networks,
        policy::{self, Policy},
        standing, waiters,
        zones::{Entry, Zone, zone_at},
    },
    report,
};

/// Whether a limit of the server says no to this packet of an attempt. Counts and reports it then.
/// `hook` is one of the `HOOK_` values.
#[inline(always)]
pub fn judge(segment: &Segment, server: &ServerPolicy, hook: u8) -> bool {
    let mut suppressed = 0;
    let word = limiter_judge(server, segment, &mut suppressed, hook.into());
    tell(segment, server, hook, word, suppressed)
}

/// The same without a call, which costs more than a few comparisons do.
#[inline(always)]
pub fn judge_inline(policy: Policy, segment: &Segment, server: &ServerPolicy, hook: u8) -> bool {
    let mut suppressed = 0;
    let word = verdict(policy, server, segment, &mut suppressed, hook);
    tell(segment, server, hook, word, suppressed)
}

#[inline(always)]
fn tell(segment: &Segment, server: &ServerPolicy, hook: u8, word: u64, suppressed: u64) -> bool {
    let judgement = Admission::from_word(word);
    if !judgement.is_refused {
        return false;
    }
    debug::refused(&segment.connection, server.index, judgement.connections);
    if word & TELL != 0 {
        let leave = Leave { suppressed };
        report::refused(server, &segment.connection, judgement, hook, leave);
    }
    true
}

/// Set in the answer of [`limiter_judge`] if the refusal is to be reported. No bit of
/// [`Admission::to_word`].
const TELL: u64 = 1 << 7;

/// [`verdict`] as a global function, see [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_judge(
    server: *const ServerPolicy,
    segment: *const Segment,
    suppressed: *mut u64,
    hook: u32,
) -> u64 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(segment), Some(suppressed), Some(policy)) = (unsafe {
        (
            server.as_ref(),
            segment.as_ref(),
            suppressed.as_mut(),
            policy::in_force(),
        )
    }) else {
        return 0;
    };
    verdict(policy, server, segment, suppressed, hook as u8)
}

/// Looks for the first limit that says no, counts the refusal, and asks for leave to report it,
/// which comes with the number of refusals that were suppressed.
///
/// All of it in one, because the key's entry, once found, is needed for all of it.
#[inline(always)]
fn verdict(
    policy: Policy,
    server: &ServerPolicy,
    segment: &Segment,
    suppressed: &mut u64,
    hook: u8,
) -> u64 {
    let Some(no) = first_no(server, &segment.connection) else {
        return 0;
    };
    let endpoint = Endpoint::of(&segment.connection, policy.seed);
    let client = Client::at(endpoint, &segment.connection);
    if hook != HOOK_XDP {
        endpoints::refused(endpoint);
    } else if server.action == ACTION_CLOSE && no.may_wait(policy) {
        return 0;
    } else if let Some(mut slot) = standing::slot(client, policy) {
        slot.refused(client);
    }
    let leave = no.count(segment, client, policy);
    let judgement = Admission {
        is_refused: true,
        limit: no.position,
        why: no.why(),
        connections: no.connections,
        number: no.number,
    };
    let mut word = judgement.to_word();
    if let Some(leave) = leave {
        *suppressed = leave.suppressed;
        word |= TELL;
    }
    word
}

/// A limit that says no.
pub struct No<'a> {
    /// Its position among those of the server.
    pub position: usize,
    /// The limit.
    pub limit: &'a Limit,
    /// Connections that it allows this client.
    pub number: u16,
    /// Its zone.
    pub zone: Zone,
    /// The key in that zone.
    pub key: ZoneKey,
    /// The key's entry; none if the zone has no room for the key.
    entry: Option<Entry>,
    connections: u32,
}

/// The first limit of the server that says no to one more connection like this.
#[inline(always)]
pub fn first_no<'a>(server: &'a ServerPolicy, connection: &Connection) -> Option<No<'a>> {
    if networks::is_exempt(server, &connection.remote) {
        return None;
    }
    for position in 0..MAX_LIMITS {
        if position >= server.limit_count as usize {
            break;
        }
        if let Some(no) = no_at(server, position, connection) {
            return Some(no);
        }
    }
    None
}

/// The limit at this position of the server, if it says no. Not for exempt clients.
#[inline(always)]
fn no_at<'a>(server: &'a ServerPolicy, position: usize, connection: &Connection) -> Option<No<'a>> {
    let limit = &server.limits[position];
    if limit.fields.contains(KeyFields::EMPTY) {
        return None;
    }
    let zone = zone_at(limit.zone.into())?;
    let key = ZoneKey::new(limit.shape(connection), connection, server.index);
    let number = networks::number(server, position, &connection.remote);
    let (entry, connections) = match peek(zone, &key, number.into()) {
        Peek::Room => return None,
        Peek::Full { entry, connections } => (Some(entry), connections),
        Peek::Exhausted => (None, 0),
    };
    Some(No {
        position,
        limit,
        number,
        zone,
        key,
        entry,
        connections,
    })
}

impl No<'_> {
    /// Whether the connection may be accepted by the daemon and wait to be closed.
    #[inline(always)]
    pub fn may_wait(&self, policy: Policy) -> bool {
        self.entry
            .is_some_and(|entry| may_wait(self.zone, entry, self.number.into()))
            && waiters::has_room(policy.max_waiting)
    }

    #[inline(always)]
    fn why(&self) -> Refusal {
        match self.entry {
            Some(_) => Refusal::Full,
            None => Refusal::Exhausted,
        }
    }

    /// Counts one refusal an attempt, however many packets it sends. Leave to report it, if this is
    /// the first one that is refused.
    #[inline(always)]
    fn count(&self, segment: &Segment, client: Client, policy: Policy) -> Option<Leave> {
        let counters = counters::of_zone(self.limit.zone)?;
        if attempts::is_repeated(Fingerprint::of_syn(segment, client))
            || segment.handshake == Handshake::Completion
                && attempts::is_repeated(Fingerprint::of_completion(segment, client))
        {
            counters.retransmitted();
            return None;
        }
        match self.entry {
            Some(entry) => {
                counters.rejected();
                events::leave_for_entry(entry, self.limit.zone, &self.key, policy)
            }
            None => {
                counters.exhausted();
                events::leave_for_exhausted(self.limit.zone, &self.key, policy)
            }
        }
    }
}
