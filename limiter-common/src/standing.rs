//! Refusals that stand for a moment: of a flood of one client at its limit, an interface looks the key
//! up once a tick, and not for each SYN.
//!
//! Each CPU has a slot for each of a few clients. A refusal stands there until something happens that
//! could let the client in:
//!
//! | what | how it is noticed |
//! |---|---|
//! | a slot of the key is given back, its count is corrected | [`ZoneState::freed`] of the zone is another, see [`crate::admission::watch`] |
//! | another policy, dry run, another number | [`Halves`] are others, see [`Halves::following`] |
//! | the kernel evicts the key, a place among those who wait gets free | such refusals are never remembered |
//! | an event about the key is due, the endpoint is refused at no more | the tick is over |
//!
//! What is refused so is counted in the zone's counters at once, as always. The key's own number of
//! refusals is one that needs the entry: they are counted in the key's [`crate::tally`] of that CPU.
//!
//! Only the program on an interface touches the slots of a CPU, and nothing interrupts it there that
//! does (softirq, or a test run with softirqs disabled).
//!
//! [`ZoneState::freed`]: crate::entry::ZoneState::freed

use crate::{addr::Addr, attempt::Client, key::Connection, policy::Halves, tally::Lease};

/// Slots of a CPU. A power of two.
pub const SLOTS: u32 = 256;

/// One slot: the value of [`crate::names::MAP_STANDING`]. What is looked at for each SYN comes first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    remote: Addr,
    local: Addr,
    /// The policy that it was refused by, and when.
    moment: Moment,
    /// [`crate::admission::watch`], before the key was found at its limit.
    pub freed: u64,
    /// Where the key's refusals are counted.
    pub lease: Lease,
    local_port: u16,
    /// Zone that says no.
    pub zone: u16,
    /// Connections that the key has.
    pub connections: u32,
    /// Who was refused last, and when: only who is refused twice in a tick is remembered.
    last: u64,
}

const _: () = assert!(size_of::<Standing>() == 80);

/// A tick under a policy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Of the kernel's clock.
    pub tick: u64,
    /// What is in force.
    pub halves: Halves,
    /// Explicit padding, 0.
    pub padding: u32,
}

impl Standing {
    /// Slot of a client, below [`SLOTS`].
    #[inline(always)]
    pub const fn slot(client: Client) -> u32 {
        (client.hash >> 56) as u32 & (SLOTS - 1)
    }

    /// Whether it is this client's, and of this moment. What is left to look at is `freed`.
    #[inline(always)]
    pub fn is_of(&self, connection: &Connection, moment: Moment) -> bool {
        self.moment == moment
            && self.remote == connection.remote
            && self.local == connection.local
            && self.local_port == connection.local_port
    }

    /// Whether this client was the last one to be refused here, in the same tick.
    #[inline(always)]
    pub fn comes_again(&self, client: Client, moment: Moment) -> bool {
        self.last == Self::mark(client, moment)
    }

    /// This client is the last one to be refused here.
    #[inline(always)]
    pub fn refused(&mut self, client: Client, moment: Moment) {
        self.last = Self::mark(client, moment);
    }

    #[inline(always)]
    const fn mark(client: Client, moment: Moment) -> u64 {
        client.hash.wrapping_add(moment.tick)
    }

    /// Remembers a refusal.
    #[inline(always)]
    pub fn remember(&mut self, connection: &Connection, moment: Moment, refused: Refused) {
        let Refused {
            freed,
            zone,
            lease,
            connections,
        } = refused;
        self.remote = connection.remote;
        self.local = connection.local;
        self.local_port = connection.local_port;
        self.moment = moment;
        self.freed = freed;
        self.zone = zone;
        self.lease = lease;
        self.connections = connections;
    }
}

/// What is remembered of a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// [`Standing::freed`]
    pub freed: u64,
    /// [`Standing::zone`]
    pub zone: u16,
    /// [`Standing::lease`]
    pub lease: Lease,
    /// [`Standing::connections`]
    pub connections: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Endpoint;

    const CONNECTION: Connection = Connection {
        remote: Addr::from_v4_word(1),
        local: Addr::from_v4_word(2),
        remote_port: 3,
        local_port: 4,
        padding: 0,
    };

    const MOMENT: Moment = Moment {
        tick: 5,
        halves: Halves::only(1),
        padding: 0,
    };

    fn refused() -> Refused {
        Refused {
            freed: 6,
            zone: 7,
            lease: Lease { slot: 8, life: 9 },
            connections: 10,
        }
    }

    #[test]
    fn a_refusal_is_of_one_client_at_one_endpoint_in_one_moment() {
        let mut standing = Standing::default();
        assert!(!standing.is_of(&CONNECTION, MOMENT));
        standing.remember(&CONNECTION, MOMENT, refused());
        let from_another_port = Connection {
            remote_port: 30,
            ..CONNECTION
        };
        assert!(standing.is_of(&from_another_port, MOMENT));
        let others = [
            Connection {
                remote: Addr::from_v4_word(10),
                ..CONNECTION
            },
            Connection {
                local: Addr::from_v4_word(20),
                ..CONNECTION
            },
            Connection {
                local_port: 40,
                ..CONNECTION
            },
        ];
        for other in others {
            assert!(!standing.is_of(&other, MOMENT), "{other:?}");
        }
        let later = Moment { tick: 6, ..MOMENT };
        let changes = [
            Halves::only(1).with_next(),
            Halves::only(0),
            // To the other half and back within a tick.
            Halves::only(1).following(Halves::only(0).following(MOMENT.halves)),
        ];
        let changed = changes.map(|halves| Moment { halves, ..MOMENT });
        for moment in changed.into_iter().chain([later]) {
            assert!(!standing.is_of(&CONNECTION, moment), "{moment:?}");
        }
    }

    #[test]
    fn who_is_refused_twice_in_a_tick_comes_again() {
        let client = |seed| Client::at(Endpoint::of(&CONNECTION, seed), &CONNECTION);
        let mut standing = Standing::default();
        let mut is_refused_again = |client, moment| {
            let comes_again = standing.comes_again(client, moment);
            standing.refused(client, moment);
            comes_again
        };
        assert!(!is_refused_again(client(1), MOMENT));
        assert!(is_refused_again(client(1), MOMENT));
        assert!(!is_refused_again(client(2), MOMENT));
        assert!(!is_refused_again(client(1), MOMENT));
        let later = Moment { tick: 6, ..MOMENT };
        assert!(!is_refused_again(client(1), later));
        assert!(is_refused_again(client(1), later));
        // Who is not refused is not remembered.
        assert!(!standing.comes_again(client(2), later));
        assert!(standing.comes_again(client(1), later));
    }

    #[test]
    fn a_change_of_the_policy_keeps_what_the_halves_say() {
        let mut halves = Halves::only(0);
        for half in [1, 0, 0, 1] {
            let only = Halves::only(half).following(halves);
            assert_eq!((only.active(), only.next()), (half, None));
            let both = Halves::only(half).with_next().following(only);
            assert_eq!((both.active(), both.next()), (half, Some(1 - half)));
            assert_ne!(both, only);
            halves = both;
        }
    }
}
