//! One line per event.

use std::net::SocketAddr;

use jiff::tz::TimeZone;

use super::colour::Colour;
use crate::api::{Event, EventState, Reason};

/// `12:00:01.123 REJECTED limit zone=addr server=default 192.0.2.1:1234 → 192.0.2.9:443 10/10 drop`,
/// with the time of day in `zone`. The action stands there only if it was carried out, and how long the
/// connection lasted only if it was closed.
pub fn event(event: &Event, zone: &TimeZone, colour: Colour) -> String {
    let time = event.time.to_zoned(zone.clone());
    let mut line = format!(
        "{} {} {} zone={} server={} {} → {} {}/{}",
        colour.faint(&time.strftime("%H:%M:%S%.3f").to_string()),
        colour.of_status(event.status, event.status.as_str()),
        reason(event.reason),
        event.zone,
        event.server,
        colour.strong(&SocketAddr::new(event.remote_addr, event.remote_port).to_string()),
        SocketAddr::new(event.local_addr, event.local_port),
        event.connections,
        event.limit,
    );
    if event.status == EventState::Rejected {
        line.push_str(&format!(" {}", event.action));
    }
    if let Some(seconds) = event.duration_s {
        line.push_str(&format!(" after {seconds:.3} s"));
    }
    if event.suppressed > 0 {
        line.push_str(&format!(" (+{} suppressed)", event.suppressed));
    }
    line.push('\n');
    line
}

/// Never empty, so that the columns stay where they are.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "-",
        Reason::Limit => "limit",
        Reason::Exhausted => "exhausted",
        Reason::Timeout => "timeout",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ActionKind;

    fn rejected() -> Event {
        Event {
            time: "2026-01-01T12:00:01.123456Z".parse().expect("a time"),
            suppressed: 42,
            ..Event::example()
        }
    }

    #[test]
    fn a_refusal_is_one_line() {
        for action in [ActionKind::Drop, ActionKind::Reset, ActionKind::Close] {
            let refused = Event {
                action,
                ..rejected()
            };
            assert_eq!(
                event(&refused, &TimeZone::UTC, Colour::Off),
                format!(
                    "12:00:01.123 REJECTED limit zone=addr server=default \
                     192.0.2.1:1234 → 192.0.2.9:443 10/10 {action} (+42 suppressed)\n"
                )
            );
        }
    }

    #[test]
    fn dry_run_did_nothing() {
        let dry_run = Event {
            status: EventState::RejectedDryRun,
            action: ActionKind::Reset,
            ..rejected()
        };
        assert_eq!(
            event(&dry_run, &TimeZone::UTC, Colour::Off),
            "12:00:01.123 REJECTED_DRY_RUN limit zone=addr server=default \
             192.0.2.1:1234 → 192.0.2.9:443 10/10 (+42 suppressed)\n"
        );
    }

    #[test]
    fn a_passed_connection_has_the_same_columns() {
        let passed = Event {
            status: EventState::Passed,
            reason: Reason::None,
            remote_addr: "2001:db8::1".parse().expect("literal"),
            connections: 3,
            suppressed: 0,
            ..rejected()
        };
        assert_eq!(
            event(&passed, &TimeZone::UTC, Colour::Off),
            "12:00:01.123 PASSED - zone=addr server=default \
             [2001:db8::1]:1234 → 192.0.2.9:443 3/10\n"
        );
    }

    #[test]
    fn a_closed_connection_tells_how_long_it_lasted() {
        let closed = Event {
            status: EventState::Closed,
            reason: Reason::None,
            connections: 9,
            duration_s: Some(75.0625),
            suppressed: 0,
            ..rejected()
        };
        assert_eq!(
            event(&closed, &TimeZone::UTC, Colour::Off),
            "12:00:01.123 CLOSED - zone=addr server=default \
             192.0.2.1:1234 → 192.0.2.9:443 9/10 after 75.062 s\n"
        );
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let coloured = event(&rejected(), &TimeZone::UTC, Colour::On);
        assert!(
            coloured.contains("\x1b[1;31mREJECTED\x1b[0m"),
            "{coloured:?}"
        );
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, behind)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = behind.split_once('m').expect("the end of a colour").1;
        }
        plain.push_str(rest);
        assert_eq!(plain, event(&rejected(), &TimeZone::UTC, Colour::Off));
    }
}
