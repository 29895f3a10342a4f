//! The numbers that the demo watches.

use std::{fmt, net::Ipv4Addr};

use crate::api::ZoneStatus;

/// Connections of one client, and verdicts on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) connections: u32,
    pub(super) passed: u32,
    pub(super) rejected: u32,
    pub(super) rejected_dry_run: u32,
}

impl Counts {
    /// A client without an entry has no connections.
    pub(super) fn of(client: Ipv4Addr, zone: &ZoneStatus) -> Self {
        let key = zone
            .top
            .iter()
            .flatten()
            .find(|key| key.parts.remote_addr == Some(client.into()));
        // The demo's numbers are small.
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            connections: key.map_or(0, |key| key.connections),
            passed: number(zone.passed),
            rejected: number(zone.rejected),
            rejected_dry_run: number(zone.rejected_dry_run),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections; all clients: passed {}, rejected {}, rejected in dry run {}",
            self.connections, self.passed, self.rejected, self.rejected_dry_run
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{KeyParts, KeyStatus};

    #[test]
    fn counts_are_those_of_one_client_in_one_zone() {
        let zone = ZoneStatus {
            passed: 13,
            rejected: 5,
            top: Some(vec![KeyStatus {
                parts: KeyParts {
                    remote_addr: Some("127.0.0.2".parse().expect("literal")),
                    ..KeyParts::default()
                },
                connections: 10,
                rejected: 5,
            }]),
            ..ZoneStatus::default()
        };
        let counts = Counts::of(Ipv4Addr::new(127, 0, 0, 2), &zone);
        assert_eq!(
            counts.to_string(),
            "10 connections; all clients: passed 13, rejected 5, rejected in dry run 0"
        );
        let nobody = Counts::of(Ipv4Addr::new(127, 0, 0, 9), &zone);
        assert_eq!(nobody.connections, 0);
    }
}
