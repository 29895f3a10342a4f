//! What peers may take of the daemon. Those who stand alike share it, so that nobody takes it from
//! those who may do more.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};

use super::super::{
    MAX_CONNECTIONS, MAX_REFUSED, MAX_WAITING_BYTES, MAX_WAITING_BYTES_OF_OTHERS, peer::Standing,
    refusal::Refusal,
};

/// Longest wait for the requests before.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);

/// Answers are counted in blocks of so many bytes: a semaphore gives 32 bits of permits at once.
const BLOCK_BYTES: usize = 1024;

/// Every room.
pub(super) struct Places {
    owners: Arc<Room>,
    members: Arc<Room>,
    readers: Arc<Room>,
    /// For those who get a refusal and nothing else.
    lobby: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            owners: Room::new(MAX_WAITING_BYTES),
            members: Room::new(MAX_WAITING_BYTES),
            readers: Room::new(MAX_WAITING_BYTES_OF_OTHERS),
            lobby: Arc::new(Semaphore::new(MAX_REFUSED)),
        }
    }
}

impl Places {
    /// A place for a new connection; a refused one where there is no other. `None`: not even that.
    pub(super) fn take(&self, standing: Standing) -> Option<Place> {
        let room = match standing {
            Standing::Owner => Some(&self.owners),
            Standing::Member => Some(&self.members),
            Standing::Reader => Some(&self.readers),
            Standing::Stranger => None,
        };
        let inside = room.and_then(|room| {
            let held = Arc::clone(&room.connections).try_acquire_owned().ok()?;
            Some(Place {
                room: Some(Arc::clone(room)),
                _held: held,
            })
        });
        inside.or_else(|| {
            let held = Arc::clone(&self.lobby).try_acquire_owned().ok()?;
            Some(Place {
                room: None,
                _held: held,
            })
        })
    }
}

/// The place of one connection.
pub(super) struct Place {
    room: Option<Arc<Room>>,
    _held: OwnedSemaphorePermit,
}

impl Place {
    /// Where its requests are carried out.
    pub(super) fn room(&self) -> Result<&Room, Refusal> {
        self.room.as_deref().ok_or_else(|| {
            Refusal::unavailable(format!(
                "{MAX_CONNECTIONS} connections are open already, which is the most: close some"
            ))
        })
    }
}

/// What those who stand alike share.
pub(super) struct Room {
    connections: Arc<Semaphore>,
    /// One request at a time waits for the kernel's side: whoever stands otherwise has one before
    /// their own at the most.
    turn: Semaphore,
    /// The same for requests that read much, which need the kernel's side for a moment only: they
    /// hold up each other, and not those that are short.
    reading: Semaphore,
    /// Of answers that are not taken yet.
    blocks: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new(waiting_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            turn: Semaphore::new(1),
            reading: Semaphore::new(1),
            blocks: Arc::new(Semaphore::new(waiting_bytes / BLOCK_BYTES)),
        })
    }

    /// Waits until it is the request's turn, or, if it `reads_much`, the turn of one that does.
    pub(super) async fn turn(&self, reads_much: bool) -> Result<SemaphorePermit<'_>, Refusal> {
        let turn = if reads_much {
            &self.reading
        } else {
            &self.turn
        };
        let turn = timeout(TURN_TIMEOUT, turn.acquire()).await;
        let busy = || Refusal::unavailable("the daemon is busy");
        turn.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// Bytes that count until they are dropped.
    pub(super) fn hold(&self, bytes: Vec<u8>) -> Result<Bytes, Refusal> {
        let blocks = u32::try_from(bytes.len().div_ceil(BLOCK_BYTES)).ok();
        let held =
            blocks.and_then(|blocks| Arc::clone(&self.blocks).try_acquire_many_owned(blocks).ok());
        let Some(held) = held else {
            return Err(Refusal::unavailable(format!(
                "the answer has {} bytes, for which there is no room while others are not taken: \
                 ask for less (top=, n=), or later",
                bytes.len()
            )));
        };
        Ok(Bytes::from_owner(Held { bytes, _held: held }))
    }
}

struct Held {
    bytes: Vec<u8>,
    _held: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_take_no_place_from_those_who_may_change_things() {
        let places = Places::default();
        let mut taken: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|_| places.take(Standing::Reader).expect("a place"))
            .collect();
        assert!(taken.iter().all(|place| place.room().is_ok()));
        for _ in 0..MAX_REFUSED {
            let refused = places
                .take(Standing::Reader)
                .expect("a place to be refused");
            let refusal = refused.room().map(drop).expect_err("no room");
            assert_eq!(refusal.status, 503);
            taken.push(refused);
        }
        assert!(places.take(Standing::Reader).is_none());
        assert!(places.take(Standing::Stranger).is_none());
        for standing in [Standing::Owner, Standing::Member] {
            assert!(places.take(standing).expect("a place").room().is_ok());
        }
        taken.remove(0);
        assert!(places.take(Standing::Reader).expect("free").room().is_ok());
    }

    #[test]
    fn answers_that_nobody_takes_are_bounded() {
        let room = Room::new(10 * BLOCK_BYTES);
        let first = room.hold(vec![0; 9 * BLOCK_BYTES]).expect("fits");
        assert_eq!(room.hold(vec![0; 1]).expect("fits").len(), 1);
        let refusal = room.hold(vec![0; BLOCK_BYTES + 1]).expect_err("too much");
        assert_eq!(refusal.status, 503);
        // A part of it is still on its way.
        let rest = first.slice(1..);
        drop(first);
        assert!(room.hold(vec![0; 2 * BLOCK_BYTES]).is_err());
        drop(rest);
        assert!(room.hold(vec![0; 10 * BLOCK_BYTES]).is_ok());
        assert!(room.hold(vec![0; 10 * BLOCK_BYTES + 1]).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_is_refused() {
        let room = Room::new(0);
        let turn = room.turn(false).await.expect("the first");
        assert!(room.turn(true).await.is_ok(), "one that reads much");
        let refusal = room.turn(false).await.map(drop).expect_err("busy");
        assert_eq!(refusal.status, 503);
        drop(turn);
        assert!(room.turn(false).await.is_ok());
    }
}
