extern crate std;

use std::{
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    vec::Vec,
};

use self::table::Table;
use super::*;
use crate::{
    addr::Addr,
    key::{Connection, KeyFields, KeyShape},
    policy::{Limit, ServerPolicy},
    token::{Charge, KeyRef, Token},
};

mod connections;
mod recount;
mod settle;
mod slots;
mod table;

fn key(n: u32) -> ZoneKey {
    let connection = Connection {
        remote: Addr::from_v4_word(n),
        ..Connection::default()
    };
    ZoneKey::new(KeyShape::whole(KeyFields::REMOTE_ADDR), &connection, 0)
}

fn take_one(table: &Table, n: u32, number: u32) -> Option<u32> {
    match take(table, &key(n), number, Mode::Enforce) {
        Slot::Taken { generation, .. } => Some(generation),
        Slot::Full { .. } | Slot::Exhausted | Slot::Contended => None,
    }
}

/// [`super::admit`] with the steps in one piece.
fn admit(
    zones: &impl Zones,
    numbers: &impl Numbers,
    observer: &impl Observer,
    server: &ServerPolicy,
    mode: Mode,
    token: &mut Token,
) -> Admission {
    let steps = InOnePiece {
        zones,
        numbers,
        observer,
    };
    super::admit(&steps, server, mode, token)
}

struct InOnePiece<'a, Z, N, O> {
    zones: &'a Z,
    numbers: &'a N,
    observer: &'a O,
}

impl<Z: Zones, N: Numbers, O: Observer> Steps for InOnePiece<'_, Z, N, O> {
    fn charge_one(
        &self,
        server: &ServerPolicy,
        position: usize,
        mode: Mode,
        token: &mut Token,
    ) -> Said {
        charge_one(
            self.zones,
            self.numbers,
            self.observer,
            server,
            position,
            mode,
            token,
        )
    }

    fn conclude(&self, server: &ServerPolicy, keeps: bool, token: &mut Token) {
        conclude(self.zones, self.observer, server, keeps, token);
    }
}

/// Zones of the kind that a server's limits name.
struct Tables([Table; 2]);

impl Zones for Tables {
    fn take(&self, connection: &Connection, key: KeyRef, number: u32, mode: Mode) -> Slot {
        let zone = &self.0[usize::from(key.zone())];
        take(zone, &key.key(connection), number, mode)
    }

    fn release(&self, connection: &Connection, key: KeyRef, generation: u32) -> bool {
        let zone = &self.0[usize::from(key.zone())];
        release(zone, &key.key(connection), generation)
    }

    fn count_again(&self, connection: &Connection, charge: Charge, pass: u32) -> bool {
        let table = &self.0[usize::from(charge.key.zone())];
        count_again(table, &charge.key.key(connection), charge.generation, pass)
    }

    fn leave_count(&self, connection: &Connection, charge: Charge, pass: u32) {
        let table = &self.0[usize::from(charge.key.zone())];
        leave_count(table, &charge.key.key(connection), charge.generation, pass);
    }

    fn is_held(&self, connection: &Connection, charge: Charge) -> bool {
        let table = &self.0[usize::from(charge.key.zone())];
        is_held(table, &charge.key.key(connection), charge.generation)
    }
}

#[derive(Default)]
struct Observed(Mutex<Vec<(&'static str, u16)>>);

impl Observed {
    fn note(&self, what: &'static str, zone: u16) {
        self.0.lock().expect("not poisoned").push((what, zone));
    }

    fn drain(&self) -> Vec<(&'static str, u16)> {
        core::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

impl Observer for Observed {
    fn taken(&self, limit: &Limit, within: bool) {
        self.note(if within { "within" } else { "over" }, limit.zone);
    }

    fn refused(&self, limit: &Limit, why: Refusal) {
        let what = match why {
            Refusal::Full => "full",
            Refusal::Exhausted => "exhausted",
        };
        self.note(what, limit.zone);
    }

    fn contended(&self, limit: &Limit) {
        self.note("contended", limit.zone);
    }

    fn skipped(&self, limit: &Limit) {
        self.note("skipped", limit.zone);
    }

    fn given_back(&self, charge: &Charge, evicted: bool) {
        let what = if evicted { "evicted" } else { "back" };
        self.note(what, charge.key.zone());
    }

    fn lost(&self, charge: &Charge) -> bool {
        self.note("lost", charge.key.zone());
        true
    }
}

/// Client 9 may have one connection more.
struct OneMore;

impl Numbers for OneMore {
    fn number(&self, server: &ServerPolicy, position: usize, client: &Addr) -> u16 {
        server.limits[position].number + u16::from(*client == Addr::from_v4_word(9))
    }
}

/// Per client 2 in zone 0, per server 3 in zone 1.
fn two_limits() -> ServerPolicy {
    let mut policy = ServerPolicy {
        limit_count: 2,
        ..ServerPolicy::default()
    };
    policy.limits[0] = Limit {
        number: 2,
        zone: 0,
        fields: KeyFields::REMOTE_ADDR,
        v4_bits: 128,
        v6_bits: 128,
        has_overrides: 0,
    };
    policy.limits[1] = Limit {
        number: 3,
        zone: 1,
        fields: KeyFields::SERVER_NAME,
        ..Limit::default()
    };
    policy
}

/// Of a connection of this client that holds no slot yet.
fn token_of(n: u32) -> Token {
    Token {
        connection: Connection {
            remote: Addr::from_v4_word(n),
            ..Connection::default()
        },
        ..Token::default()
    }
}
