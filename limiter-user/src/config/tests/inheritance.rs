//! A directive is inherited from the main context if and only if the server has none of that
//! directive itself.

use crate::{
    config::parse,
    policy::{Action, LogLevel, Server},
};

const ZONES: &str = "limit_conn_zone $remote_addr zone=a:1m; limit_conn_zone x zone=b:1m;";

/// Main context, server, and what the server has: limits as zone and number, dry run, log level.
/// The action has a table of its own.
type Case = (
    &'static str,
    &'static str,
    (&'static [(usize, u16)], bool, LogLevel),
);

const TABLE: &[Case] = &[
    ("", "", (&[], false, LogLevel::Error)),
    ("limit_conn a 1;", "", (&[(0, 1)], false, LogLevel::Error)),
    ("", "limit_conn a 1;", (&[(0, 1)], false, LogLevel::Error)),
    (
        "limit_conn a 1;",
        "limit_conn a 2;",
        (&[(0, 2)], false, LogLevel::Error),
    ),
    // One of its own, and none is inherited, of whatever zone.
    (
        "limit_conn a 1;",
        "limit_conn b 2;",
        (&[(1, 2)], false, LogLevel::Error),
    ),
    (
        "limit_conn b 1; limit_conn a 2;",
        "",
        (&[(1, 1), (0, 2)], false, LogLevel::Error),
    ),
    (
        "limit_conn a 1; limit_conn b 2;",
        "limit_conn b 3;",
        (&[(1, 3)], false, LogLevel::Error),
    ),
    // Each directive for itself.
    (
        "limit_conn a 1; limit_conn_dry_run on;",
        "limit_conn a 2;",
        (&[(0, 2)], true, LogLevel::Error),
    ),
    (
        "limit_conn a 1; limit_conn_log_level warn;",
        "limit_conn_dry_run on;",
        (&[(0, 1)], true, LogLevel::Warn),
    ),
    // The default, written out, is a directive of its own.
    (
        "limit_conn_dry_run on;",
        "limit_conn_dry_run off;",
        (&[], false, LogLevel::Error),
    ),
    (
        "limit_conn_log_level info;",
        "limit_conn_log_level error;",
        (&[], false, LogLevel::Error),
    ),
];

#[test]
fn the_order_in_the_file_does_not_matter() {
    for (main, own, (limits, dry_run, log_level)) in TABLE {
        let server = format!("server {{ {own} }}");
        for text in [
            format!("{ZONES} {main} {server}"),
            format!("{server} {main} {ZONES}"),
            format!("{ZONES} {main} stream {{ {server} }}"),
            format!("stream {{ {server} {main} }} {ZONES}"),
        ] {
            let policy = parse("t.conf", &text).expect(&text).policy;
            let [server] = policy.servers.as_slice() else {
                panic!("one server: {text}");
            };
            assert_eq!(numbers(server), *limits, "{text}");
            assert_eq!(
                (server.dry_run, server.log_level),
                (*dry_run, *log_level),
                "{text}"
            );
        }
    }
}

#[test]
fn an_action_is_inherited_with_its_delay() {
    let close = |delay_ms| Action::Close { delay_ms };
    for (main, own, action) in [
        ("", "", Action::Drop),
        ("limit_conn_action reset;", "", Action::Reset),
        ("", "limit_conn_action reset;", Action::Reset),
        ("limit_conn_action close delay=2s;", "", close(2_000)),
        (
            "limit_conn_action reset;",
            "limit_conn_action drop;",
            Action::Drop,
        ),
        // The delay is not a directive of its own.
        (
            "limit_conn_action close delay=2s;",
            "limit_conn_action close;",
            close(0),
        ),
        (
            "limit_conn_action close delay=2s;",
            "limit_conn_dry_run on;",
            close(2_000),
        ),
    ] {
        for text in [
            format!("{main} server {{ {own} }}"),
            format!("stream {{ server {{ {own} }} }} {main}"),
        ] {
            let policy = parse("t.conf", &text).expect(&text).policy;
            assert_eq!(policy.servers[0].action, action, "{text}");
        }
    }
}

#[test]
fn servers_do_not_inherit_from_each_other() {
    let text = format!(
        "{ZONES} limit_conn a 1;
         server {{ listen 1; limit_conn b 2; limit_conn_dry_run on; limit_conn_action reset; }}
         server {{ listen 2; }}"
    );
    let policy = parse("t.conf", &text).expect("valid").policy;
    assert_eq!(numbers(&policy.servers[0]), [(1, 2)]);
    assert_eq!(numbers(&policy.servers[1]), [(0, 1)]);
    assert!(policy.servers[0].dry_run && !policy.servers[1].dry_run);
    assert_eq!(policy.servers[1].action, Action::Drop);
}

fn numbers(server: &Server) -> Vec<(usize, u16)> {
    let limits = server.limits.iter();
    limits.map(|limit| (limit.zone, limit.number)).collect()
}
