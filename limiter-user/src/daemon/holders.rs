//! The open connections that hold slots, in the words of the API. Pure, but for who owns them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use limiter_common::key::ZoneKey;

use super::{in_force::InForce, key_filter::KeyFilter, state::failed, view};
use crate::{
    api::{ConnectionList, ConnectionStatus, ProcessStatus, SlotStatus, TcpState},
    control::{refusal::Refusal, route::Holders},
    kernel::{Holder, HolderReader, Indices, Owners},
};

/// What is needed to list them while the daemon does something else.
pub struct OpenConnections {
    reader: HolderReader,
    policy: Arc<InForce>,
    /// Slots that had been taken, by position of the zone.
    taken: Vec<u64>,
}

impl OpenConnections {
    /// Under the policy in force.
    pub fn new(reader: HolderReader, policy: Arc<InForce>, slots: &[(u64, u64)]) -> Self {
        Self {
            reader,
            policy,
            taken: slots.iter().map(|(taken, _)| *taken).collect(),
        }
    }

    /// Finds all of them.
    pub fn find(self) -> Result<Found, Refusal> {
        let holders = self.reader.read().map_err(failed)?;
        Ok(Found {
            open: self,
            holders,
        })
    }
}

/// The open connections.
pub struct Found {
    open: OpenConnections,
    holders: Vec<Holder>,
}

impl Found {
    /// Whose zones they hold slots in.
    pub fn indices(&self) -> &Indices {
        &self.open.reader.indices
    }

    /// Lists those that are wanted. `slots` was read after they were found, and so was the monotonic
    /// clock.
    pub fn list(
        &self,
        wanted: &Holders,
        slots: &[(u64, u64)],
        now_ns: u64,
    ) -> Result<ConnectionList, Refusal> {
        let view = View {
            policy: &self.open.policy,
            indices: self.indices(),
            now_ns,
        };
        let (chosen, matching) = view.choose(&self.holders, wanted);
        let inodes: HashSet<u32> = chosen
            .iter()
            .map(|(holder, _)| holder.inode)
            .filter(|inode| *inode != 0)
            .collect();
        let owners = Owners::find(&inodes)
            .map_err(|e| Refusal::internal(format!("look for the processes in /proc: {e}")))?;
        let connections = chosen.into_iter();
        Ok(ConnectionList {
            connections: connections
                .map(|(holder, slots)| view.status(holder, slots, &owners))
                .collect(),
            matching,
            missing: self.missing(&view, slots),
            hidden_processes: owners.hidden,
        })
    }

    /// What was taken before the search and not given back until it was over, was there to be found.
    fn missing(&self, view: &View<'_>, slots: &[(u64, u64)]) -> u64 {
        let mut found = vec![0_u64; self.open.taken.len()];
        for (zone, _) in self.holders.iter().flat_map(|holder| view.places(holder)) {
            found[zone] += 1;
        }
        let zones = self.open.taken.iter().zip(slots).zip(found);
        let missing = zones.map(|((taken, (_, given_back)), found)| {
            taken.saturating_sub(*given_back).saturating_sub(found)
        });
        // A connection may hold a slot in each.
        missing.max().unwrap_or(0)
    }
}

/// A key of a zone of the policy in force, by its position.
type Place = (usize, ZoneKey);

struct View<'a> {
    policy: &'a InForce,
    indices: &'a Indices,
    now_ns: u64,
}

