//! Client networks that are treated otherwise than the rest: the trie that the programs look them up
//! in.

use std::collections::HashMap;

use aya::maps::{LpmTrie, MapData, lpm_trie::Key};
use ipnet::IpNet;
use limiter_common::{
    addr::Addr,
    names::MAP_NETWORKS,
    policy::{EXEMPT, Network, ORDINARY, ServerPolicy},
};

use super::{
    error::{Context, KernelError},
    raw::Raw,
};
use crate::policy::Server;

/// Bits before an IPv4 address in its 128-bit form.
pub(super) const MAPPED_BITS: u8 = 96;

/// Whom each network is for, and what that means: a number of connections, [`ORDINARY`], or, for
/// [`EXEMPT`], anything else.
pub(super) type Networks = HashMap<Place, u32>;

/// A network of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    server: u16,
    /// Position of a limit, or [`EXEMPT`].
    limit: u8,
    addr: Addr,
    bits: u8,
}

/// The networks of all servers, with their indices.
pub(super) fn compile<'a>(servers: impl Iterator<Item = (u16, &'a Server)>) -> Networks {
    let mut networks = Networks::new();
    for (index, server) in servers {
        let exempt = server.exempt.iter().map(|network| (*network, 0));
        add(&mut networks, index, EXEMPT, exempt);
        for (position, limit) in (0..).zip(&server.limits) {
            let overrides = limit.overrides.iter();
            let overrides = overrides.map(|it| (it.network, u32::from(it.number)));
            add(&mut networks, index, position, overrides);
        }
    }
    networks
}

fn add(networks: &mut Networks, server: u16, limit: u8, list: impl Iterator<Item = (IpNet, u32)>) {
    let place = |addr: Addr, bits| Place {
        server,
        limit,
        addr,
        bits,
    };
    let every_v4 = place(Addr::UNSPECIFIED_V4, MAPPED_BITS);
    for (network, value) in list {
        let addr = Addr::from(network.network());
        match network {
            IpNet::V4(v4) => {
                networks.insert(place(addr, MAPPED_BITS + v4.prefix_len()), value);
            }
            IpNet::V6(v6) => {
                networks.insert(place(addr, v6.prefix_len()), value);
                // In the trie IPv4 addresses are a part of IPv6, for people they are not.
                if v6.prefix_len() < MAPPED_BITS && every_v4.addr.prefix(v6.prefix_len()) == addr {
                    networks.entry(every_v4).or_insert(ORDINARY);
                }
            }
        }
    }
}

/// The trie, and what stands in each half of it.
pub(super) struct NetworkMap {
    map: LpmTrie<MapData, Raw<Network>, u32>,
    halves: [Networks; 2],
}

impl NetworkMap {
    pub(super) fn new(map: LpmTrie<MapData, Raw<Network>, u32>) -> Self {
        Self {
            map,
            halves: [Networks::new(), Networks::new()],
        }
    }

    /// The map, in which another daemon has written.
    pub(super) fn take_over(map: LpmTrie<MapData, Raw<Network>, u32>) -> Result<Self, KernelError> {
        let mut halves = [Networks::new(), Networks::new()];
        for entry in map.iter() {
            let (key, value) = entry.context("read map", MAP_NETWORKS)?;
            let (half, limit, server, addr) = key.data().0.parts();
            let place = Place {
                server,
                limit,
                addr,
                bits: (key.prefix_len() - Network::bits(0)) as u8,
            };
            halves[usize::from(half & 1)].insert(place, value);
        }
        Ok(Self { map, halves })
    }

    /// Writes what differs from what stands there.
    pub(super) fn write(&mut self, half: u8, networks: &Networks) -> Result<(), KernelError> {
        let known = &mut self.halves[usize::from(half)];
        let gone: Vec<Place> = known
            .keys()
            .filter(|place| !networks.contains_key(place))
            .copied()
            .collect();
        for place in gone {
            self.map
                .remove(&key(half, place))
                .context("write map", MAP_NETWORKS)?;
            known.remove(&place);
        }
        for (place, value) in networks {
            if known.get(place) != Some(value) {
                self.map
                    .insert(&key(half, *place), value, 0)
                    .context("write map", MAP_NETWORKS)?;
                known.insert(*place, *value);
            }
        }
        Ok(())
    }
}

fn key(half: u8, place: Place) -> Key<Raw<Network>> {
    let server = ServerPolicy {
        index: place.server,
        half,
        ..ServerPolicy::default()
    };
    let network = Network::new(&server, place.limit, &place.addr);
    Key::new(Network::bits(place.bits), Raw(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(list: &[(&str, u32)]) -> Vec<(String, u8, u32)> {
        let mut networks = Networks::new();
        let list = list
            .iter()
            .map(|(network, value)| (network.parse().expect("literal"), *value));
        add(&mut networks, 3, 1, list);
        let mut networks: Vec<_> = networks
            .into_iter()
            .map(|(place, value)| {
                let addr = std::net::IpAddr::from(place.addr);
                (addr.to_string(), place.bits, value)
            })
            .collect();
        networks.sort_unstable();
        networks
    }

    #[test]
    fn ipv4_is_no_part_of_ipv6() {
        let place = |addr: &str, bits, value| (addr.to_owned(), bits, value);
        assert_eq!(compiled(&[("10.0.0.0/8", 5)]), [place("10.0.0.0", 104, 5)]);
        assert_eq!(
            compiled(&[("::/0", 7)]),
            [place("0.0.0.0", 96, ORDINARY), place("::", 0, 7)]
        );
        // Whatever the order.
        for list in [
            [("::/0", 7), ("0.0.0.0/0", 8)],
            [("0.0.0.0/0", 8), ("::/0", 7)],
        ] {
            let both = [place("0.0.0.0", 96, 8), place("::", 0, 7)];
            assert_eq!(compiled(&list), both);
        }
        assert_eq!(compiled(&[("2001:db8::/32", 7)]).len(), 1);
    }
}
