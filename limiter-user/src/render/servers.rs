//! Servers in force.

use super::{
    on_off,
    table::{Side, Table},
};
use crate::{api::ServerStatus, time};

/// One line per server.
pub fn servers(servers: &[ServerStatus]) -> String {
    let mut table = Table::new([
        ("SERVER", Side::Left),
        ("LISTEN", Side::Left),
        ("LIMITS", Side::Left),
        ("DRY RUN", Side::Left),
        ("LOG LEVEL", Side::Left),
        ("ACTION", Side::Left),
    ]);
    for server in servers {
        table.row([
            server.server.clone(),
            listen(&server.listen),
            limits(server),
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
    let limits = server.limits.iter();
    let limits: Vec<_> = limits.map(|l| format!("{} {}", l.zone, l.limit)).collect();
    limits.join(", ")
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
        policy::Action,
    };

    #[test]
    fn servers_stand_in_columns() {
        let mut policy = policy();
        policy.servers[1].action = Action::Close { delay_ms: 2_000 };
        assert_eq!(
            servers(&view::servers(&policy)),
            "\
SERVER   LISTEN         LIMITS              DRY RUN  LOG LEVEL  ACTION
default  every port     addr 20             off      error      drop
web      80, 8000-8010  addr 10, server 15  off      error      close 2s
"
        );
    }
}
