//! What one connection did between two samples.

use crate::kernel::sock_diag::{ObservedConnection, Traffic};

/// Bytes per second below which a client that sends or takes something is slow. A modem of 1990 is
/// faster.
const SLOW_BYTES_PER_S: u64 = 256;
/// A request in so many segments without an answer comes in drops ...
const DROPS: u32 = 3;
/// ... if they are this short on average, bytes: whoever has more to send fills them.
const SHORT_SEGMENT_BYTES: u64 = 200;

/// What it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It waits to be accepted.
    Queued,
    /// It was opened.
    New,
    /// Data went over it.
    Busy,
    /// It was answered before, and nobody has said anything since.
    Idle,
    /// The client has asked before, and the server was silent.
    Waiting,
    /// What the client sends or takes comes in drops.
    Slow,
    /// Nobody has ever said anything.
    Silent,
}

/// Of an established connection of a server.
pub fn of(
    before: Option<&ObservedConnection>,
    after: &ObservedConnection,
    interval_ms: u64,
) -> Activity {
    if after.inode == 0 {
        return Activity::Queued;
    }
    let Some(before) = before else {
        return Activity::New;
    };
    let (Some(old), Some(new)) = (before.traffic, after.traffic) else {
        return Activity::Busy;
    };
    let sent = new.sent_bytes.saturating_sub(old.sent_bytes);
    let received = new.received_bytes.saturating_sub(old.received_bytes);
    let is_slow = |bytes: u64| bytes * 1_000 < SLOW_BYTES_PER_S * interval_ms;
    // The client takes nothing, or hardly anything.
    if before.unacknowledged_bytes > 0 && after.unacknowledged_bytes > 0 && is_slow(sent) {
        return Activity::Slow;
    }
    match (sent, received) {
        (0, 0) => silent(&new, after.unread_bytes > 0),
        // More of a request that was not answered before either.
        (0, _) if is_unanswered(&old) && is_slow(received) => Activity::Slow,
        _ => Activity::Busy,
    }
}

fn silent(traffic: &Traffic, is_unread: bool) -> Activity {
    if traffic.sent_bytes == 0 && traffic.received_bytes == 0 {
        Activity::Silent
    } else if !is_unread && !is_unanswered(traffic) {
        Activity::Idle
    } else if comes_in_drops(traffic) {
        Activity::Slow
    } else {
        Activity::Waiting
    }
}

/// Whether the last word is the client's. A request that follows an answer within a tick of the kernel
/// (4 ms mostly) looks answered.
fn is_unanswered(traffic: &Traffic) -> bool {
    traffic.received_bytes > 0
        && (traffic.sent_bytes == 0 || traffic.last_received_ms < traffic.last_sent_ms)
}

fn comes_in_drops(traffic: &Traffic) -> bool {
    traffic.sent_bytes == 0
        && traffic.received_segments >= DROPS
        && traffic.received_bytes < SHORT_SEGMENT_BYTES * u64::from(traffic.received_segments)
}

