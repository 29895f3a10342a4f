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
}
