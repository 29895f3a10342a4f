//! Connections that are open while the policy changes.

use std::vec::Vec;

use super::*;
use crate::{policy::MAX_LIMITS, token::MAX_CHARGES};

/// As [`two_limits`], but the second limit counts by client address in a zone of its own, too.
fn by_client_twice() -> ServerPolicy {
    let mut server = two_limits();
    server.limits[1].fields = KeyFields::REMOTE_ADDR;
    server.limits[1].v4_bits = 120;
    server
}

/// As the programs do it, for every limit.
fn cover(zones: &Tables, seen: &Observed, server: &ServerPolicy, token: &mut Token) {
    for position in 0..MAX_LIMITS {
        cover_one(zones, seen, server, position, token);
    }
}

/// The same for every charge.
fn trim(zones: &Tables, seen: &Observed, server: &ServerPolicy, token: &mut Token) {
    for index in 0..MAX_CHARGES {
        trim_one(zones, seen, server, index, token);
    }
}

fn held(token: &Token) -> usize {
    let charges = token.charges.iter();
    charges.filter(|charge| charge.generation != 0).count()
}

#[test]
fn what_both_policies_ask_for_stays_as_it_is() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let (old, new) = (two_limits(), by_client_twice());
    let mut token = token_of(1);
    admit(&zones, &OneMore, &seen, &old, Mode::Enforce, &mut token);
    let first = token.charges[0];
    seen.drain();

    cover(&zones, &seen, &new, &mut token);
    assert_eq!(seen.drain(), [("within", 1)]);
    assert_eq!(held(&token), 3);
    cover(&zones, &seen, &new, &mut token);
    assert_eq!(seen.drain(), [], "once is enough");

    trim(&zones, &seen, &new, &mut token);
    assert_eq!(seen.drain(), [("back", 1)]);
    assert!(token.charges.contains(&first));
    trim(&zones, &seen, &new, &mut token);
    assert_eq!(seen.drain(), []);
    assert_eq!(held(&token), 2);

    discharge(&zones, &seen, &mut token);
    assert_eq!(held(&token), 0);
    for table in &zones.0 {
        assert_eq!((table.connections(), table.live_keys()), (0, 0));
    }
}

#[test]
fn a_policy_over_and_over_leaves_nothing_behind() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let mut servers = Vec::new();
    for index in 0..5 {
        let mut server = ServerPolicy {
            index,
            ..two_limits()
        };
        server.limit_count = index % 3;
        server.limits[0].v4_bits = 96 + index as u8;
        servers.push(server);
    }
    let mut token = token_of(1);
    for turn in 0..40 {
        let server = &servers[turn * 7 % 5];
        cover(&zones, &seen, server, &mut token);
        trim(&zones, &seen, server, &mut token);
        assert_eq!(held(&token), usize::from(server.limit_count));
        let counted: u64 = zones.0.iter().map(Table::connections).sum();
        assert_eq!(counted, u64::from(server.limit_count));
    }
    discharge(&zones, &seen, &mut token);
    assert!(seen.drain().iter().all(|(what, _)| *what != "contended"));
    assert_eq!(zones.0[0].live_keys() + zones.0[1].live_keys(), 0);
}

#[test]
fn what_is_open_is_counted_beyond_the_limit_and_the_capacity() {
    let mut small = Table::new(1, 8);
    small.room = 3;
    let zones = Tables([small, Table::new(8, 8)]);
    let seen = Observed::default();
    let mut server = two_limits();
    server.limit_count = 1;
    let mut tokens: Vec<_> = [1, 1, 1, 2, 3, 4].map(token_of).into();
    for token in &mut tokens {
        cover(&zones, &seen, &server, token);
    }
    // The fourth key has no room: that is said.
    assert_eq!(
        seen.drain(),
        [[("within", 0); 5].as_slice(), &[("contended", 0)]].concat()
    );
    assert_eq!((zones.0[0].connections(), zones.0[0].live_keys()), (5, 3));
    // Whoever comes now goes by the capacity.
    assert_eq!(peek(&zones.0[0], &key(9), 2), Peek::Exhausted);
    assert_eq!(take(&zones.0[0], &key(9), 2, Mode::Count), Slot::Exhausted);
    for token in &mut tokens {
        discharge(&zones, &seen, token);
    }
    assert_eq!(zones.0[0].live_keys(), 0);
    assert_eq!(peek(&zones.0[0], &key(9), 2), Peek::Room);
}

/// Connections come and go on other CPUs while one walks over them, changes what they hold, and
/// back.
#[test]
fn nothing_is_lost_while_policies_change_under_traffic() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let (old, new) = (two_limits(), by_client_twice());
    let seen = Observed::default();
    // A socket is locked while a program runs for it.
    let sockets: Vec<Mutex<Token>> = (0..32).map(|n| Mutex::new(token_of(n % 4))).collect();
    thread::scope(|scope| {
        for worker in 0..3 {
            let (sockets, zones, seen, old) = (&sockets, &zones, &seen, &old);
            scope.spawn(move || {
                for turn in 0..20_000 {
                    let mut token = sockets[(turn * 11 + worker * 7) % 32]
                        .lock()
                        .expect("not poisoned");
                    if held(&token) == 0 {
                        admit(zones, &OneMore, seen, old, Mode::Count, &mut token);
                    } else {
                        discharge(zones, seen, &mut token);
                    }
                }
            });
        }
        scope.spawn(|| {
            for turn in 0..600 {
                let server = if turn % 2 == 0 { &new } else { &old };
                for step in [cover, trim] {
                    for socket in &sockets {
                        let mut token = socket.lock().expect("not poisoned");
                        if held(&token) != 0 {
                            step(&zones, &seen, server, &mut token);
                        }
                    }
                }
            }
        });
    });
    let taken = |index: usize| -> u64 {
        let tokens = sockets
            .iter()
            .map(|socket| *socket.lock().expect("not poisoned"));
        tokens
            .flat_map(|token| token.charges)
            .filter(|charge| charge.generation != 0 && usize::from(charge.key.zone()) == index)
            .count() as u64
    };
    for (index, table) in zones.0.iter().enumerate() {
        assert_eq!(table.connections(), taken(index), "zone {index}");
    }
    for socket in &sockets {
        discharge(&zones, &seen, &mut socket.lock().expect("not poisoned"));
    }
    for table in &zones.0 {
        assert_eq!((table.connections(), table.live_keys()), (0, 0));
    }
    assert!(seen.drain().iter().all(|(what, _)| *what != "evicted"));
}
