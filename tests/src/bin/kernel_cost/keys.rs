//! Whose packets are sent.

use std::net::Ipv4Addr;

use super::client::Connection;

/// Nobody of this range holds a connection.
const NEW_KEYS: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);

/// Whose connection it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A key that holds connections.
    Live,
    /// A key that the zone has never seen.
    New,
}

/// The keys of a scenario.
pub struct Keys<'a> {
    /// The connections that are open.
    held: &'a [Connection],
    /// Held connections given out so far.
    given: usize,
    /// Keys of [`NEW_KEYS`] given out so far.
    new: u32,
}

impl<'a> Keys<'a> {
    /// With these connections open.
    pub fn new(held: &'a [Connection]) -> Self {
        Self {
            held,
            given: 0,
            new: 0,
        }
    }

    /// Goes through the held connections in great steps, so that one does not warm the caches for
    /// the next.
    pub fn next_held(&mut self) -> Connection {
        const STEP: usize = 7_919;
        self.given = self.given.wrapping_add(1);
        self.held[self.given.wrapping_mul(STEP) % self.held.len()]
    }

    /// An address of this kind.
    pub fn next_addr(&mut self, who: Who) -> Ipv4Addr {
        match who {
            Who::Live => self.next_held().addr(),
            Who::New => {
                self.new += 1;
                Ipv4Addr::from_bits(NEW_KEYS.to_bits() + self.new)
            }
        }
    }
}
