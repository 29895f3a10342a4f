//! Connections with two limits: all or none of them, also while one policy takes the place of
//! another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use limiter_common::{
    addr::Addr,
    admission::{
        self, Mode, Numbers, Observer, Refusal, Said, Slot, Steps, Zones, admit, charge_one,
        conclude, cover_one, discharge, trim_one,
    },
    key::{Connection, KeyFields},
    policy::{Limit, ServerPolicy},
    token::{Charge, KeyRef, Token},
};

use super::{
    alike::{BOUND, at_once, connection, explore, task},
    table::{Settings, Table},
};

/// Zone 0 counts by client, zone 1 all together, as key 0.
struct House {
    zones: [Table; 2],
    /// Connections that hold a slot, by zone, key and generation, as in [`super::alike::Scene`].
    held: Mutex<BTreeMap<(u16, u32, u32), u32>>,
    numbers: [u16; 2],
}

const BY_CLIENT: KeyFields = KeyFields::REMOTE_ADDR;
const TOGETHER: KeyFields = KeyFields::NONE;

impl House {
    fn new(numbers: [u16; 2]) -> Arc<Self> {
        let zone = || Table::new(2, 2 + 3, Settings::capacity(4));
        Arc::new(Self {
            zones: [zone(), zone()],
            held: Mutex::default(),
            numbers,
        })
    }

    fn limit(&self, zone: u16) -> Limit {
        Limit {
            number: self.numbers[usize::from(zone)],
            zone,
            fields: [BY_CLIENT, TOGETHER][usize::from(zone)],
            v4_bits: 128,
            v6_bits: 128,
            has_overrides: 0,
        }
    }

    /// A server with the limits of these zones.
    fn server(&self, zones: &[u16]) -> ServerPolicy {
        let mut server = ServerPolicy {
            limit_count: zones.len() as u16,
            ..ServerPolicy::default()
        };
        for (limit, zone) in server.limits.iter_mut().zip(zones) {
            *limit = self.limit(*zone);
        }
        server
    }

    /// A connection of this client comes. `None`: it is refused.
    fn admit(&self, zones: &[u16], client: u32) -> Option<Token> {
        let mut token = Token {
            connection: connection(client),
            ..Token::default()
        };
        let admission = admit(self, &self.server(zones), Mode::Enforce, &mut token);
        if admission.is_refused {
            assert!(token.charges.iter().all(|charge| charge.generation == 0));
            return None;
        }
        self.hold(&token, true);
        Some(token)
    }

    /// It goes.
    fn discharge(&self, mut token: Token) {
        self.release(&token);
        discharge(self, self, &mut token);
    }

    fn hold(&self, token: &Token, is_new: bool) {
        let mut held = self.held.lock().expect("nobody has failed");
        for charge in charges(token) {
            let zone = charge.key.zone();
            let count = held.entry(place(charge, token)).or_default();
            *count += 1;
            let number = u32::from(self.numbers[usize::from(zone)]);
            assert!(!is_new || *count <= number, "over the limit of zone {zone}");
        }
    }

    fn release(&self, token: &Token) {
        let mut held = self.held.lock().expect("nobody has failed");
        for charge in charges(token) {
            *held.get_mut(&place(charge, token)).expect("it was held") -= 1;
        }
    }

    /// Every entry counts who holds a slot of it.
    fn end(&self) {
        let mut held = self.held.lock().expect("nobody has failed").clone();
        held.retain(|_, count| *count > 0);
        let mut counted = BTreeMap::new();
        for (zone, table) in (0..).zip(&self.zones) {
            for (key, occupancy) in table.exact_end() {
                if occupancy.connections > 0 {
                    let place = (zone, key, occupancy.generation);
                    counted.insert(place, occupancy.connections);
                }
            }
        }
        assert_eq!(held, counted);
    }
}

fn charges(token: &Token) -> impl Iterator<Item = &Charge> {
    token.charges.iter().filter(|it| it.generation != 0)
}

fn place(charge: &Charge, token: &Token) -> (u16, u32, u32) {
    let key = charge.key.key(&token.connection);
    (
        charge.key.zone(),
        key.remote().words()[3],
        charge.generation,
    )
}

