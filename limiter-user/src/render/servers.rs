//! Servers in force.

use std::fmt::Display;

use super::{
    on_off,
    table::{Side, Table},
};
use crate::{
    api::{LimitStatus, ServerStatus, Setting},
    network, time,
};

/// One line per server. Behind a value that differs from the policy as it was loaded stands what was
/// loaded.
pub fn servers(servers: &[ServerStatus]) -> String {
    let mut table = Table::new([
        ("SERVER", Side::Left),
        ("LISTEN", Side::Left),
        ("LIMITS", Side::Left),
        ("EXEMPT", Side::Left),
        ("DRY RUN", Side::Left),
        ("LOG LEVEL", Side::Left),
        ("ACTION", Side::Left),
    ]);
    for server in servers {
        table.row([
            server.server.clone(),
            listen(&server.listen),
            limits(server),
            exempt(server),
            marked(server, Setting::LimitConnDryRun, on_off(server.dry_run)),
            marked(server, Setting::LimitConnLogLevel, server.log_level),
            marked(server, Setting::LimitConnAction, action(server)),
        ]);
    }
    table.render()
}

fn listen(listen: &[String]) -> String {
    if listen.is_empty() {
        return "every port".to_owned();
    }
    listen.join(", ")
}

fn limits(server: &ServerStatus) -> String {
    if server.limits.is_empty() {
        return "none".to_owned();
    }
    let limits = server.limits.iter();
    let limits: Vec<_> = limits.map(|limit| self::limit(server, limit)).collect();
    limits.join(", ")
}

fn limit(server: &ServerStatus, limit: &LimitStatus) -> String {
    let LimitStatus {
        zone,
        limit,
        overrides,
    } = limit;
    let overrides = match overrides.len() {
        0 => None,
        1 => Some("1 override".to_owned()),
        more => Some(format!("{more} overrides")),
    };
    let loaded = loaded(server, Setting::LimitConn, Some(zone));
    noted(
        format!("{zone} {limit}"),
        overrides.into_iter().chain(loaded),
    )
}

fn exempt(server: &ServerStatus) -> String {
    let changed = server.changed.iter();
    let changed = changed.filter(|it| it.setting == Setting::LimitConnExempt);
    let added: Vec<_> = changed.clone().filter_map(|it| it.now.as_ref()).collect();
    let removed: Vec<_> = changed.filter_map(|it| it.loaded.as_ref()).collect();
    let notes = [("added", added), ("removed", removed)];
    let notes = notes.iter().filter(|(_, networks)| !networks.is_empty());
    noted(
        network::few(&server.exempt),
        notes.map(|(what, networks)| format!("{what}: {}", network::few(networks))),
    )
}

/// As in the configuration.
fn action(server: &ServerStatus) -> String {
    match server.delay_ms {
        None => server.action.to_string(),
        Some(delay_ms) => format!("{} delay={}", server.action, time::format(delay_ms.into())),
    }
}

/// A value, and what was loaded if that is something else.
fn marked(server: &ServerStatus, setting: Setting, value: impl Display) -> String {
    noted(value, loaded(server, setting, None))
}

fn loaded(server: &ServerStatus, setting: Setting, zone: Option<&str>) -> Option<String> {
    let mut changed = server.changed.iter();
    let changed = changed.find(|it| it.setting == setting && it.zone.as_deref() == zone)?;
    Some(format!("loaded: {}", changed.loaded.as_ref()?))
}

fn noted(value: impl Display, notes: impl IntoIterator<Item = String>) -> String {
    let notes: Vec<_> = notes.into_iter().collect();
    if notes.is_empty() {
        return value.to_string();
    }
    format!("{value} ({})", notes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        daemon::{
            differences,
            view::{self, tests::policy},
        },
        policy::{Action, LogLevel, Override},
    };

    #[test]
    fn servers_stand_in_columns() {
        let mut policy = policy();
        policy.servers[1].action = Action::Close { delay_ms: 2_000 };
        let network = |text: &str| text.parse().expect("literal");
        policy.servers[1].exempt = vec![network("10.0.0.0/8")];
        policy.servers[1].limits[0].overrides = vec![Override {
            network: network("192.0.2.1/32"),
            number: 500,
        }];
        assert_eq!(
            servers(&view::servers(&policy)),
            "\
SERVER   LISTEN         LIMITS                           EXEMPT      DRY RUN  LOG LEVEL  ACTION
default  every port     addr 20                          none        off      error      drop
web      80, 8000-8010  addr 10 (1 override), server 15  10.0.0.0/8  off      error      close delay=2s
"
        );
    }

    #[test]
    fn what_commands_have_changed_is_marked() {
        let network = |text: &str| text.parse().expect("literal");
        let mut loaded = policy();
        loaded.servers[1].limits[0].overrides = vec![Override {
            network: network("192.0.2.1/32"),
            number: 500,
        }];
        loaded.servers[1].exempt = vec![network("10.0.0.0/8")];
        let mut now = loaded.clone();
        now.servers[0].limits[0].number = 5;
        now.servers[0].dry_run = true;
        now.servers[0].exempt = vec![network("::1/128")];
        now.servers[1].limits[0].number = 11;
        now.servers[1].limits[1].number = 16;
        now.servers[1].exempt.clear();
        now.servers[1].log_level = LogLevel::Warn;
        now.servers[1].action = Action::Close { delay_ms: 2_000 };
        assert_eq!(
            servers(&differences::servers(&loaded, &now)),
            "\
SERVER   LISTEN         LIMITS                                                    EXEMPT                      DRY RUN           LOG LEVEL             ACTION
default  every port     addr 5 (loaded: 20)                                       ::1/128 (added: ::1/128)    on (loaded: off)  error                 drop
web      80, 8000-8010  addr 11 (1 override; loaded: 10), server 16 (loaded: 15)  none (removed: 10.0.0.0/8)  off               warn (loaded: error)  close delay=2s (loaded: drop)
"
        );
    }
}
