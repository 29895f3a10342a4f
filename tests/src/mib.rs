//! The kernel's own counters of a namespace.

use std::fs;

use crate::netns::NetNs;

/// One counter, for instance `("Tcp", "InCsumErrors")`; names as in /proc/net/snmp and
/// /proc/net/netstat.
///
/// # Panics
/// If the kernel has no such counter.
pub fn counter(netns: &NetNs, group: &str, name: &str) -> u64 {
    let tables = netns.run(|| {
        ["snmp", "netstat"].map(|file| {
            fs::read_to_string(format!("/proc/thread-self/net/{file}"))
                .expect("read the counters of the namespace")
        })
    });
    tables
        .iter()
        .find_map(|table| find(table, group, name))
        .unwrap_or_else(|| panic!("the kernel does not count {group} {name}"))
}

/// Packets that a device of the namespace has received.
///
/// # Panics
/// If there is no such device.
pub fn received_packets(netns: &NetNs, device: &str) -> u64 {
    let table = netns.run(|| {
        fs::read_to_string("/proc/thread-self/net/dev").expect("read the counters of devices")
    });
    received(&table, device).unwrap_or_else(|| panic!("there is no device {device}"))
}

// `name: bytes packets …`, received first.
fn received(table: &str, device: &str) -> Option<u64> {
    let counters = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    counters.split_whitespace().nth(1)?.parse().ok()
}

// Two lines per group: `Group: Name Name …` and `Group: 1 2 …`.
fn find(table: &str, group: &str, name: &str) -> Option<u64> {
    let prefix = format!("{group}: ");
    let mut rows = table.lines().filter_map(|line| line.strip_prefix(&prefix));
    let column = rows.next()?.split(' ').position(|n| n == name)?;
    rows.next()?.split(' ').nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_column() {
        let table = "Ip: A B\nIp: 1 2\nTcp: A B C\nTcp: 3 4 5\n";
        assert_eq!(find(table, "Tcp", "B"), Some(4));
        assert_eq!(find(table, "Tcp", "D"), None);
    }

    #[test]
    fn a_device_is_found_by_its_whole_name() {
        let table = "Inter-| Receive\n face |bytes packets\n veth10: 1 2 0\n  veth1: 3 4 0\n";
        assert_eq!(received(table, "veth1"), Some(4));
        assert_eq!(received(table, "veth"), None);
    }
}
