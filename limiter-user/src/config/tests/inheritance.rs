//! A directive is inherited from the main context if and only if the server has none of that
//! directive itself.

use crate::{
    config::parse,
    policy::{LimitConn, Policy, Server, origin::Origin},
};

const ZONES: &str =
    "limit_conn_zone $remote_addr zone=a:1m; limit_conn_zone $remote_addr zone=b:1m;";

/// One directive, or a group of the same.
struct Directive {
    /// In the main context, and what that comes to.
    main: (&'static str, &'static str),
    /// In the server, and what that comes to.
    own: (&'static str, &'static str),
    /// What it comes to if it is written nowhere.
    default: &'static str,
    /// The words for it, as they stand in the tables.
    effective: fn(&Server) -> String,
}

const ALL: [Directive; 6] = [
    Directive {
        main: ("limit_conn a 1; limit_conn b 2;", "a 1, b 2"),
        // One of its own, and none is inherited, of whatever zone.
        own: ("limit_conn a 3;", "a 3"),
        default: "",
        effective: limits,
    },
    Directive {
        main: (
            "limit_conn_exempt 10.0.0.0/8; limit_conn_exempt ::1 192.0.2.0/24;",
            "[10.0.0.0/8, ::1/128, 192.0.2.0/24]",
        ),
        own: ("limit_conn_exempt 172.16.0.0/12;", "[172.16.0.0/12]"),
        default: "[]",
        effective: |server| format!("{:?}", server.exempt),
    },
    Directive {
        main: (
            "limit_conn_override a 10.0.0.0/8 5; limit_conn_override a 10.1.0.0/16 500;",
            "a 10.0.0.0/8 5, a 10.1.0.0/16 500",
        ),
        own: ("limit_conn_override a ::/0 7;", "a ::/0 7"),
        default: "",
        effective: overrides,
    },
    Directive {
        main: ("limit_conn_dry_run on;", "true"),
        // The default, written out, is a directive of its own.
        own: ("limit_conn_dry_run off;", "false"),
        default: "false",
        effective: |server| server.dry_run.to_string(),
    },
    Directive {
        main: ("limit_conn_log_level info;", "info"),
        own: ("limit_conn_log_level warn;", "warn"),
        default: "error",
        effective: |server| server.log_level.to_string(),
    },
    Directive {
        main: (
            "limit_conn_action close delay=2s;",
            "Close { delay_ms: 2000 }",
        ),
        // The delay is not a directive of its own.
        own: ("limit_conn_action close;", "Close { delay_ms: 0 }"),
        default: "Drop",
        effective: |server| format!("{:?}", server.action),
    },
];

/// Where a directive stands; the position in this table stands for it below.
const PLACES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

#[test]
fn every_directive_is_inherited_for_itself_wherever_the_others_stand() {
    for combination in 0..PLACES.len().pow(ALL.len() as u32) {
        let mut rest = combination;
        let places = ALL.each_ref().map(|_| {
            let place = PLACES[rest % PLACES.len()];
            rest /= PLACES.len();
            place
        });
        let text = text(combination, &places);
        let expected: Vec<_> = ALL.iter().zip(places).map(expected).collect();
        let parsed = parse("t.conf", &text);
        // Overrides of a limit that is not there.
        if expected[0].is_empty() && !expected[2].is_empty() {
            let error = parsed.expect_err(&text).to_string();
            assert!(error.contains("without \"limit_conn\""), "{error}: {text}");
            continue;
        }
        let loaded = parsed.unwrap_or_else(|error| panic!("{error}: {text}"));
        let server = only_server(&loaded.policy);
        let effective: Vec<_> = ALL.iter().map(|it| (it.effective)(server)).collect();
        assert_eq!(effective, expected, "{text}");
        let origins = &loaded.origins.servers[0];
        for (origin, (in_main, in_server)) in
            [&origins.dry_run, &origins.log_level, &origins.action]
                .into_iter()
                .zip(&places[3..])
        {
            let inherited = matches!(
                origin,
                Origin::File {
                    inherited: true,
                    ..
                }
            );
            assert_eq!(inherited, *in_main && !in_server, "{text}");
            assert_eq!(*origin == Origin::Default, !in_main && !in_server, "{text}");
        }
    }
}

fn expected((directive, (in_main, in_server)): (&Directive, (bool, bool))) -> &'static str {
    match (in_main, in_server) {
        (_, true) => directive.own.1,
        (true, false) => directive.main.1,
        (false, false) => directive.default,
    }
}

/// The order in the file does not matter.
fn text(order: usize, places: &[(bool, bool)]) -> String {
    let (mut main, mut own) = (String::new(), String::new());
    for (directive, (in_main, in_server)) in ALL.iter().zip(places) {
        if *in_main {
            main.push_str(directive.main.0);
        }
        if *in_server {
            own.push_str(directive.own.0);
        }
    }
    let server = format!("server {{ {own} }}");
    match order % 5 {
        0 => format!("{ZONES} {main} {server}"),
        1 => format!("{server} {main} {ZONES}"),
        2 => format!("{ZONES} {main} stream {{ {server} }}"),
        3 => format!("stream {{ {server} {main} }} {ZONES}"),
        _ => format!("{main} {server} {ZONES}"),
    }
}

