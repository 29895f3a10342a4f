//! The keys of a zone that stand out. Pure: every key is offered once, few are kept.

use std::{cmp::Reverse, collections::BinaryHeap, net::IpAddr};

use limiter_common::{
    entry::{Occupancy, ZoneEntry},
    key::ZoneKey,
};

use super::{in_force::InForce, view};
use crate::{
    api::{KeyStatus, TopBy},
    policy::Zone,
};

/// The best `most` of the keys offered, in a heap with the last of them in front.
pub struct TopKeys {
    by: TopBy,
    most: usize,
    kept: BinaryHeap<Rank>,
}

/// Less is better. Of those that are alike the lower address is, and at last the key itself: the order
/// does not depend on the map's.
type Rank = (Reverse<u64>, Reverse<u64>, IpAddr, ZoneKey);

impl TopKeys {
    /// Nothing has been offered yet.
    pub fn new(by: TopBy, most: usize) -> Self {
        Self {
            by,
            most,
            kept: BinaryHeap::new(),
        }
    }

    /// Keeps a key if it is among the best so far. One that has nothing of what is asked for is not.
    pub fn offer(&mut self, key: ZoneKey, entry: &ZoneEntry) {
        let connections = u64::from(Occupancy::from_word(entry.occupancy).connections);
        let (first, second) = match self.by {
            TopBy::Connections => (connections, entry.rejected()),
            TopBy::Rejected => (entry.rejected(), connections),
        };
        if first == 0 || self.most == 0 {
            return;
        }
        let rank = (Reverse(first), Reverse(second), key.remote().into(), key);
        if self.kept.len() < self.most {
            self.kept.push(rank);
        } else if let Some(mut last) = self.kept.peek_mut()
            && rank < *last
        {
            *last = rank;
        }
    }

    /// Those that were kept, the best one first.
    pub fn into_statuses(self, policy: &InForce, zone: &Zone) -> Vec<KeyStatus> {
        let by = self.by;
        let ranks = self.kept.into_sorted_vec().into_iter();
        ranks
            .map(|(Reverse(first), Reverse(second), _, key)| {
                let (connections, rejected) = match by {
                    TopBy::Connections => (first, second),
                    TopBy::Rejected => (second, first),
                };
                KeyStatus {
                    parts: view::key(policy, zone, &key),
                    // Was made from 32 bits.
                    connections: connections as u32,
                    rejected,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{
        in_force::tests::in_force,
        view::tests::{client, entry},
    };

    fn top(by: TopBy, most: usize, keys: &[(ZoneKey, ZoneEntry)]) -> Vec<String> {
        let policy = in_force();
        let mut top = TopKeys::new(by, most);
        for (key, entry) in keys {
            top.offer(*key, entry);
        }
        let statuses = top.into_statuses(&policy, &policy.zones[0]);
        let text = |key: &KeyStatus| {
            let addr = key.parts.remote_addr.expect("in the key");
            format!("{addr} {} {}", key.connections, key.rejected)
        };
        statuses.iter().map(text).collect()
    }

    #[test]
    fn the_busiest_keys_come_first_and_idle_ones_not_at_all() {
        let keys = [
            (client("192.0.2.3"), entry(1, 5)),
            (client("192.0.2.4"), entry(0, 99)),
            (client("192.0.2.2"), entry(1, 5)),
            (client("2001:db8::1"), entry(9, 0)),
        ];
        let busiest = ["2001:db8::1 9 0", "192.0.2.2 1 5", "192.0.2.3 1 5"];
        for most in [0, 1, 2, 3, 4, usize::MAX] {
            let shown = top(TopBy::Connections, most, &keys);
            assert_eq!(shown, busiest[..most.min(3)], "{most}");
        }
        // Whoever was refused may have nothing open.
        let refused = ["192.0.2.4 0 99", "192.0.2.2 1 5", "192.0.2.3 1 5"];
        for most in [0, 1, 2, 3, usize::MAX] {
            let shown = top(TopBy::Rejected, most, &keys);
            assert_eq!(shown, refused[..most.min(3)], "{most}");
        }
    }

    #[test]
    fn ties_do_not_depend_on_the_order_of_the_map() {
        let mut keys: Vec<_> = (0..100)
            .map(|n| (client(&format!("192.0.2.{n}")), entry(1 + n % 3, 7)))
            .collect();
        let by_connections = top(TopBy::Connections, 40, &keys);
        let by_rejected = top(TopBy::Rejected, 40, &keys);
        assert_eq!(by_connections[0], "192.0.2.2 3 7");
        for turn in 1..100 {
            keys.rotate_left(turn);
            assert_eq!(top(TopBy::Connections, 40, &keys), by_connections);
            assert_eq!(top(TopBy::Rejected, 40, &keys), by_rejected);
        }
    }
}
