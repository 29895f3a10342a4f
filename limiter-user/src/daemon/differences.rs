//! What commands have changed: the policy in force beside the one that was loaded.

use std::{collections::HashSet, fmt::Display};

use super::view;
use crate::{
    api::{Difference, ServerStatus, Setting},
    policy::{Policy, Server},
};

/// Every server in force, with what differs from the policy as it was loaded. `now` is `loaded` with
/// changes made to it: zones and servers are the same, in the same order.
pub fn servers(loaded: &Policy, now: &Policy) -> Vec<ServerStatus> {
    let servers = 0..now.servers.len();
    servers.map(|index| server(loaded, now, index)).collect()
}

/// The server at one position, as [`servers`] shows it.
pub fn server(loaded: &Policy, now: &Policy, index: usize) -> ServerStatus {
    let server = &now.servers[index];
    let before = loaded.servers.get(index);
    ServerStatus {
        changed: before.map_or_else(Vec::new, |before| differences(now, before, server)),
        ..view::server(now, server)
    }
}

/// Everything that a command can change.
fn differences(policy: &Policy, before: &Server, now: &Server) -> Vec<Difference> {
    let mut all = limits(policy, before, now);
    all.extend(exempt(before, now));
    let switch = |on| if on { "on" } else { "off" };
    all.extend(difference(
        Setting::LimitConnDryRun,
        switch(before.dry_run),
        switch(now.dry_run),
    ));
    all.extend(difference(
        Setting::LimitConnLogLevel,
        before.log_level,
        now.log_level,
    ));
    all.extend(difference(
        Setting::LimitConnAction,
        before.action,
        now.action,
    ));
    all
}

fn limits(policy: &Policy, before: &Server, now: &Server) -> Vec<Difference> {
    let limits = before.limits.iter().zip(&now.limits);
    limits
        .filter_map(|(before, now)| {
            let zone = policy.zones.get(now.zone)?.name.clone();
            Some(Difference {
                zone: Some(zone),
                ..difference(Setting::LimitConn, before.number, now.number)?
            })
        })
        .collect()
}

/// Their order means nothing.
fn exempt(before: &Server, now: &Server) -> Vec<Difference> {
    let lacking_in = |server: &Server| {
        let networks: HashSet<_> = server.exempt.iter().copied().collect();
        move |network: &&_| !networks.contains(*network)
    };
    let one = |loaded, now| Difference {
        setting: Setting::LimitConnExempt,
        zone: None,
        loaded,
        now,
    };
    let removed = before.exempt.iter().filter(lacking_in(now));
    let added = now.exempt.iter().filter(lacking_in(before));
    removed
        .map(|network| one(Some(network.to_string()), None))
        .chain(added.map(|network| one(None, Some(network.to_string()))))
        .collect()
}

fn difference<T: PartialEq + Display>(setting: Setting, before: T, now: T) -> Option<Difference> {
    (before != now).then(|| Difference {
        setting,
        zone: None,
        loaded: Some(before.to_string()),
        now: Some(now.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        daemon::view::tests::policy,
        policy::{Action, LogLevel},
    };

    /// What is done to the second server, and what it shows then.
    type Case = (fn(&mut Server), &'static str);

    const CASES: &[Case] = &[
        (|_| (), "[]"),
        (
            |web| web.limits[0].number = 5,
            r#"[{"setting":"limit_conn","zone":"addr","loaded":"10","now":"5"}]"#,
        ),
        (
            |web| web.limits[1].number = 65_535,
            r#"[{"setting":"limit_conn","zone":"server","loaded":"15","now":"65535"}]"#,
        ),
        (
            |web| web.exempt.push(network("192.0.2.1/32")),
            r#"[{"setting":"limit_conn_exempt","now":"192.0.2.1/32"}]"#,
        ),
        (
            |web| web.exempt.truncate(1),
            r#"[{"setting":"limit_conn_exempt","loaded":"2001:db8::/32"}]"#,
        ),
        // A network within another is another network.
        (
            |web| web.exempt[0] = network("10.0.0.0/9"),
            r#"[{"setting":"limit_conn_exempt","loaded":"10.0.0.0/8"},{"setting":"limit_conn_exempt","now":"10.0.0.0/9"}]"#,
        ),
        // Removed and added again.
        (|web| web.exempt.reverse(), "[]"),
        (
            |web| web.dry_run = true,
            r#"[{"setting":"limit_conn_dry_run","loaded":"off","now":"on"}]"#,
        ),
        (
            |web| web.log_level = LogLevel::Info,
            r#"[{"setting":"limit_conn_log_level","loaded":"error","now":"info"}]"#,
        ),
        (
            |web| web.action = Action::Reset,
            r#"[{"setting":"limit_conn_action","loaded":"close delay=2s","now":"reset"}]"#,
        ),
        (
            |web| web.action = Action::Close { delay_ms: 90_000 },
            r#"[{"setting":"limit_conn_action","loaded":"close delay=2s","now":"close delay=1m30s"}]"#,
        ),
        (
            |web| {
                web.limits[0].number = 11;
                web.exempt.clear();
                web.dry_run = true;
                web.log_level = LogLevel::Warn;
                web.action = Action::Drop;
            },
            r#"[{"setting":"limit_conn","zone":"addr","loaded":"10","now":"11"},{"setting":"limit_conn_exempt","loaded":"10.0.0.0/8"},{"setting":"limit_conn_exempt","loaded":"2001:db8::/32"},{"setting":"limit_conn_dry_run","loaded":"off","now":"on"},{"setting":"limit_conn_log_level","loaded":"error","now":"warn"},{"setting":"limit_conn_action","loaded":"close delay=2s","now":"drop"}]"#,
        ),
    ];

    fn network<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().expect("literal")
    }

    #[test]
    fn what_differs_from_the_policy_as_loaded_is_named() {
        let mut loaded = policy();
        loaded.servers[1].exempt = vec![network("10.0.0.0/8"), network("2001:db8::/32")];
        loaded.servers[1].action = Action::Close { delay_ms: 2_000 };
        for (change, expected) in CASES {
            let mut now = loaded.clone();
            change(&mut now.servers[1]);
            let shown = servers(&loaded, &now);
            assert_eq!(
                serde_json::to_string(&shown[1].changed).expect("JSON"),
                *expected
            );
            assert_eq!(shown[0].changed, [], "{expected}");
            // The rest of it, and all of it once it is loaded like that.
            assert_eq!(servers(&now, &now), view::servers(&now));
            let values = |changed| ServerStatus {
                changed: Vec::new(),
                ..changed
            };
            let shown: Vec<_> = shown.into_iter().map(values).collect();
            assert_eq!(shown, view::servers(&now));
        }
    }

    #[test]
    fn a_server_without_differences_says_nothing_about_them() {
        let policy = policy();
        let json = serde_json::to_value(servers(&policy, &policy)).expect("JSON");
        assert!(json[0].get("changed").is_none(), "{json}");
    }
}