impl View<'_> {
    /// Those that are wanted, at most as many, the oldest first, and how many there are.
    fn choose<'a>(
        &self,
        holders: &'a [Holder],
        wanted: &Holders,
    ) -> (Vec<(&'a Holder, Vec<SlotStatus>)>, u64) {
        let queues = self.queues(holders);
        let zones = &self.policy.zones;
        let zone = wanted.zone.as_ref();
        let zone = zone.and_then(|name| zones.iter().position(|it| it.name == *name));
        let is_of_zone = |position| zone.is_none_or(|zone| zone == position);
        let filter = wanted.key.as_deref().map(KeyFilter::parse);
        let is_wanted = |holder: &Holder| match &filter {
            Some(filter) => self.places(holder).any(|(zone, key)| {
                is_of_zone(zone) && filter.matches(&view::key(self.policy, &zones[zone], &key))
            }),
            None => zone.is_none() || self.places(holder).any(|place| is_of_zone(place.0)),
        };
        let mut matching: Vec<&Holder> = holders.iter().filter(|it| is_wanted(it)).collect();
        matching.sort_unstable_by_key(|holder| age(holder));
        let number = matching.len() as u64;
        matching.truncate(wanted.count);
        let chosen = matching.into_iter();
        let chosen = chosen.map(|holder| (holder, self.slots(holder, &queues)));
        (chosen.collect(), number)
    }

    /// Who holds the slots of each key, the oldest first.
    fn queues(&self, holders: &[Holder]) -> HashMap<Place, Vec<Age>> {
        let mut queues: HashMap<Place, Vec<Age>> = HashMap::new();
        for holder in holders {
            for place in self.places(holder) {
                queues.entry(place).or_default().push(age(holder));
            }
        }
        queues.values_mut().for_each(|queue| queue.sort_unstable());
        queues
    }

    /// Slots in zones that no policy names any more are nobody's business.
    fn places(&self, holder: &Holder) -> impl Iterator<Item = Place> {
        holder.slots().filter_map(|(zone, key)| {
            let position = self.indices.zones.iter().position(|index| *index == zone)?;
            Some((position, key))
        })
    }

    fn slots(&self, holder: &Holder, queues: &HashMap<Place, Vec<Age>>) -> Vec<SlotStatus> {
        let mut places: Vec<Place> = self.places(holder).collect();
        // A token has them in no order.
        places.sort_unstable();
        let places = places.into_iter();
        places
            .map(|place| self.slot(holder, place, queues))
            .collect()
    }

    fn slot(&self, holder: &Holder, place: Place, queues: &HashMap<Place, Vec<Age>>) -> SlotStatus {
        let queue = queues.get(&place).map_or(&[][..], Vec::as_slice);
        let before = queue.partition_point(|one| *one < age(holder));
        let limit = self.limit(holder, place.0);
        let zone = &self.policy.zones[place.0];
        SlotStatus {
            zone: zone.name.clone(),
            parts: view::key(self.policy, zone, &place.1),
            connections: u32::try_from(queue.len()).unwrap_or(u32::MAX),
            limit,
            excess: limit.is_some_and(|limit| before >= limit as usize),
        }
    }

    /// How many connections the server allows this client in a zone.
    fn limit(&self, holder: &Holder, zone: usize) -> Option<u32> {
        let index = holder.server?;
        let position = self.indices.servers.iter().position(|it| *it == index)?;
        let server = self.policy.servers.get(position)?;
        let limit = server.limits.iter().find(|limit| limit.zone == zone)?;
        Some(limit.number_for(holder.connection().remote.into()).into())
    }

    fn status(&self, holder: &Holder, slots: Vec<SlotStatus>, owners: &Owners) -> ConnectionStatus {
        let connection = holder.connection();
        let server = holder.server.and_then(|index| self.policy.server(index));
        let age_ns = holder
            .opened_ns()
            .map(|opened| self.now_ns.saturating_sub(opened));
        let processes = owners.of(holder.inode).iter();
        ConnectionStatus {
            server: server.map(|server| server.name.clone()),
            remote_addr: IpAddr::from(connection.remote),
            remote_port: connection.remote_port,
            local_addr: IpAddr::from(connection.local),
            local_port: connection.local_port,
            netns: holder.netns,
            state: state(holder.state),
            age_ms: age_ns.map(|ns| ns / 1_000_000),
            excess: holder.lost_a_race() || slots.iter().any(|slot| slot.excess),
            slots,
            processes: processes
                .map(|owner| ProcessStatus {
                    pid: owner.pid,
                    name: owner.name.clone(),
                })
                .collect(),
        }
    }
}

/// Orders connections by age. Those that were open before anybody counted are the oldest; cookies
/// tell apart what is alike.
type Age = (u64, u64);

fn age(holder: &Holder) -> Age {
    (holder.opened_ns().unwrap_or(0), holder.cookie)
}

/// include/net/tcp_states.h
fn state(number: u8) -> TcpState {
    match number {
        1 => TcpState::Established,
        3 => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        5 => TcpState::FinWait2,
        8 => TcpState::CloseWait,
        9 => TcpState::LastAck,
        11 => TcpState::Closing,
        _ => TcpState::Close,
    }
}
