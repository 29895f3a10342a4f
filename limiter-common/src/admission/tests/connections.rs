//! A connection with several limits.

use std::vec::Vec;

use super::*;

#[test]
fn all_limits_are_charged_or_none() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let server = ServerPolicy {
        index: 4,
        ..two_limits()
    };
    let admit_client = |n, mode| {
        let mut token = token_of(n);
        let admission = admit(&zones, &OneMore, &seen, &server, mode, &mut token);
        (admission, token)
    };

    let mut tokens = Vec::new();
    for n in [1, 1, 2] {
        let (admission, token) = admit_client(n, Mode::Enforce);
        assert!(!admission.is_refused);
        assert_eq!(seen.drain(), [("within", 0), ("within", 1)]);
        tokens.push(token);
    }

    // The second limit says no: nothing is left over in the first.
    let (admission, token) = admit_client(2, Mode::Enforce);
    assert!(admission.is_refused);
    assert_eq!((admission.limit, admission.connections), (1, 3));
    assert_eq!(Admission::from_word(admission.to_word()), admission);
    assert_eq!(seen.drain(), [("full", 1)]);
    assert!(token.charges.iter().all(|charge| charge.generation == 0));
    assert_eq!(zones.0[0].connections(), 3);

    // In dry run both are charged, and both are said.
    let (admission, token) = admit_client(1, Mode::Count);
    assert!(admission.is_refused);
    assert_eq!((admission.limit, admission.connections), (0, 3));
    assert_eq!(seen.drain(), [("over", 0), ("over", 1)]);
    tokens.push(token);

    for mut token in tokens {
        discharge(&zones, &seen, &mut token);
        assert_eq!(seen.drain(), [("back", 0), ("back", 1)]);
        discharge(&zones, &seen, &mut token);
        assert_eq!(seen.drain(), []);
    }
    for table in &zones.0 {
        assert_eq!((table.connections(), table.live_keys()), (0, 0));
    }
}

#[test]
fn an_empty_key_is_not_accounted() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let mut server = two_limits();
    server.limits[0].fields = KeyFields::EMPTY;
    let mut token = token_of(1);
    let admission = admit(&zones, &OneMore, &seen, &server, Mode::Enforce, &mut token);
    assert!(!admission.is_refused);
    assert_eq!(seen.drain(), [("skipped", 0), ("within", 1)]);
}

#[test]
fn a_client_may_have_a_number_of_its_own() {
    let zones = Tables([Table::new(8, 8), Table::new(8, 8)]);
    let seen = Observed::default();
    let server = two_limits();
    let admit_client = |n| {
        let mut token = token_of(n);
        admit(&zones, &OneMore, &seen, &server, Mode::Enforce, &mut token)
    };
    for _ in 0..3 {
        assert!(!admit_client(9).is_refused);
    }
    let refused = admit_client(9);
    assert!(refused.is_refused);
    assert_eq!((refused.limit, refused.number), (0, 3));
    assert_eq!(Admission::from_word(refused.to_word()), refused);
}

/// Neighbours count together, and so do the networks of both lengths.
#[test]
fn prefixes_make_keys() {
    let mut limit = two_limits().limits[0];
    limit.v4_bits = 96 + 24;
    limit.v6_bits = 64;
    let key = |addr: &str| {
        let remote: IpAddr = addr.parse().expect("literal");
        let connection = Connection {
            remote: remote.into(),
            ..Connection::default()
        };
        ZoneKey::new(limit.shape(&connection), &connection, 0)
    };
    assert_eq!(key("192.0.2.1"), key("192.0.2.200"));
    assert_ne!(key("192.0.2.1"), key("192.0.3.1"));
    assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
    assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
}
