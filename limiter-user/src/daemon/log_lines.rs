//! What servers and zones look like in the log; pure.

use crate::{
    api::{ServerStatus, ZoneStatus},
    network, time,
};

/// A server that a command has changed.
pub(super) fn change_line(server: &ServerStatus) -> String {
    let limits = server.limits.iter();
    let limits: Vec<_> = limits.map(|l| format!("{} {}", l.zone, l.limit)).collect();
    let mut line = format!(
        "server {:?} changed: limits {}, exempt {}, dry run {}, log level {}, action {}",
        server.server,
        limits.join(", "),
        network::few(&server.exempt),
        if server.dry_run { "on" } else { "off" },
        server.log_level,
        server.action
    );
    if let Some(delay_ms) = server.delay_ms {
        line.push_str(&format!(", delay {}", time::format(delay_ms.into())));
    }
    line
}

/// A zone, when the daemon stops.
pub(super) fn summary(zone: &ZoneStatus) -> String {
    format!(
        "zone {:?}: passed {}, skipped {}, rejected {}, rejected_dry_run {}, exhausted {}, \
         exhausted_dry_run {}, syn_retransmits {}, excess {}, untracked {}, evicted {}, drift {}, still open {}",
        zone.zone,
        zone.passed,
        zone.skipped,
        zone.rejected,
        zone.rejected_dry_run,
        zone.exhausted,
        zone.exhausted_dry_run,
        zone.syn_retransmits,
        zone.excess,
        zone.untracked,
        zone.evicted,
        zone.drift,
        zone.connections
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{daemon::view, policy::ActionKind};

    #[test]
    fn a_changed_server_says_everything_that_can_change() {
        let mut server = view::servers(&view::tests::policy()).remove(1);
        assert_eq!(
            change_line(&server),
            "server \"web\" changed: limits addr 10, server 15, exempt none, dry run off, \
             log level error, action drop"
        );
        server.action = ActionKind::Close;
        server.delay_ms = Some(90_000);
        let line = change_line(&server);
        assert!(line.ends_with(", action close, delay 1m30s"), "{line}");
    }

    #[test]
    fn the_summary_names_every_counter() {
        let zone = ZoneStatus {
            zone: "addr".to_owned(),
            passed: 12,
            rejected: 3,
            connections: 2,
            ..ZoneStatus::default()
        };
        assert_eq!(
            summary(&zone),
            "zone \"addr\": passed 12, skipped 0, rejected 3, rejected_dry_run 0, exhausted 0, \
             exhausted_dry_run 0, syn_retransmits 0, excess 0, untracked 0, evicted 0, drift 0, still open 2"
        );
    }
}
