//! Who holds connections: clients and their networks.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;

use crate::api::doctor::{SourceReport, SourcesReport};

/// Bits of a network of clients: what one customer has (IPv6) or one hoster rents out (IPv4).
const V4_PREFIX: u8 = 24;
const V6_PREFIX: u8 = 64;
/// Sources that are named.
const NAMED: usize = 5;

/// Connections by client.
#[derive(Clone, Debug, Default)]
pub struct Sources(HashMap<IpAddr, u64>);

impl Sources {
    /// Counts one connection.
    pub fn add(&mut self, client: IpAddr) {
        *self.0.entry(client).or_default() += 1;
    }

    /// Those that hold most.
    pub fn report(&self) -> SourcesReport {
        let mut networks: HashMap<IpNet, u64> = HashMap::new();
        for (client, connections) in &self.0 {
            *networks.entry(network(*client)).or_default() += connections;
        }
        let total = self.0.values().sum();
        let clients = self.0.iter().map(|(client, count)| (*client, *count));
        SourcesReport {
            connections: total,
            clients: self.0.len() as u64,
            networks: networks.len() as u64,
            top_clients: top(clients, total),
            top_networks: top(networks.iter().map(|(net, count)| (*net, *count)), total),
        }
    }
}

fn network(client: IpAddr) -> IpNet {
    let bits = match client {
        IpAddr::V4(_) => V4_PREFIX,
        IpAddr::V6(_) => V6_PREFIX,
    };
    IpNet::new(client, bits).map_or_else(|_| client.into(), |net| net.trunc())
}

fn top<T: Ord + ToString>(all: impl Iterator<Item = (T, u64)>, total: u64) -> Vec<SourceReport> {
    let mut all: Vec<_> = all.collect();
    // Equal ones in the order of addresses, so that two reports agree.
    all.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let top = all.into_iter().take(NAMED);
    top.map(|(source, connections)| SourceReport {
        source: source.to_string(),
        connections,
        percent: (connections * 100).checked_div(total).unwrap_or(0),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_their_networks_are_ranked() {
        let mut sources = Sources::default();
        for (client, connections) in [
            ("192.0.2.1", 3),
            ("192.0.2.200", 2),
            ("198.51.100.1", 4),
            ("2001:db8::1", 1),
            ("2001:db8::ffff", 1),
        ] {
            for _ in 0..connections {
                sources.add(client.parse().expect("literal"));
            }
        }
        let report = sources.report();
        assert_eq!(
            (report.connections, report.clients, report.networks),
            (11, 5, 3)
        );
        let line =
            |one: &SourceReport| format!("{} {} {}", one.source, one.connections, one.percent);
        assert_eq!(line(&report.top_clients[0]), "198.51.100.1 4 36");
        assert_eq!(line(&report.top_networks[0]), "192.0.2.0/24 5 45");
        assert_eq!(line(&report.top_networks[2]), "2001:db8::/64 2 18");
        assert_eq!(report.top_clients.len(), 5);
        assert_eq!(Sources::default().report(), SourcesReport::default());
    }
}
