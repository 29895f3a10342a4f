//! What works, but is hardly meant that way.

use crate::config::{Flags, Loaded, parse, render_warning};

/// The warnings, and the advice, each as one line.
fn warnings(text: &str) -> (Vec<String>, Vec<String>) {
    lines(&parse("t.conf", text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn lines(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let (mut warnings, mut advice) = (Vec::new(), Vec::new());
    for warning in &loaded.warnings {
        // Whatever it is, it says how to go on.
        assert!(
            render_warning(warning, false).contains("help:"),
            "{warning}"
        );
        if warning.is_advice() {
            advice.push(warning.to_string());
        } else {
            warnings.push(warning.to_string());
        }
    }
    (warnings, advice)
}

const NONE: [&str; 0] = [];

#[test]
fn what_limits_nothing() {
    let nothing = "nothing is limited: no \"limit_conn\" is in effect";
    assert_eq!(warnings("").0, [nothing]);
    assert_eq!(
        warnings("limit_conn_zone x zone=a:1m;").0,
        ["t.conf:1:19: zone \"a\" is not used by any server", nothing]
    );
    let overridden = "limit_conn_zone x zone=a:1m; limit_conn_zone x zone=b:1m;
        limit_conn a 1; server { limit_conn b 1; }";
    assert_eq!(
        warnings(overridden).0,
        ["t.conf:1:19: zone \"a\" is not used by any server"]
    );
}

#[test]
fn a_limit_that_was_meant_for_the_zone() {
    let few = |place: &str, number| {
        format!(
            "t.conf:{place}: one client may have {number} connections, \
             but zone \"a\" has room for 512 clients"
        )
    };
    let zone = "limit_conn_zone $remote_addr zone=a:32k v6_prefix=64;\n";
    assert_eq!(warnings(&format!("{zone}limit_conn a 512;")).0, NONE);
    assert_eq!(
        warnings(&format!(
            "{zone}limit_conn a 513; server {{ limit_conn a 600; }}"
        ))
        .0,
        [few("2:14", 513), few("2:41", 600)]
    );
    // A key for a whole server is another matter.
    let server = "limit_conn_zone $server_name zone=a:32k; limit_conn a 65535;";
    assert_eq!(warnings(server).0, NONE);
}

#[test]
fn overrides_that_do_nothing_or_too_much() {
    let text = "limit_conn_zone $remote_addr zone=a:1m v4_prefix=24 v6_prefix=64;
limit_conn a 1; limit_conn_exempt 10.0.0.0/8;
limit_conn_override a 10.0.0.0/24 2; limit_conn_override a 192.0.2.0/24 2;
limit_conn_override a 192.0.2.1 2;
limit_conn_override a 2001:db8::/65 2;
server { listen 1; } server { listen 2; }";
    let smaller = |place: &str, network: &str| {
        format!(
            "t.conf:{place}: network \"{network}\" is smaller than what zone \"a\" counts: \
             its clients share their count with others"
        )
    };
    assert_eq!(
        warnings(text).0,
        [
            smaller("4:23", "192.0.2.1/32"),
            smaller("5:23", "2001:db8::/65"),
            // Once, although two servers inherit it.
            "t.conf:3:23: the override of \"10.0.0.0/24\" has no effect: \"10.0.0.0/8\" is exempt"
                .to_owned(),
        ]
    );
}

#[test]
fn ipv6_clients_that_are_counted_singly() {
    let singly =
        ["t.conf:1:30: zone \"a\" counts IPv6 clients singly, and a client has many addresses"];
    for (parameters, servers, warned) in [
        ("", "limit_conn a 1;", true),
        ("v4_prefix=24", "limit_conn a 1;", true),
        ("v6_prefix=64", "limit_conn a 1;", false),
        // Said explicitly, it is meant.
        ("v6_prefix=128", "limit_conn a 1;", false),
        ("", "server { listen 192.0.2.1:80; limit_conn a 1; }", false),
        ("", "server { listen [::]:80; limit_conn a 1; }", true),
        (
            "",
            "server { listen 192.0.2.1:80; listen 81; limit_conn a 1; }",
            true,
        ),
        // Not used: that is warned of anyway.
        ("", "", false),
    ] {
        let text = format!("limit_conn_zone $remote_addr zone=a:1m {parameters}; {servers}");
        let expected: &[&str] = if warned { &singly } else { &NONE };
        assert_eq!(warnings(&text).1, expected, "{text}");
    }
    let other_key = "limit_conn_zone $server_port zone=a:1m; limit_conn a 1;";
    assert_eq!(warnings(other_key).1, NONE);
}

#[test]
fn clients_that_are_all_one_proxy() {
    let local = [
        "t.conf:1:73: all clients of \"127.0.0.1:8080\" are processes of this host: \
         zone \"a\" counts a proxy there as one client",
    ];
    for (key, listens, warned) in [
        (
            "$remote_addr",
            "listen 127.0.0.1:8080; listen [::1]:8080;",
            true,
        ),
        (
            "$remote_addr",
            "listen 127.0.0.1:8080; listen 192.0.2.1:80;",
            false,
        ),
        ("$remote_addr", "listen 8080;", false),
        ("$remote_addr", "", false),
        ("$server_name", "listen 127.0.0.1:8080;", false),
    ] {
        let text =
            format!("limit_conn_zone {key} zone=a:1m; limit_conn a 1; server {{ {listens} }}");
        let advice = warnings(&text).1;
        let advice: Vec<_> = advice.iter().filter(|it| it.contains("proxy")).collect();
        let expected: &[&str] = if warned { &local } else { &NONE };
        assert_eq!(advice, expected, "{text}");
    }
}

#[test]
fn flags_are_warned_of_by_name() {
    let limited = Flags {
        limit: Some("600".to_owned()),
        ..Flags::default()
    };
    let singly = "zone \"addr\" counts IPv6 clients singly, and a client has many addresses";
    let of = |flags: &Flags| lines(&flags.policy().expect("valid"));
    assert_eq!(of(&limited), (Vec::new(), vec![singly.to_owned()]));
    let flags = Flags {
        zone_size: Some("32k".to_owned()),
        v6_prefix: Some("128".to_owned()),
        listen: vec!["127.0.0.1:80".to_owned()],
        ..limited
    };
    let (warnings, advice) = of(&flags);
    assert_eq!(
        warnings,
        [
            "--limit: one client may have 600 connections, but zone \"addr\" has room for 512 clients"
        ]
    );
    assert_eq!(
        advice,
        [
            "--listen: all clients of \"127.0.0.1:80\" are processes of this host: \
          zone \"addr\" counts a proxy there as one client"
        ]
    );
}
