//! From the kernel's words to the API's: events, and what is attached where.

use jiff::{SignedDuration, Timestamp};
use limiter_common::event::{
    self, HOOK_CGROUP_SKB, HOOK_CONNECT, HOOK_SK_LOOKUP, HOOK_SOCK_OPS, HOOK_XDP, REASON_EXHAUSTED,
    REASON_LIMIT, REASON_NONE, REASON_TIMEOUT, STATUS_CLOSED, STATUS_PASSED, STATUS_REJECTED,
    STATUS_REJECTED_DRY_RUN,
};

use super::{clock::Clock, in_force::InForce};
use crate::{
    api::{Attached, Event, EventState, Reason},
    kernel::Attachment,
};

/// What is attached to a place, or why nothing is.
pub fn attached(attachment: Attachment) -> Attached {
    let programs = attachment.programs.iter();
    Attached {
        kind: attachment.place.kind().to_owned(),
        target: attachment.place.target(),
        programs: programs.map(ToString::to_string).collect(),
        mode: attachment.mode,
        waiting: attachment.waiting,
    }
}

/// Both clocks at one moment: enough to date what happened a moment ago.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: Timestamp,
    monotonic_ns: u64,
}

impl Moment {
    /// Reads both clocks.
    pub fn now(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.wall(),
            monotonic_ns: clock.monotonic_ns(),
        }
    }

    /// Wall clock at the monotonic time `ns`, to the microsecond.
    fn date(&self, ns: u64) -> Timestamp {
        let difference = i128::from(ns) - i128::from(self.monotonic_ns);
        let difference = i64::try_from(difference).unwrap_or(0);
        let exact = self
            .wall
            .checked_add(SignedDuration::from_nanos(difference))
            .unwrap_or(self.wall);
        Timestamp::from_microsecond(exact.as_microsecond()).unwrap_or(exact)
    }
}

/// Gives indexes their names and numbers their words. `None`: a value that no version of the
/// programs sends.
pub fn convert(event: &event::Event, policy: &InForce, moment: Moment) -> Option<Event> {
    let is_outgoing = event.hook == HOOK_CONNECT;
    let server = if is_outgoing {
        policy.upstream(event.server)?
    } else {
        policy.server(event.server)?
    };
    Some(Event {
        number: event.number,
        time: moment.date(event.time_ns),
        status: match event.status {
            STATUS_PASSED => EventState::Passed,
            STATUS_REJECTED => EventState::Rejected,
            STATUS_REJECTED_DRY_RUN => EventState::RejectedDryRun,
            STATUS_CLOSED => EventState::Closed,
            _ => return None,
        },
        reason: match event.reason {
            REASON_NONE => Reason::None,
            REASON_LIMIT => Reason::Limit,
            REASON_EXHAUSTED => Reason::Exhausted,
            REASON_TIMEOUT => Reason::Timeout,
            _ => return None,
        },
        zone: if is_outgoing {
            String::new()
        } else {
            policy.zone(event.zone)?.to_owned()
        },
        server: server.name.clone(),
        remote_addr: event.remote.into(),
        remote_port: event.remote_port,
        local_addr: event.local.into(),
        local_port: event.local_port,
        connections: event.connections,
        limit: event.limit,
        duration_s: (event.duration_ns != 0).then(|| (event.duration_ns / 1_000) as f64 / 1e6),
        action: server.action,
        hook: match event.hook {
            HOOK_CGROUP_SKB => "cgroup_skb",
            HOOK_SOCK_OPS => "sock_ops",
            HOOK_SK_LOOKUP => "sk_lookup",
            HOOK_XDP => "xdp",
            HOOK_CONNECT => "connect",
            _ => return None,
        }
        .to_owned(),
        suppressed: event.suppressed,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::daemon::in_force::tests::in_force;

    struct Stopped;

    impl Clock for Stopped {
        fn wall(&self) -> Timestamp {
            "2026-01-01T12:00:00Z".parse().expect("a time")
        }

        fn monotonic_ns(&self) -> u64 {
            5_000_000_000
        }
    }

    fn event() -> event::Event {
        event::Event {
            time_ns: 4_998_999_999,
            number: 7,
            duration_ns: 0,
            suppressed: 42,
            remote: "192.0.2.1".parse::<IpAddr>().expect("literal").into(),
            local: "2001:db8::9".parse::<IpAddr>().expect("literal").into(),
            connections: 10,
            limit: 10,
            remote_port: 1234,
            local_port: 443,
            zone: 1,
            server: 1,
            status: STATUS_REJECTED,
            reason: REASON_LIMIT,
            hook: HOOK_CGROUP_SKB,
            padding: 0,
            padding_to_word: 0,
        }
    }

    #[test]
    fn an_event_gets_its_names_and_its_time() {
        let moment = Moment::now(&Stopped);
        let event = convert(&event(), &in_force(), moment).expect("known values");
        let json = serde_json::to_string(&event).expect("JSON");
        assert_eq!(
            json,
            "{\"number\":7,\"time\":\"2026-01-01T11:59:59.998999Z\",\"status\":\"REJECTED\",\
             \"reason\":\"limit\",\"zone\":\"server\",\"server\":\"web\",\
             \"remote_addr\":\"192.0.2.1\",\"remote_port\":1234,\
             \"local_addr\":\"2001:db8::9\",\"local_port\":443,\"connections\":10,\
             \"limit\":10,\"action\":\"drop\",\"hook\":\"cgroup_skb\",\"suppressed\":42}"
        );
    }

    #[test]
    fn only_a_connection_that_was_seen_to_begin_has_a_duration() {
        let closed = |duration_ns| {
            let event = event::Event {
                status: STATUS_CLOSED,
                reason: REASON_NONE,
                duration_ns,
                ..event()
            };
            convert(&event, &in_force(), Moment::now(&Stopped)).expect("known values")
        };
        assert_eq!(closed(0).duration_s, None);
        assert_eq!(closed(1_234_567_891).duration_s, Some(1.234567));
        assert_eq!(closed(1).duration_s, Some(0.0));
        assert_eq!(closed(1).status, EventState::Closed);
    }

    #[test]
    fn values_of_no_version_are_left_out() {
        let moment = Moment::now(&Stopped);
        let spoilt: [fn(&mut event::Event); 5] = [
            |event| event.zone = 128,
            |event| event.server = 512,
            |event| event.status = 9,
            |event| event.reason = 9,
            |event| event.hook = 0,
        ];
        for spoil in spoilt {
            let mut event = event();
            spoil(&mut event);
            assert_eq!(convert(&event, &in_force(), moment), None);
        }
    }

    #[test]
    fn an_event_from_just_after_the_clock_was_read_has_a_time_too() {
        let late = event::Event {
            time_ns: 5_000_001_000,
            ..event()
        };
        let event = convert(&late, &in_force(), Moment::now(&Stopped)).expect("known values");
        assert_eq!(event.time.to_string(), "2026-01-01T12:00:00.000001Z");
    }
}
