//! The policy is read again, on request or on SIGHUP: where it comes from, and what is said about it.

use std::sync::Arc;

use super::{log::notice, service::Daemon, view};
use crate::{
    api::{Reloaded, ReloadedZone, ZoneChange},
    control::{refusal::Refusal, service::Service as _},
    kernel::{Adopted, Applied, Origin},
    policy::Policy,
};

/// A policy as it was read.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    /// What is to be enforced.
    pub policy: Policy,
    /// What was hardly meant that way.
    pub warnings: Vec<Message>,
}

/// Something about a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// In one line, for a log.
    pub line: String,
    /// With the lines that it is about, for a terminal. Ends with a newline.
    pub text: String,
}

/// Reads the policy once more from where it came from.
pub type Source = Arc<dyn Fn() -> Result<Fresh, Message> + Send + Sync>;

/// Reloads at each signal, until dropped.
pub async fn on_signal(mut signal: tokio::signal::unix::Signal, daemon: Arc<Daemon>) {
    while signal.recv().await.is_some() {
        if let Err(refusal) = daemon.reload().await
            && refusal.code != Refusal::BAD_CONFIGURATION
        {
            tracing::error!("reload: {refusal}");
        }
    }
}

/// What is said of it.
pub(super) fn reloaded(
    before: &Policy,
    now: &Policy,
    applied: &Applied,
    warnings: &[Message],
) -> Reloaded {
    let zones = now.zones.iter().zip(&applied.zones);
    let mut zones: Vec<_> = zones
        .map(|(zone, applied)| ReloadedZone {
            zone: zone.name.clone(),
            change: match applied.origin {
                Origin::Kept | Origin::Carried => ZoneChange::Kept,
                Origin::Resized { .. } => ZoneChange::Resized,
                Origin::OtherKey => ZoneChange::OtherKey,
                Origin::New => ZoneChange::New,
            },
        })
        .collect();
    let is_gone = |name: &str| now.zones.iter().all(|zone| zone.name != name);
    for zone in before.zones.iter().filter(|zone| is_gone(&zone.name)) {
        zones.push(ReloadedZone {
            zone: zone.name.clone(),
            change: ZoneChange::Removed,
        });
    }
    Reloaded {
        servers: view::servers(now),
        zones,
        adopted: applied.adopted.connections,
        missed: applied.adopted.missed,
        warnings: warnings.iter().map(|it| it.text.clone()).collect(),
    }
}

/// What is read again and cannot change while the daemon runs.
pub(super) fn at_the_next_start(before: &Policy, now: &Policy) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut note = |directive: &str| {
        let line = format!("{directive} has changed: that takes effect at the next start");
        let text = format!("warning: {line}\n");
        messages.push(Message { line, text });
    };
    if before.error_log != now.error_log {
        note("error_log");
    }
    if before.control != now.control || before.grant != now.grant {
        note("control");
    }
    messages
}

/// Writes to the log what has changed.
pub(super) fn log(
    reloaded: &Reloaded,
    adopted: &Adopted,
    warnings: &[Message],
    (before, now): (&Policy, &Policy),
) {
    notice!(
        "policy reloaded, servers: {}, zones: {}",
        reloaded.servers.len(),
        count(reloaded, |change| change != ZoneChange::Removed)
    );
    for zone in &reloaded.zones {
        if zone.change != ZoneChange::Kept {
            notice!("zone {:?}: {}", zone.zone, zone.change);
        }
    }
    if now.metrics.listen != before.metrics.listen {
        super::log_ports(&now.metrics);
    }
    super::log_adopted(adopted);
    for warning in warnings {
        tracing::warn!("{}", warning.line);
    }
}

fn count(reloaded: &Reloaded, which: impl Fn(ZoneChange) -> bool) -> usize {
    let zones = reloaded.zones.iter();
    zones.filter(|zone| which(zone.change)).count()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use limiter_common::counters::ZoneCounters;

    use super::*;
    use crate::{daemon::view::tests::policy, kernel::AppliedZone, policy::LogLevel};

    #[test]
    fn every_zone_is_told_and_what_has_to_wait() {
        let before = policy();
        let mut now = before.clone();
        now.zones[1].name = "other".to_owned();
        now.control = Some(PathBuf::from("/run/other.sock"));
        now.error_log.level = LogLevel::Debug;
        let zone = |origin| AppliedZone {
            origin,
            start: ZoneCounters::default(),
            past: ZoneCounters::default(),
        };
        let applied = Applied {
            zones: vec![zone(Origin::Resized { from: 0 }), zone(Origin::New)],
            adopted: Adopted {
                connections: 3,
                missed: 1,
                outside: Vec::new(),
                ..Adopted::default()
            },
        };
        let waits = at_the_next_start(&before, &now);
        let reloaded = reloaded(&before, &now, &applied, &waits);
        let json = serde_json::to_value(&reloaded).expect("JSON");
        assert_eq!(
            json["zones"],
            serde_json::json!([
                {"zone": "addr", "change": "resized"},
                {"zone": "other", "change": "new"},
                {"zone": "server", "change": "removed"},
            ])
        );
        assert_eq!((&json["adopted"], &json["missed"]), (&3.into(), &1.into()));
        assert_eq!(
            reloaded.warnings,
            [
                "warning: error_log has changed: that takes effect at the next start\n",
                "warning: control has changed: that takes effect at the next start\n",
            ]
        );
    }
}
