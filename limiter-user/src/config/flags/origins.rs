//! Which flag a value comes from.

use super::Flags;
use crate::policy::{
    Policy,
    origin::{InterfaceOrigins, LimitOrigins, Origin, Origins, ServerOrigins, ZoneOrigins},
};

impl Flags {
    /// Where the values of the policy come from that these flags gave.
    pub(super) fn origins(&self, policy: &Policy) -> Origins {
        let client = policy.zones.iter().any(|zone| zone.key.has_client());
        let prefix =
            |flag, text: &Option<String>| client.then(|| Origin::flag(flag, text.is_some()));
        let delay = policy
            .servers
            .iter()
            .find_map(|server| server.action.delay_ms());
        Origins {
            zones: vec![ZoneOrigins {
                zone: Origin::Default,
                key: Origin::flag("--key", self.key.is_some()),
                size_bytes: Origin::flag("--zone-size", self.zone_size.is_some()),
                v4_prefix: prefix("--v4-prefix", &self.v4_prefix),
                v6_prefix: prefix("--v6-prefix", &self.v6_prefix),
                on_full: Origin::flag("--on-full", self.on_full.is_some()),
            }],
            servers: vec![ServerOrigins {
                listen: vec![Origin::flag("--listen", true); self.listen.len()],
                limits: vec![LimitOrigins {
                    limit: Origin::flag("--limit", true),
                    overrides: Vec::new(),
                }],
                exempt_off: Some(Origin::Default),
                dry_run: Origin::flag("--dry-run", self.dry_run),
                log_level: Origin::flag("--log-level", self.log_level.is_some()),
                action: Origin::flag("--action", !self.action.is_empty()),
                delay_ms: delay.map(|_| Origin::flag("--action", self.action.len() > 1)),
                ..ServerOrigins::default()
            }],
            cgroups: vec![Origin::flag("--cgroup", true); self.cgroup.len()],
            interfaces: vec![
                InterfaceOrigins {
                    interface: Origin::flag("--interface", true),
                    mode: Origin::Default,
                };
                self.interface.len()
            ],
            control_group: Origin::flag("--control-group", self.control_group.is_some()),
            control_others: Origin::flag("--control-others", self.control_others.is_some()),
            metrics: vec![Origin::flag("--metrics", true); self.metrics.len()],
            ..Origins::default()
        }
    }
}
