//! A value for every client address, as `geo` and `map` give one.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// A value for every IPv4 and every IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByAddress {
    v4: Runs,
    v6: Runs,
}

impl ByAddress {
    /// `default`, and other values for networks: the smallest network wins, of equal ones the last.
    pub(super) fn new(default: &Rc<str>, networks: &[(IpNet, Rc<str>)]) -> Self {
        let of_family = |is_v4| {
            let networks = networks.iter();
            networks.filter(move |(network, _)| network.addr().is_ipv4() == is_v4)
        };
        Self {
            v4: Runs::new(u32::MAX.into(), default, of_family(true)),
            v6: Runs::new(u128::MAX, default, of_family(false)),
        }
    }

    /// Each value in place of another one.
    pub(super) fn map(&self, mut value: impl FnMut(&Rc<str>) -> Rc<str>) -> Self {
        Self {
            v4: self.v4.map(&mut value),
            v6: self.v6.map(&mut value),
        }
    }

    /// Every value there is, more than once where it is that of several networks.
    pub(super) fn values(&self) -> impl Iterator<Item = &Rc<str>> {
        let runs = self.v4.runs.iter().chain(&self.v6.runs);
        runs.map(|(_, value)| value)
    }

    /// The networks whose clients have this value, as few as possible.
    pub(super) fn networks(&self, value: &str) -> Vec<IpNet> {
        let v4 = self.v4.of(value).flat_map(|(first, last)| {
            // The runs of this family end at 32 bits.
            let address = |bits| Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX));
            Ipv4Subnets::new(address(first), address(last), 0).map(IpNet::V4)
        });
        let v6 = self.v6.of(value).flat_map(|(first, last)| {
            let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last));
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6)
        });
        v4.chain(v6).collect()
    }
}

/// One family. Addresses are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Runs {
    /// The first address of each run, in order, from 0 on. Neighbours have different values.
    runs: Vec<(u128, Rc<str>)>,
    /// The last address.
    last: u128,
}

impl Runs {
    fn new<'a>(
        last: u128,
        default: &Rc<str>,
        networks: impl Iterator<Item = &'a (IpNet, Rc<str>)>,
    ) -> Self {
        let mut networks: Vec<_> = networks
            .map(|(network, value)| {
                let ends = (bits(network.network()), bits(network.broadcast()));
                (ends, value)
            })
            .collect();
        // A network before those in it; of equal ones, the last one is written last.
        networks.sort_by_key(|((first, last), _)| (*first, Reverse(*last)));
        let mut all = Self {
            runs: Vec::new(),
            last,
        };
        all.begin(0, default);
        let mut around: Vec<(u128, &Rc<str>)> = Vec::new();
        for ((first, end), value) in networks {
            all.leave(&mut around, default, Some(first));
            all.begin(first, value);
            around.push((end, value));
        }
        all.leave(&mut around, default, None);
        all
    }

    /// Goes back to what is around the networks that end before `next`.
    fn leave(&mut self, around: &mut Vec<(u128, &Rc<str>)>, default: &Rc<str>, next: Option<u128>) {
        while let Some((end, _)) = around.pop_if(|(end, _)| next.is_none_or(|next| *end < next)) {
            if end < self.last {
                let value = around.last().map_or(default, |(_, value)| value);
                self.begin(end + 1, value);
            }
        }
    }

    /// A value holds from here on.
    fn begin(&mut self, first: u128, value: &Rc<str>) {
        self.runs.pop_if(|(start, _)| *start == first);
        if self.runs.last().is_none_or(|(_, other)| other != value) {
            self.runs.push((first, Rc::clone(value)));
        }
    }

    fn map(&self, value: &mut dyn FnMut(&Rc<str>) -> Rc<str>) -> Self {
        let mut mapped = Self {
            runs: Vec::new(),
            last: self.last,
        };
        for (first, old) in &self.runs {
            mapped.begin(*first, &value(old));
        }
        mapped
    }

    /// First and last address of each run with this value.
    fn of(&self, value: &str) -> impl Iterator<Item = (u128, u128)> {
        let ends = self.runs.iter().skip(1).map(|(first, _)| first - 1);
        let ends = ends.chain([self.last]);
        let runs = self.runs.iter().zip(ends);
        runs.filter(move |((_, other), _)| **other == *value)
            .map(|((first, _), end)| (*first, end))
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network;

    fn by_address(default: &str, networks: &[(&str, &str)]) -> ByAddress {
        let networks: Vec<_> = networks
            .iter()
            .map(|(network, value)| (network::parse(network).expect(network), Rc::from(*value)))
            .collect();
        ByAddress::new(&Rc::from(default), &networks)
    }

    fn networks(all: &ByAddress, value: &str) -> Vec<String> {
        let networks = all.networks(value);
        networks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_smallest_network_wins_and_of_equal_ones_the_last() {
        let all = by_address(
            "x",
            &[
                ("10.1.0.0/16", "b"),
                ("10.0.0.0/8", "a"),
                ("10.1.2.3", "c"),
                ("10.1.2.3", "d"),
                ("::1", "a"),
            ],
        );
        assert_eq!(networks(&all, "c"), [""; 0]);
        assert_eq!(networks(&all, "d"), ["10.1.2.3/32"]);
        assert_eq!(networks(&all, "a").len(), 8 + 1);
        assert_eq!(networks(&all, "b").len(), 16);
        assert_eq!(networks(&all, "b")[0], "10.1.0.0/23");
    }

    #[test]
    fn the_whole_space_is_one_network_a_family() {
        let all = by_address("x", &[]);
        assert_eq!(networks(&all, "x"), ["0.0.0.0/0", "::/0"]);
        let all = by_address(
            "x",
            &[("0.0.0.0/0", "y"), ("::/0", "y"), ("ffff::/16", "y")],
        );
        assert_eq!(networks(&all, "y"), ["0.0.0.0/0", "::/0"]);
        assert_eq!(networks(&all, "x"), [""; 0]);
        let all = by_address("x", &[("255.255.255.255", "y"), ("0.0.0.0/1", "y")]);
        assert_eq!(networks(&all, "y"), ["0.0.0.0/1", "255.255.255.255/32"]);
    }

    #[test]
    fn neighbours_become_one_network() {
        let all = by_address("", &[("192.0.2.0/25", "1"), ("192.0.2.128/25", "2")]);
        let same = all.map(|value| Rc::from(if value.is_empty() { "" } else { "x" }));
        assert_eq!(networks(&same, "x"), ["192.0.2.0/24"]);
        assert_eq!(same.values().filter(|value| &***value == "x").count(), 1);
    }
}
