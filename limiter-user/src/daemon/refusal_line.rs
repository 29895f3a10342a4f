//! What a refusal looks like in the log; the words are nginx's as far as they go.

use std::net::SocketAddr;

use crate::api::{Event, EventState, Reason};

/// The line for `event`; none for a connection that passed or closed.
pub fn refusal_line(event: &Event) -> Option<String> {
    let dry_run = match event.status {
        EventState::Passed | EventState::Closed => return None,
        EventState::Rejected => "",
        EventState::RejectedDryRun => ", dry run,",
    };
    let exhausted = match event.reason {
        Reason::Exhausted => " zone exhausted,",
        Reason::Limit | Reason::Timeout | Reason::None => "",
    };
    if event.hook == "connect" {
        let mut line = format!(
            "limiting connections{dry_run} to upstream \"{}\", server: {}, connections: {}, limit: {}",
            event.server,
            SocketAddr::new(event.remote_addr, event.remote_port),
            event.connections,
            event.limit,
        );
        if event.reason == Reason::Timeout {
            line.push_str(", timed out in the queue");
        }
        if event.suppressed > 0 {
            line.push_str(&format!(", suppressed: {}", event.suppressed));
        }
        return Some(line);
    }
    let mut line = format!(
        "limiting connections{dry_run} by zone \"{}\",{exhausted} client: {}, server: {}, \
         port: {}, local: {}, connections: {}, limit: {}",
        event.zone,
        event.remote_addr,
        event.server,
        event.remote_port,
        SocketAddr::new(event.local_addr, event.local_port),
        event.connections,
        event.limit,
    );
    // Dry run has done nothing.
    if event.status == EventState::Rejected {
        line.push_str(&format!(", action: {}", event.action));
    }
    if event.suppressed > 0 {
        line.push_str(&format!(", suppressed: {}", event.suppressed));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ActionKind;

    #[test]
    fn every_kind_of_refusal_has_its_line() {
        let rejected = Event::example();
        assert_eq!(
            refusal_line(&rejected).as_deref(),
            Some(
                "limiting connections by zone \"addr\", client: 192.0.2.1, server: default, port: 1234, \
                 local: 192.0.2.9:443, connections: 10, limit: 10, action: drop"
            )
        );
        let dry_run = Event {
            status: EventState::RejectedDryRun,
            suppressed: 42,
            ..Event::example()
        };
        assert_eq!(
            refusal_line(&dry_run).as_deref(),
            Some(
                "limiting connections, dry run, by zone \"addr\", client: 192.0.2.1, \
                 server: default, port: 1234, local: 192.0.2.9:443, connections: 10, limit: 10, suppressed: 42"
            )
        );
        let exhausted = Event {
            reason: Reason::Exhausted,
            remote_addr: "2001:db8::1".parse().expect("literal"),
            connections: 0,
            ..Event::example()
        };
        assert_eq!(
            refusal_line(&exhausted).as_deref(),
            Some(
                "limiting connections by zone \"addr\", zone exhausted, \
                 client: 2001:db8::1, server: default, port: 1234, local: 192.0.2.9:443, \
                 connections: 0, limit: 10, action: drop"
            )
        );
    }

    #[test]
    fn the_action_is_told() {
        for (action, end) in [
            (ActionKind::Drop, ", limit: 10, action: drop, suppressed: 7"),
            (
                ActionKind::Reset,
                ", limit: 10, action: reset, suppressed: 7",
            ),
            (
                ActionKind::Close,
                ", limit: 10, action: close, suppressed: 7",
            ),
        ] {
            let refused = Event {
                action,
                suppressed: 7,
                ..Event::example()
            };
            let line = refusal_line(&refused).expect("a line");
            assert!(line.ends_with(end), "{line}");
        }
    }

    #[test]
    fn passed_connections_are_not_logged() {
        let passed = Event {
            status: EventState::Passed,
            ..Event::example()
        };
        assert_eq!(refusal_line(&passed), None);
    }
}
