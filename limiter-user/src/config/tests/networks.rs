//! `limit_conn_exempt`, `limit_conn_override` and prefixes.

use limiter_common::policy::MAX_NETWORKS;

use super::errors::{check, check_with_zone};
use crate::config::{parse, render};

#[test]
fn prefixes() {
    check(&[
        (
            "limit_conn_zone $remote_addr zone=a:1m v4_prefix=33;",
            r#"1:50: invalid prefix length "33""#,
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m v4_prefix=;",
            r#"1:50: invalid prefix length """#,
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m v6_prefix=129;",
            r#"1:50: invalid prefix length "129""#,
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m v5_prefix=24;",
            r#"1:40: invalid parameter "v5_prefix=24""#,
        ),
        (
            "limit_conn_zone $remote_addr v4_prefix=24 zone=a:1m v4_prefix=24;",
            r#"1:53: duplicate parameter "v4_prefix""#,
        ),
        (
            "limit_conn_zone $server_port zone=a:1m v4_prefix=24;",
            "1:40: a prefix needs a key with the client address",
        ),
        (
            "limit_conn_zone '' zone=a:1m v6_prefix=64;",
            "1:30: a prefix needs a key with the client address",
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m on_full=drop;",
            r#"1:40: invalid value "on_full=drop" in "limit_conn_zone" directive, it must be "reject" or "evict""#,
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m on_full=evict on_full=evict;",
            r#"1:54: duplicate parameter "on_full""#,
        ),
        (
            "limit_conn_zone $remote_addr zone=a:1m v4_prefix=24 v6_prefix=64 on_full=evict x;",
            r#"1:80: invalid number of arguments in "limit_conn_zone" directive"#,
        ),
    ]);
}

#[test]
fn exempt() {
    check(&[
        (
            "limit_conn_exempt;",
            r#"1:18: invalid number of arguments in "limit_conn_exempt" directive"#,
        ),
        (
            "limit_conn_exempt 10.0.0.0/8 example.org;",
            r#"1:30: invalid network "example.org""#,
        ),
        (
            "limit_conn_exempt 10.0.0.1/8;",
            r#"1:19: low address bits of "10.0.0.1/8" are meaningless"#,
        ),
        (
            "limit_conn_exempt 10.0.0.0/8 ::1 10.0.0.0/8;",
            r#"1:34: network "10.0.0.0/8" is already exempt"#,
        ),
        // The same network in another form, in another directive.
        (
            "limit_conn_exempt 192.0.2.1;\nlimit_conn_exempt ::ffff:192.0.2.1/128;",
            r#"2:19: network "192.0.2.1/32" is already exempt"#,
        ),
        (
            "server { limit_conn_exempt ::1; limit_conn_exempt ::1; }",
            r#"1:51: network "::1/128" is already exempt"#,
        ),
        (
            "limit_conn_exempt ::1 off;",
            r#"1:23: "limit_conn_exempt off" must stand alone"#,
        ),
        (
            "limit_conn_exempt Off;\nlimit_conn_exempt ::1;",
            r#"2:19: "limit_conn_exempt off" must stand alone"#,
        ),
        (
            "limit_conn_exempt off off;",
            r#"1:23: "limit_conn_exempt off" must stand alone"#,
        ),
    ]);
}

#[test]
fn overrides() {
    check_with_zone(&[
        (
            "limit_conn_override addr 10.0.0.0/8;",
            r#"2:36: invalid number of arguments in "limit_conn_override" directive"#,
        ),
        (
            "limit_conn_override addr;",
            r#"2:25: invalid number of arguments in "limit_conn_override" directive"#,
        ),
        (
            "limit_conn_override off off;",
            r#"2:28: invalid number of arguments in "limit_conn_override" directive"#,
        ),
        (
            "limit_conn_override addr 10.0.0.0/8 5 off;",
            r#"2:39: invalid number of arguments in "limit_conn_override" directive"#,
        ),
        (
            "limit_conn_override off { }",
            r#"2:25: directive "limit_conn_override" is not terminated by ";""#,
        ),
        (
            "limit_conn_override Off;\nlimit_conn_override off;",
            r#"3:21: "limit_conn_override off" must stand alone"#,
        ),
        (
            "limit_conn_override off;\nlimit_conn_override addr ::1 5;",
            r#"3:26: "limit_conn_override off" must stand alone"#,
        ),
        (
            "server { limit_conn addr 1;\nlimit_conn_override addr ::1 5; limit_conn_override off; }",
            r#"3:53: "limit_conn_override off" must stand alone"#,
        ),
        (
            "limit_conn addr 1; limit_conn_override adr 10.0.0.0/8 5;",
            r#"2:40: unknown zone "adr""#,
        ),
        (
            "limit_conn_override addr ten 5;",
            r#"2:26: invalid network "ten""#,
        ),
        (
            "limit_conn_override addr 10.0.0.0/8 0;",
            r#"2:37: invalid number of connections "0""#,
        ),
        (
            "limit_conn_override addr 10.0.0.0/8 65536;",
            "2:37: connection limit must be less 65536, not \"65536\"",
        ),
        (
            "limit_conn addr 1;
             limit_conn_override addr 10.0.0.0/8 5;
             limit_conn_override addr ::ffff:10.0.0.0/104 6;",
            r#"4:39: network "10.0.0.0/8" has an override of zone "addr" already"#,
        ),
        (
            "limit_conn_zone $server_port zone=port:1m;
             server { limit_conn port 5; limit_conn_override port 10.0.0.0/8 5; }",
            r#"3:62: "limit_conn_override" needs a zone that counts by client address"#,
        ),
        // Wrong in itself, although no server inherits it.
        (
            "limit_conn_zone $server_port zone=port:1m; limit_conn_override port ::1 5;
             server { limit_conn addr 1; limit_conn_override addr ::1 5; }",
            r#"2:64: "limit_conn_override" needs a zone that counts by client address"#,
        ),
    ]);
}

