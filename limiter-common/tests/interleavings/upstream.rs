//! Slots of outgoing connections, also of those that fail before their SYN.

use std::sync::Arc;

use limiter_common::{
    admission::Word,
    upstream::{give_up, note, take, take_out, withdraw},
};
use loom::sync::atomic::AtomicU64;

use super::{
    alike::{BOUND, at_once, explore, task},
    words::Shared,
};

/// What is shared about one server, and the token of one socket that holds a slot of it.
struct Server {
    connections: AtomicU64,
    /// Of the epochs 2, 6, 10, …
    unconfirmed: AtomicU64,
    /// Index plus one.
    held: AtomicU64,
    /// Others that hold a slot, for the end. No access is a step.
    holders: std::sync::atomic::AtomicU64,
}

/// The epoch in which the socket has taken its slot, and the first one in which that is long ago.
const TAKEN: u64 = 2;
const LATER: u64 = 6;

impl Server {
    /// With a socket that has taken a slot, and noted that its SYN is to come.
    fn new() -> Arc<Self> {
        let server = Self {
            connections: AtomicU64::new(0),
            unconfirmed: AtomicU64::new(0),
            held: AtomicU64::new(1),
            holders: Default::default(),
        };
        assert!(take(server.connections(), 1).is_taken);
        assert!(note(server.unconfirmed(), server.connections(), TAKEN));
        Arc::new(server)
    }

    fn connections(&self) -> Shared<'_> {
        Shared(&self.connections)
    }

    fn unconfirmed(&self) -> Shared<'_> {
        Shared(&self.unconfirmed)
    }

    /// The socket is closed, as the kernel may tell twice; its SYN was never sent.
    fn is_closed(&self) {
        if take_out(Shared(&self.held)).is_some() && withdraw(self.unconfirmed(), TAKEN) {
            self.connections().fetch_add(u64::MAX);
        }
    }

    /// The SYN of the socket is sent, late.
    fn is_confirmed(&self) {
        if !withdraw(self.unconfirmed(), TAKEN) {
            self.connections().fetch_add(1);
        }
        self.hold();
    }

    /// Somebody comes who may give up what has failed, and takes one of `max` slots.
    fn comes(&self, max: u32) {
        let mut taken = take(self.connections(), max);
        if !taken.is_taken {
            let failed = give_up(self.unconfirmed(), LATER);
            self.connections().fetch_add(0_u64.wrapping_sub(failed));
            taken = take(self.connections(), max);
        }
        if taken.is_taken {
            self.hold();
        }
    }

    /// The same, before anything has failed for certain.
    fn comes_early(&self, max: u32) {
        if take(self.connections(), max).is_taken {
            self.hold();
        }
    }

    fn hold(&self) {
        self.holders
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    /// As many connections count as there are holders; how many.
    fn end(&self) -> u64 {
        let holders = self.holders.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(self.connections().load(), holders);
        holders
    }
}

#[test]
fn of_two_at_once_one_gets_the_last_slot() {
    explore(None, || {
        let server = Server::new();
        server.hold();
        at_once(&server, [task(|it: &Server| it.comes_early(2))], |it| {
            it.comes_early(2);
        });
        assert_eq!(server.end(), 2);
    });
}

#[test]
fn a_slot_is_given_back_once_however_often_the_end_is_told() {
    explore(Some(BOUND), || {
        let server = Server::new();
        let told_again = task(|it: &Server| it.is_closed());
        let comes = task(|it: &Server| it.comes_early(1));
        at_once(&server, [told_again, comes], Server::is_closed);
        server.end();
    });
}

#[test]
fn a_slot_that_is_given_up_is_not_given_back_as_well() {
    explore(Some(BOUND), || {
        let server = Server::new();
        let others = [(); 2].map(|()| task(|it: &Server| it.comes(1)));
        at_once(&server, others, Server::is_closed);
        // One who comes just before the slot is given back is refused.
        assert!(server.end() <= 1);
    });
}

#[test]
fn who_sends_its_syn_late_is_counted_once() {
    explore(Some(BOUND), || {
        let server = Server::new();
        let others = [(); 2].map(|()| task(|it: &Server| it.comes(1)));
        at_once(&server, others, Server::is_confirmed);
        assert!(server.end() <= 2, "over the limit by the late one only");
    });
}

/// Four epochs later the word is used anew.
#[test]
fn the_word_of_an_epoch_is_used_for_the_next() {
    explore(Some(BOUND), || {
        let server = Server::new();
        let notes = task(|it: &Server| {
            assert!(take(it.connections(), 0).is_taken);
            it.hold();
            // Whoever comes first gives up what has failed.
            note(it.unconfirmed(), it.connections(), LATER);
        });
        let comes = task(|it: &Server| it.comes(1));
        at_once(&server, [notes, comes], Server::is_closed);
        server.end();
    });
}
