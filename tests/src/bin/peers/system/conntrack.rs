//! Room for the connections that firewalls track.

use std::fs;

use anyhow::{Context as _, Result};

/// Where the kernel has how many connections it tracks at the most, in all namespaces together.
const MOST: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Where it has how large the table is in which it finds them.
const BUCKETS: &str = "/sys/module/nf_conntrack/parameters/hashsize";

/// Settings of the machine, put back when dropped.
pub struct Settings(Vec<(&'static str, String)>);

/// Has the kernel track as many connections as there may be: with the room that it has otherwise,
/// nftables and iptables would lose them.
pub fn room_for_a_million_conntracks() -> Result<Settings> {
    let mut settings = Settings(Vec::new());
    for (path, value) in [(MOST, "2200000"), (BUCKETS, "1048576")] {
        let before = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        fs::write(path, value).with_context(|| format!("write {value} to {path}"))?;
        settings.0.push((path, before));
    }
    Ok(settings)
}

impl Drop for Settings {
    fn drop(&mut self) {
        // The size of the table sets the number as well.
        for (path, before) in self.0.iter().rev() {
            if let Err(e) = fs::write(path, before) {
                eprintln!("put {path} back to {}: {e}", before.trim());
            }
        }
    }
}