/// Main context, server, directive, and what it comes to in the server.
type Case = (
    &'static str,
    &'static str,
    fn(&Server) -> String,
    &'static str,
);

const MORE: &[Case] = &[
    ("", "limit_conn b 1;", limits, "b 1"),
    ("limit_conn a 1;", "limit_conn b 2;", limits, "b 2"),
    ("limit_conn b 1; limit_conn a 2;", "", limits, "b 1, a 2"),
    // None, said explicitly, is something of its own, also where there is nothing to inherit.
    (
        "limit_conn_exempt 10.0.0.0/8;",
        "limit_conn_exempt off;",
        |server| format!("{:?}", server.exempt),
        "[]",
    ),
    (
        "limit_conn_exempt off;",
        "limit_conn_exempt ::1;",
        |server| format!("{:?}", server.exempt),
        "[::1/128]",
    ),
    (
        "limit_conn_exempt off;",
        "",
        |server| format!("{:?}", server.exempt),
        "[]",
    ),
    // Overrides go by the limits of the server, wherever those come from.
    (
        "limit_conn a 1; limit_conn_override a ::1 5;",
        "limit_conn a 2; limit_conn b 3;",
        overrides,
        "a ::1/128 5",
    ),
    (
        "limit_conn a 1; limit_conn b 1;",
        "limit_conn_override b ::1 5; limit_conn_override a ::1 6;",
        overrides,
        "a ::1/128 6, b ::1/128 5",
    ),
    // One of its own, and none is inherited, of whatever zone.
    (
        "limit_conn a 1; limit_conn b 1; limit_conn_override a ::1 5;",
        "limit_conn_override b ::1 6;",
        overrides,
        "b ::1/128 6",
    ),
    // None of its own, said explicitly, is none.
    (
        "limit_conn a 1; limit_conn_override a ::1 5;",
        "limit_conn_override off;",
        overrides,
        "",
    ),
    (
        "limit_conn a 1; limit_conn_override off;",
        "limit_conn_override a ::1 5;",
        overrides,
        "a ::1/128 5",
    ),
    (
        "limit_conn a 1; limit_conn_override off;",
        "",
        overrides,
        "",
    ),
];

#[test]
fn groups_of_directives_are_inherited_as_a_whole() {
    for (main, own, effective, expected) in MORE {
        for text in [
            format!("{ZONES} {main} server {{ {own} }}"),
            format!("stream {{ server {{ {own} }} {ZONES} {main} }}"),
        ] {
            let loaded = parse("t.conf", &text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(effective(only_server(&loaded.policy)), *expected, "{text}");
        }
    }
}

#[test]
fn servers_do_not_inherit_from_each_other() {
    let text = format!(
        "{ZONES} limit_conn a 1; limit_conn_override a 10.0.0.0/8 9; limit_conn_exempt ::1;
         server {{
             listen 1; limit_conn b 2; limit_conn_dry_run on; limit_conn_action reset;
             limit_conn_exempt ::2; limit_conn_override b 10.0.0.0/8 8;
         }}
         server {{ listen 2; limit_conn b 4; }}
         server {{ listen 3; }}"
    );
    let policy = parse("t.conf", &text).expect("valid").policy;
    let all = |effective: fn(&Server) -> String| -> Vec<String> {
        policy.servers.iter().map(effective).collect()
    };
    assert_eq!(all(limits), ["b 2", "b 4", "a 1"]);
    // The second has no limit that the inherited override could be for.
    assert_eq!(all(overrides), ["b 10.0.0.0/8 8", "", "a 10.0.0.0/8 9"]);
    let exempt = all(|server| format!("{:?}", server.exempt));
    assert_eq!(exempt, ["[::2/128]", "[::1/128]", "[::1/128]"]);
    assert_eq!(
        all(|server| server.dry_run.to_string()),
        ["true", "false", "false"]
    );
    let actions = all(|server| format!("{:?}", server.action));
    assert_eq!(actions, ["Reset", "Drop", "Drop"]);
}

fn only_server(policy: &Policy) -> &Server {
    let [server] = policy.servers.as_slice() else {
        panic!("one server: {policy:?}");
    };
    server
}

fn limits(server: &Server) -> String {
    let limits = server.limits.iter();
    let limits: Vec<_> = limits
        .map(|limit| format!("{} {}", zone(limit), limit.number))
        .collect();
    limits.join(", ")
}

fn overrides(server: &Server) -> String {
    let mut all = Vec::new();
    for limit in &server.limits {
        for one in &limit.overrides {
            all.push(format!("{} {} {}", zone(limit), one.network, one.number));
        }
    }
    all.join(", ")
}

fn zone(limit: &LimitConn) -> &'static str {
    ["a", "b"][limit.zone]
}
