//! What a reload came to.

use super::{
    servers::servers,
    table::{Side, Table},
};
use crate::api::Reloaded;

/// The zones, what was adopted, and the servers.
pub fn reloaded(reloaded: &Reloaded) -> String {
    let mut table = Table::new([("ZONE", Side::Left), ("CHANGE", Side::Left)]);
    for zone in &reloaded.zones {
        table.row([zone.zone.clone(), zone.change.to_string()]);
    }
    let mut text = table.render();
    let Reloaded {
        adopted, missed, ..
    } = reloaded;
    if *adopted > 0 {
        text.push_str(&format!(
            "\nconnections that count from now on: {adopted}\n"
        ));
    }
    if *missed > 0 {
        text.push_str(&format!(
            "\nconnections that should count from now on, and could not be counted: {missed}\n"
        ));
    }
    text.push('\n');
    text.push_str(&servers(&reloaded.servers));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{ReloadedZone, ZoneChange},
        daemon::view::{self, tests::policy},
    };

    #[test]
    fn what_has_changed_comes_first() {
        let zone = |name: &str, change| ReloadedZone {
            zone: name.to_owned(),
            change,
        };
        let reloaded = Reloaded {
            servers: view::servers(&policy()),
            zones: vec![
                zone("addr", ZoneChange::Resized),
                zone("old", ZoneChange::Removed),
            ],
            adopted: 7,
            missed: 0,
            warnings: Vec::new(),
        };
        let text = super::reloaded(&reloaded);
        assert!(
            text.starts_with(
                "\
ZONE  CHANGE
addr  resized, keeps its counts
old   removed

connections that count from now on: 7

SERVER   LISTEN"
            ),
            "{text}"
        );
    }
}