#[test]
fn an_override_needs_a_limit() {
    let missing = |place: &str, zone: &str| {
        format!("{place}: \"limit_conn_override\" of zone \"{zone}\" without \"limit_conn\"")
    };
    check_with_zone(&[
        (
            "limit_conn_override addr 10.0.0.0/8 5;",
            &missing("2:21", "addr"),
        ),
        (
            "server { limit_conn_override addr 10.0.0.0/8 5; }",
            &missing("2:30", "addr"),
        ),
        (
            "limit_conn_zone $remote_addr zone=b:1m; limit_conn addr 1;
             server { limit_conn b 1; limit_conn_override addr 10.0.0.0/8 5; }",
            &missing("3:59", "addr"),
        ),
        // Two servers inherit it, and neither has the limit.
        (
            "limit_conn_zone $remote_addr zone=b:1m; limit_conn_override b ::1 5;
             limit_conn addr 1; server { listen 1; } server { listen 2; }",
            &missing("2:61", "b"),
        ),
    ]);
    // Nobody inherits it: as with any other directive, that is no error.
    let text = "limit_conn_zone $remote_addr zone=a:1m; limit_conn_override a ::1 5;
        server { limit_conn a 1; limit_conn_override a ::2 5; }";
    parse("t.conf", text).expect("valid");
}

#[test]
fn the_network_that_was_meant_is_shown() {
    let error = parse("t.conf", "limit_conn_exempt ::1\n  10.1.2.3/8;\n").expect_err("host bits");
    let expected = r#"  × low address bits of "10.1.2.3/8" are meaningless
   ╭─[t.conf:2:3]
 1 │ limit_conn_exempt ::1
 2 │   10.1.2.3/8;
   ·   ─────┬────
   ·        ╰── did you mean "10.0.0.0/8"?
   ╰────
"#;
    assert_eq!(render(&error, false), expected);
}

#[test]
fn there_is_room_for_so_many_networks() {
    let networks = |count: usize| -> String {
        let networks = (0..count as u32).map(|index| {
            let [_, _, high, low] = index.to_be_bytes();
            format!(" 10.0.{high}.{low}\n")
        });
        format!("limit_conn_exempt\n{};", networks.collect::<String>())
    };
    let most = networks(MAX_NETWORKS);
    let policy = parse("t.conf", &most).expect("room").policy;
    assert_eq!(policy.networks(), MAX_NETWORKS);
    // Twice the half, in two servers.
    let half = networks(MAX_NETWORKS / 2);
    let two = "server { listen 1; } server { listen 2; }";
    parse("t.conf", &format!("{two} {half}")).expect("room");

    let many = "too many networks, 4096 at the most";
    let refused = |text: &str, place: &str| {
        let error = parse("t.conf", text).expect_err("no room");
        assert_eq!(error.to_string(), format!("t.conf:{place}: {many}"));
    };
    refused(&networks(MAX_NETWORKS + 1), "4098:2");
    // What is inherited counts wherever it is.
    refused(
        &format!("{two} server {{ listen 3; limit_conn_exempt ::1; }} {half}"),
        "1:43",
    );
    let zone = "limit_conn_zone $remote_addr zone=a:1m; limit_conn a 1;";
    refused(
        &format!("{zone} limit_conn_override a ::1 5; {most}"),
        "1:79",
    );
}
