//! Counters and settings of the network namespace of the calling thread.

use std::{fs, io};

use crate::api::doctor::{KernelReport, Rate};

/// Counters of TcpExt that tell of lost connections (net/ipv4/proc.c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `ListenOverflows`
    pub listen_overflows: u64,
    /// `ListenDrops`
    pub listen_drops: u64,
    /// `TCPReqQFullDrop`
    pub syn_queue_drops: u64,
    /// `TCPReqQFullDoCookies`
    pub syn_queue_cookies: u64,
    /// `SyncookiesSent`
    pub syncookies_sent: u64,
}

impl Counters {
    /// As they are now.
    ///
    /// # Errors
    ///
    /// If there is no /proc.
    pub fn read() -> io::Result<Self> {
        fs::read_to_string("/proc/thread-self/net/netstat").map(|text| Self::parse(&text))
    }

    /// Adds what another set has grown by between two readings. One that has begun anew adds nothing.
    pub fn add_growth(&mut self, before: &Self, now: &Self) {
        for (sum, before, now) in [
            (
                &mut self.listen_overflows,
                before.listen_overflows,
                now.listen_overflows,
            ),
            (
                &mut self.listen_drops,
                before.listen_drops,
                now.listen_drops,
            ),
            (
                &mut self.syn_queue_drops,
                before.syn_queue_drops,
                now.syn_queue_drops,
            ),
            (
                &mut self.syn_queue_cookies,
                before.syn_queue_cookies,
                now.syn_queue_cookies,
            ),
            (
                &mut self.syncookies_sent,
                before.syncookies_sent,
                now.syncookies_sent,
            ),
        ] {
            *sum += now.saturating_sub(before);
        }
    }

    /// From pairs of lines, names above values. What is not there is 0.
    fn parse(text: &str) -> Self {
        let mut counters = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let values = pair[1].split_ascii_whitespace();
            for (name, value) in pair[0].split_ascii_whitespace().zip(values) {
                let counter = match name {
                    "ListenOverflows" => &mut counters.listen_overflows,
                    "ListenDrops" => &mut counters.listen_drops,
                    "TCPReqQFullDrop" => &mut counters.syn_queue_drops,
                    "TCPReqQFullDoCookies" => &mut counters.syn_queue_cookies,
                    "SyncookiesSent" => &mut counters.syncookies_sent,
                    _ => continue,
                };
                *counter = value.parse().unwrap_or(0);
            }
        }
        counters
    }
}

/// What has grown since the first of two readings, with the settings as they are now.
pub fn kernel(before: &Counters, after: &Counters, interval_ms: u64) -> KernelReport {
    let rate = |before, after| rate(before, after, interval_ms);
    KernelReport {
        somaxconn: setting("core/somaxconn"),
        tcp_max_syn_backlog: setting("ipv4/tcp_max_syn_backlog"),
        tcp_syncookies: setting("ipv4/tcp_syncookies"),
        listen_overflows: rate(before.listen_overflows, after.listen_overflows),
        listen_drops: rate(before.listen_drops, after.listen_drops),
        syn_queue_drops: rate(before.syn_queue_drops, after.syn_queue_drops),
        syn_queue_cookies: rate(before.syn_queue_cookies, after.syn_queue_cookies),
        syncookies_sent: rate(before.syncookies_sent, after.syncookies_sent),
    }
}

/// A counter that was read twice.
pub(super) fn rate(before: u64, after: u64, interval_ms: u64) -> Rate {
    let grown = after.saturating_sub(before) as f64;
    Rate {
        total: after,
        per_s: grown * 1_000.0 / interval_ms.max(1) as f64,
    }
}

fn setting(name: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_values() {
        let text = "\
TcpExt: SyncookiesSent ListenOverflows ListenDrops Other TCPReqQFullDoCookies TCPReqQFullDrop
TcpExt: 1 2 3 4 5 6
IpExt: InNoRoutes
IpExt: 7
";
        let counters = Counters::parse(text);
        assert_eq!(
            counters,
            Counters {
                listen_overflows: 2,
                listen_drops: 3,
                syn_queue_drops: 6,
                syn_queue_cookies: 5,
                syncookies_sent: 1,
            }
        );
        assert_eq!(Counters::parse("TcpExt: ListenDrops"), Counters::default());
        Counters::read().expect("/proc");
    }

    #[test]
    fn a_rate_is_of_the_interval_and_a_total_of_ever() {
        let grown = rate(10, 16, 3_000);
        assert_eq!((grown.total, grown.per_s), (16, 2.0));
        assert_eq!(rate(10, 10, 3_000).per_s, 0.0);
        assert!(rate(10, 11, 0).per_s.is_finite());
    }
}
