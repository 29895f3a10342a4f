//! Who is at the ports of `metrics`, and who has to leave when there is no room: clients that are slow
//! make room for those that come.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::super::MAX_PORT_CONNECTIONS;

/// Everybody who is there.
#[derive(Debug, Default)]
pub(super) struct Crowd(Arc<Mutex<Guests>>);

#[derive(Debug, Default)]
struct Guests {
    /// In the order of their arrival.
    all: Vec<Guest>,
    next: u64,
}

#[derive(Debug)]
struct Guest {
    number: u64,
    ip: IpAddr,
    has_asked: bool,
    leave: Arc<Notify>,
}

impl Crowd {
    /// A seat for somebody who has come. If all are taken, whoever has not asked for anything yet has
    /// to leave, first the one who has been there longest of those from the address with most. `None`:
    /// everybody has asked, and this address has most of them.
    pub(super) fn admit(&self, ip: IpAddr) -> Option<Seat> {
        let mut guests = lock(&self.0);
        if guests.all.len() >= MAX_PORT_CONNECTIONS {
            let leaver = guests.leaver(ip)?;
            guests.all.remove(leaver).leave.notify_one();
        }
        let number = guests.next;
        guests.next += 1;
        let leave = Arc::new(Notify::new());
        guests.all.push(Guest {
            number,
            ip,
            has_asked: false,
            leave: Arc::clone(&leave),
        });
        Some(Seat {
            guests: Arc::clone(&self.0),
            number,
            leave,
        })
    }
}

impl Guests {
    fn leaver(&self, newcomer: IpAddr) -> Option<usize> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for guest in &self.all {
            *counts.entry(guest.ip).or_default() += 1;
        }
        let of = |ip: &IpAddr| counts.get(ip).copied().unwrap_or(0);
        let guests = || self.all.iter().enumerate();
        // Of equal ones the last is found, so it goes from the youngest to the oldest.
        let slow = guests().rev().filter(|(_, guest)| !guest.has_asked);
        if let Some((position, _)) = slow.max_by_key(|(_, guest)| of(&guest.ip)) {
            return Some(position);
        }
        let (position, youngest) = guests().max_by_key(|(_, guest)| of(&guest.ip))?;
        (of(&youngest.ip) > of(&newcomer) + 1).then_some(position)
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    guests: Arc<Mutex<Guests>>,
    number: u64,
    leave: Arc<Notify>,
}

impl Seat {
    /// Resolves when somebody else needs the place.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }

    /// The request is there: it is answered before others.
    pub(super) fn has_asked(&self) {
        let mut guests = lock(&self.guests);
        let own = guests.all.iter_mut().find(|it| it.number == self.number);
        if let Some(guest) = own {
            guest.has_asked = true;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.guests).all.retain(|it| it.number != self.number);
    }
}

/// What is inside is whole at every moment.
fn lock(guests: &Mutex<Guests>) -> MutexGuard<'_, Guests> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// As many as there is room for.
    fn full(crowd: &Crowd, who: impl Fn(usize) -> IpAddr) -> Vec<Seat> {
        let seats = 0..MAX_PORT_CONNECTIONS;
        seats
            .map(|number| crowd.admit(who(number)).expect("room"))
            .collect()
    }

    async fn has_lost(seat: &Seat) -> bool {
        tokio::select! {
            biased;
            () = seat.lost() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn the_slow_make_room_first_those_of_the_largest_crowd() {
        let crowd = Crowd::default();
        let seats = full(&crowd, |number| ip(if number < 3 { 1 } else { 2 }));
        seats[3].has_asked();
        let _new = crowd.admit(ip(3)).expect("somebody is slow");
        for (number, seat) in seats.iter().enumerate() {
            assert_eq!(has_lost(seat).await, number == 4, "{number}");
        }
    }

    #[tokio::test]
    async fn who_has_asked_stays_unless_one_address_has_it_all() {
        let crowd = Crowd::default();
        let seats = full(&crowd, |_| ip(1));
        seats.iter().for_each(Seat::has_asked);
        assert!(crowd.admit(ip(1)).is_none());
        let other = crowd.admit(ip(2)).expect("a place of the many");
        let last = seats.last().expect("a seat");
        assert!(has_lost(last).await);
        drop(other);
        assert!(crowd.admit(ip(1)).is_some());
    }

    #[test]
    fn places_are_given_back() {
        let crowd = Crowd::default();
        drop(full(&crowd, |_| ip(1)));
        assert!(lock(&crowd.0).all.is_empty());
        drop(full(&crowd, |_| ip(1)));
    }
}