/// Whether a connection that this machine has opened has asked, and has waited for an answer for the
/// whole interval.
pub fn waits_for_answer(connection: &ObservedConnection, interval_ms: u64) -> bool {
    let Some(traffic) = connection.traffic else {
        return false;
    };
    let is_unanswered =
        traffic.received_bytes == 0 || traffic.last_sent_ms < traffic.last_received_ms;
    let since = traffic.last_sent_ms.min(traffic.last_received_ms);
    traffic.sent_bytes > 0 && is_unanswered && u64::from(since) >= interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(traffic: Traffic) -> ObservedConnection {
        ObservedConnection {
            cookie: 1,
            local: ([127, 0, 0, 1], 80).into(),
            remote: ([127, 0, 0, 2], 1234).into(),
            state: 1,
            inode: 7,
            cgroup: None,
            unread_bytes: 0,
            unacknowledged_bytes: 0,
            traffic: Some(traffic),
        }
    }

    fn traffic(sent: u64, received: u64, last_sent_ms: u32, last_received_ms: u32) -> Traffic {
        Traffic {
            last_sent_ms,
            last_received_ms,
            sent_bytes: sent,
            received_bytes: received,
            received_segments: 1,
        }
    }

    #[test]
    fn what_a_connection_did_is_told_from_two_readings() {
        let drops = Traffic {
            received_segments: 5,
            ..traffic(0, 120, 9_000, 4_000)
        };
        for (what, before, after, activity) in [
            (
                "nothing",
                traffic(0, 0, 50, 50),
                traffic(0, 0, 3_050, 3_050),
                Activity::Silent,
            ),
            (
                "answered before",
                traffic(900, 100, 40, 40),
                traffic(900, 100, 3_040, 3_040),
                Activity::Idle,
            ),
            (
                "greeted by the server",
                traffic(1, 0, 40, 40),
                traffic(1, 0, 3_040, 3_040),
                Activity::Idle,
            ),
            (
                "the first request",
                traffic(0, 100, 40, 40),
                traffic(0, 100, 3_040, 3_040),
                Activity::Waiting,
            ),
            (
                "a later request",
                traffic(900, 200, 90, 40),
                traffic(900, 200, 3_090, 3_040),
                Activity::Waiting,
            ),
            (
                "a request just now, on one that was idle",
                traffic(900, 100, 40, 40),
                traffic(900, 200, 3_040, 5),
                Activity::Busy,
            ),
            (
                "another drop",
                traffic(0, 100, 900, 40),
                traffic(0, 110, 3_900, 5),
                Activity::Slow,
            ),
            ("drops before", drops, drops, Activity::Slow),
            (
                "an upload",
                traffic(0, 100_000, 900, 1),
                traffic(0, 9_000_000, 3_900, 1),
                Activity::Busy,
            ),
            (
                "requests and answers",
                traffic(900, 100, 4, 4),
                traffic(9_000, 1_000, 4, 4),
                Activity::Busy,
            ),
        ] {
            let (before, after) = (connection(before), connection(after));
            assert_eq!(of(Some(&before), &after, 3_000), activity, "{what}");
        }
    }

    #[test]
    fn a_client_that_takes_nothing_is_slow() {
        let full = ObservedConnection {
            unacknowledged_bytes: 40_000,
            ..connection(traffic(60_000, 100, 2_000, 9_000))
        };
        assert_eq!(of(Some(&full), &full, 3_000), Activity::Slow);
        let drained = connection(traffic(60_000, 100, 2_000, 9_000));
        assert_eq!(of(Some(&full), &drained, 3_000), Activity::Idle);
    }

    #[test]
    fn what_was_not_read_was_not_answered() {
        let unread = ObservedConnection {
            unread_bytes: 7,
            ..connection(traffic(1, 7, 3_040, 3_040))
        };
        assert_eq!(of(Some(&unread), &unread, 3_000), Activity::Waiting);
    }

    #[test]
    fn one_that_nobody_has_accepted_or_that_was_not_there_says_nothing() {
        let one = connection(traffic(0, 0, 9_000, 9_000));
        let queued = ObservedConnection { inode: 0, ..one };
        assert_eq!(of(Some(&queued), &queued, 3_000), Activity::Queued);
        assert_eq!(of(None, &one, 3_000), Activity::New);
        let unknown = ObservedConnection {
            traffic: None,
            ..one
        };
        assert_eq!(of(Some(&unknown), &unknown, 3_000), Activity::Busy);
    }

    #[test]
    fn who_has_asked_waits_until_the_answer() {
        for (traffic, waits) in [
            (traffic(100, 0, 4_000, 4_000), true),
            (traffic(100, 0, 1_000, 1_000), false),
            (traffic(200, 900, 4_000, 8_000), true),
            (traffic(200, 900, 4_000, 3_990), false),
            (traffic(0, 900, 8_000, 4_000), false),
        ] {
            let one = connection(traffic);
            assert_eq!(waits_for_answer(&one, 3_000), waits, "{traffic:?}");
        }
    }
}
