//! Open connections.

use std::net::SocketAddr;

use super::{
    duration,
    table::{Side, Table},
};
use crate::api::{ConnectionList, ConnectionStatus, SlotStatus};

/// One line per connection.
pub fn connections(list: &ConnectionList) -> String {
    let connections = &list.connections;
    // A machine without containers has one.
    let namespaces = connections
        .iter()
        .any(|it| it.netns != connections[0].netns);
    let mut columns = vec![
        ("CLIENT", Side::Left),
        ("LOCAL", Side::Left),
        ("SERVER", Side::Left),
        ("STATE", Side::Left),
        ("AGE", Side::Right),
        ("SLOTS", Side::Left),
        ("EXCESS", Side::Left),
        ("PROCESS", Side::Left),
    ];
    if namespaces {
        columns.push(("NETNS", Side::Right));
    }
    let mut table = Table::new(columns);
    for one in connections {
        let mut row = vec![
            SocketAddr::new(one.remote_addr, one.remote_port).to_string(),
            SocketAddr::new(one.local_addr, one.local_port).to_string(),
            one.server.clone().unwrap_or_else(|| "-".to_owned()),
            one.state.as_str().to_owned(),
            one.age_ms
                .map_or_else(|| "unknown".to_owned(), |ms| duration(ms / 1_000)),
            list_of(one.slots.iter().map(slot)),
            if one.excess { "excess" } else { "-" }.to_owned(),
            processes(one),
        ];
        if namespaces {
            row.push(one.netns.to_string());
        }
        table.row(row);
    }
    table.render()
}

/// Zone, and how many of how many.
fn slot(slot: &SlotStatus) -> String {
    let limit = slot
        .limit
        .map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    format!("{} {}/{limit}", slot.zone, slot.connections)
}

fn processes(one: &ConnectionStatus) -> String {
    // A process may call itself anything.
    let name = |name: &str| name.escape_debug().to_string();
    let processes = one.processes.iter();
    list_of(processes.map(|process| format!("{} {}", process.pid, name(&process.name))))
}

fn list_of(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{KeyParts, ProcessStatus, TcpState};

    #[test]
    fn a_connection_stands_in_one_line() {
        let slot = |zone: &str, connections, limit| SlotStatus {
            zone: zone.to_owned(),
            parts: KeyParts::default(),
            connections,
            limit,
            excess: false,
        };
        let first = ConnectionStatus {
            server: Some("web".to_owned()),
            remote_addr: [192, 0, 2, 1].into(),
            remote_port: 1234,
            local_addr: [192, 0, 2, 9].into(),
            local_port: 443,
            netns: 7,
            state: TcpState::CloseWait,
            age_ms: Some(61_999),
            excess: true,
            slots: vec![slot("addr", 11, Some(10)), slot("all", 40, None)],
            processes: vec![ProcessStatus {
                pid: 12,
                name: "nginx".to_owned(),
            }],
        };
        let second = ConnectionStatus {
            server: None,
            age_ms: None,
            excess: false,
            slots: Vec::new(),
            processes: Vec::new(),
            ..first.clone()
        };
        let mut list = ConnectionList {
            connections: vec![first, second],
            matching: 2,
            missing: 0,
            hidden_processes: 0,
        };
        assert_eq!(
            connections(&list),
            "\
CLIENT          LOCAL          SERVER  STATE             AGE  SLOTS                        EXCESS  PROCESS
192.0.2.1:1234  192.0.2.9:443  web     CLOSE_WAIT  1 min 1 s  addr 11/10, all 40/no limit  excess  12 nginx
192.0.2.1:1234  192.0.2.9:443  -       CLOSE_WAIT    unknown  -                            -       -
"
        );
        list.connections[1].netns = 8;
        assert!(connections(&list).starts_with("CLIENT "));
        assert!(connections(&list).ends_with(&format!("  -{}8\n", " ".repeat(13))));
    }
}
