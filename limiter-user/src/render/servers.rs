//! Servers in force.

use super::{
    on_off,
    table::{Side, Table},
};
use crate::{
    api::{LimitStatus, ServerStatus},
    network, time,
};

/// One line per server.
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
            network::few(&server.exempt),
            on_off(server.dry_run).to_owned(),
            server.log_level.to_string(),
            action(server),
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
    let limits: Vec<_> = server.limits.iter().map(limit).collect();
    limits.join(", ")
}

fn limit(limit: &LimitStatus) -> String {
    let LimitStatus {
        zone,
        limit,
        overrides,
    } = limit;
    match overrides.len() {
        0 => format!("{zone} {limit}"),
        1 => format!("{zone} {limit} (1 override)"),
        more => format!("{zone} {limit} ({more} overrides)"),
    }
}

fn action(server: &ServerStatus) -> String {
    match server.delay_ms {
        None => server.action.to_string(),
        Some(delay_ms) => format!("{} {}", server.action, time::format(delay_ms.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        daemon::view::{self, tests::policy},
        policy::{Action, Override},
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
web      80, 8000-8010  addr 10 (1 override), server 15  10.0.0.0/8  off      error      close 2s
"
        );
    }
}