impl Zones for House {
    fn take(&self, connection: &Connection, key: KeyRef, number: u32, mode: Mode) -> Slot {
        let zone = &self.zones[usize::from(key.zone())];
        admission::take(zone, &key.key(connection), number, mode)
    }

    fn release(&self, connection: &Connection, key: KeyRef, generation: u32) -> bool {
        let zone = &self.zones[usize::from(key.zone())];
        admission::release(zone, &key.key(connection), generation)
    }

    fn count_again(&self, connection: &Connection, charge: Charge, pass: u32) -> bool {
        let zone = &self.zones[usize::from(charge.key.zone())];
        admission::count_again(zone, &charge.key.key(connection), charge.generation, pass)
    }

    fn leave_count(&self, connection: &Connection, charge: Charge, pass: u32) {
        let zone = &self.zones[usize::from(charge.key.zone())];
        admission::leave_count(zone, &charge.key.key(connection), charge.generation, pass);
    }

    fn is_held(&self, connection: &Connection, charge: Charge) -> bool {
        let zone = &self.zones[usize::from(charge.key.zone())];
        admission::is_held(zone, &charge.key.key(connection), charge.generation)
    }
}

impl Steps for House {
    fn charge_one(
        &self,
        server: &ServerPolicy,
        position: usize,
        mode: Mode,
        token: &mut Token,
    ) -> Said {
        charge_one(self, self, self, server, position, mode, token)
    }

    fn conclude(&self, server: &ServerPolicy, keeps: bool, token: &mut Token) {
        conclude(self, self, server, keeps, token);
    }
}

impl Numbers for House {
    fn number(&self, server: &ServerPolicy, position: usize, _: &Addr) -> u16 {
        server.limits[position].number
    }
}

impl Observer for House {
    fn taken(&self, _: &Limit, _: bool) {}
    fn refused(&self, _: &Limit, _: Refusal) {}
    fn contended(&self, _: &Limit) {}
    fn skipped(&self, _: &Limit) {}
    fn given_back(&self, _: &Charge, is_evicted: bool) {
        assert!(!is_evicted, "nobody's entry is gone");
    }
    fn lost(&self, _: &Charge) -> bool {
        panic!("nobody's entry is gone");
    }
}

/// The second limit says no, and the slot of the first is given back.
#[test]
fn who_is_refused_by_the_second_limit_holds_nothing_of_the_first() {
    explore(Some(BOUND), || {
        let house = House::new([1, 1]);
        let comes = task(|it: &House| {
            it.admit(&[0, 1], 0);
        });
        let another = task(|it: &House| {
            it.admit(&[0, 1], 1);
        });
        at_once(&house, [comes, another], |_| {});
        house.end();
    });
}

#[test]
fn who_gives_two_slots_back_leaves_them_to_one_other() {
    explore(Some(BOUND), || {
        let house = House::new([1, 1]);
        let token = house.admit(&[0, 1], 0).expect("room");
        let comes = task(|it: &House| {
            it.admit(&[0, 1], 0);
        });
        at_once(&house, [comes], |it| it.discharge(token));
        house.end();
    });
}

/// The policy asked for a slot of zone 0, and the next one asks for one of zone 1: what is open takes
/// the one, in any case, and gives the other back, while others of the same keys come and go.
#[test]
fn what_is_open_holds_what_the_next_policy_asks_for() {
    explore(Some(BOUND), || {
        let house = House::new([2, 2]);
        let settled = house.admit(&[0], 0).expect("room");
        let goes = house.admit(&[0], 0).expect("room");
        let leaves = task(move |it: &House| it.discharge(goes));
        let comes = task(|it: &House| {
            it.admit(&[0, 1], 0);
        });
        at_once(&house, [leaves, comes], move |it| {
            let mut token = settled;
            let next = it.server(&[1]);
            it.release(&token);
            cover_one(it, it, &next, 0, &mut token);
            for index in 0..token.charges.len() {
                trim_one(it, it, &next, index, &mut token);
            }
            it.hold(&token, false);
            let zones: Vec<_> = charges(&token).map(|charge| charge.key.zone()).collect();
            assert_eq!(zones, [1]);
        });
        house.end();
    });
}
