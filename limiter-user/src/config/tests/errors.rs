//! Bad input: one clear sentence, and its place.

use crate::config::{parse, render};

/// A zone that the other lines of a case may use.
const ZONE: &str = "limit_conn_zone $binary_remote_addr zone=addr:1m;\n";

fn message(text: &str) -> String {
    let error = parse("t.conf", text).expect_err(text);
    let rendered = render(&error, false);
    assert!(!rendered.contains('\u{1b}'), "{rendered}");
    error.to_string()
}

/// Each case: the text, and the message without `t.conf:`.
pub(super) fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(message(text), format!("t.conf:{expected}"), "{text}");
    }
}

/// As [`check`], behind [`ZONE`]: the first line of a case is line 2.
pub(super) fn check_with_zone(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let text = format!("{ZONE}{text}");
        assert_eq!(message(&text), format!("t.conf:{expected}"), "{text}");
    }
}

#[test]
fn grammar() {
    check(&[
        ("limit_con addr 1;", r#"1:1: unknown directive "limit_con""#),
        ("\n  # é\n\té bla;", r#"3:2: unknown directive "é""#),
        ("\"a\nb\" 1;", r#"1:1: unknown directive "a\nb""#),
        (
            "limit_conn_dry_run on\nlimit_conn_log_level info;",
            r#"1:22: directive "limit_conn_dry_run" is not terminated by ";""#,
        ),
        (
            "server { listen 443 }",
            r#"1:20: directive "listen" is not terminated by ";""#,
        ),
        (
            "server { listen 443}",
            r#"1:20: directive "listen" is not terminated by ";""#,
        ),
        (
            "server { listen 443 { } }",
            r#"1:21: directive "listen" is not terminated by ";""#,
        ),
        ("server;", r#"1:7: directive "server" has no opening "{""#),
        (
            "server a { }",
            r#"1:8: invalid number of arguments in "server" directive"#,
        ),
        (
            "limit_conn addr 1",
            r#"1:18: unexpected end of file, expecting ";" or "}""#,
        ),
        (
            "server { listen 443;\n\n",
            r#"1:21: unexpected end of file, expecting "}""#,
        ),
        ("server { }\n}", r#"2:1: unexpected "}""#),
        ("; server { }", r#"1:1: unexpected ";""#),
        ("{ }", r#"1:1: unexpected "{""#),
        (
            "control '/a\";\nserver { }",
            r#"1:9: unexpected end of file, probably missing terminating "'" character"#,
        ),
        ("control '/a'b;", r#"1:13: unexpected "b""#),
        ("control \"/a\"é;", "1:13: unexpected \"\\u{e9}\""),
        ("control /a\0;", "1:11: unexpected zero byte"),
        (
            "stream { } stream { }",
            r#"1:12: "stream" directive is duplicate"#,
        ),
        (
            "stream { stream { } }",
            r#"1:10: "stream" directive is not allowed here"#,
        ),
        (
            "server { limit_conn_zone $remote_addr zone=a:1m; }",
            r#"1:10: "limit_conn_zone" directive is not allowed here"#,
        ),
        (
            "listen 443;",
            r#"1:1: "listen" directive is not allowed here"#,
        ),
        (
            "stream { listen 443; }",
            r#"1:10: "listen" directive is not allowed here"#,
        ),
        (
            "server { server { } }",
            r#"1:10: "server" directive is not allowed here"#,
        ),
    ]);
}

#[test]
fn bounds_of_the_grammar() {
    check(&[
        (
            &"a { ".repeat(17),
            "1:67: blocks are nested too deeply, 16 levels at the most",
        ),
        (
            &format!("control {};", "x".repeat(5000)),
            "1:9: too long parameter, 4096 bytes at the most",
        ),
    ]);
    let error = parse("t.conf", &"#".repeat((1 << 20) + 1)).expect_err("too large");
    assert_eq!(
        error.to_string(),
        r#""t.conf" is too large, 1024 KiB at the most"#
    );
}

#[test]
fn zones() {
    check(&[
        (
            "limit_conn_zone $binary_remote_addr;",
            r#"1:36: invalid number of arguments in "limit_conn_zone" directive"#,
        ),
        (
            "limit_conn_zone $binary_remote_addr on_full=reject;",
            r#"1:1: "limit_conn_zone" must have "zone" parameter"#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=a:1m zone=b:1m;",
            r#"1:47: duplicate parameter "zone""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=a:1m size=2;",
            r#"1:47: invalid parameter "size=2""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr addr:1m;",
            r#"1:37: invalid parameter "addr:1m""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=addr;",
            r#"1:46: invalid zone size "zone=addr""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=:1m;",
            r#"1:42: invalid zone name "zone=:1m""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=addr:10x;",
            r#"1:47: invalid zone size "zone=addr:10x""#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=addr:31k;",
            r#"1:47: zone "addr" is too small"#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=addr:0;",
            r#"1:47: zone "addr" is too small"#,
        ),
        (
            "limit_conn_zone $binary_remote_addr \"zone=addr:0\";",
            r#"1:37: zone "addr" is too small"#,
        ),
        (
            "limit_conn_zone $binary_remote_addr zone=addr:5g;",
            r#"1:47: zone "addr" is too large"#,
        ),
        (
            "limit_conn_zone x$foo zone=addr:1m;",
            r#"1:18: unknown "foo" variable"#,
        ),
        (
            "limit_conn_zone ${remote_addr zone=addr:1m;",
            r#"1:17: the closing bracket in "remote_addr" variable is missing"#,
        ),
        (
            "limit_conn_zone $ zone=addr:1m;",
            "1:17: invalid variable name",
        ),
    ]);
    check_with_zone(&[
        (
            "limit_conn_zone $server_name zone=addr:1m;",
            r#"2:30: limit_conn_zone "addr" is already bound to key "$binary_remote_addr""#,
        ),
        (
            &(0..64)
                .map(|i| format!("limit_conn_zone x zone=z{i}:1m;\n"))
                .collect::<String>(),
            "65:1: too many zones, 64 at the most",
        ),
    ]);
}

#[test]
fn limits() {
    check_with_zone(&[
        ("limit_conn adr 1;", r#"2:12: unknown zone "adr""#),
        (
            "limit_conn adr 1;\nserver { limit_conn addr 1; }",
            r#"2:12: unknown zone "adr""#,
        ),
        (
            "server { limit_conn zone=addr 1; }",
            r#"2:21: unknown zone "zone=addr""#,
        ),
        (
            "limit_conn addr 0;",
            r#"2:17: invalid number of connections "0""#,
        ),
        (
            "limit_conn addr -1;",
            r#"2:17: invalid number of connections "-1""#,
        ),
        (
            "limit_conn addr many;",
            r#"2:17: invalid number of connections "many""#,
        ),
        (
            "limit_conn addr 65536;",
            "2:17: connection limit must be less 65536, not \"65536\"",
        ),
        (
            "limit_conn addr;",
            r#"2:16: invalid number of arguments in "limit_conn" directive"#,
        ),
        (
            "limit_conn addr 1 2;",
            r#"2:19: invalid number of arguments in "limit_conn" directive"#,
        ),
        (
            "limit_conn addr 1;\nlimit_conn addr 2;",
            r#"3:1: "limit_conn" directive is duplicate"#,
        ),
        (
            "server { limit_conn addr 1; limit_conn addr 2; }",
            r#"2:29: "limit_conn" directive is duplicate"#,
        ),
        (
            &(0..9)
                .map(|i| format!("limit_conn z{i} 1;\n"))
                .collect::<String>(),
            "10:1: too many limits, 8 in one place at the most",
        ),
    ]);
    let error = parse("t.conf", "limit_conn addr 1;").expect_err("no zone");
    assert!(render(&error, false).contains("no zone is defined"));
}

#[test]
fn servers() {
    check(&[
        (
            "server { listen 443; listen 443; }",
            r#"1:29: "listen 443" is already claimed by the same server at t.conf:1:17"#,
        ),
        (
            "server { server_name a; listen 8000-8100; }\nserver { listen 443; listen *:8100; }",
            r#"2:29: "listen 8100" is already claimed by server "a" at t.conf:1:32"#,
        ),
        (
            "server { listen [::1]:1-9; }\nserver { listen [::1]:5; }",
            r#"2:17: "listen [::1]:5" is already claimed by the server of port [::1]:1-9 at t.conf:1:17"#,
        ),
        (
            "server { listen 192.0.2.1:5-9; }\nserver { listen 192.0.2.1:1-9; }",
            r#"2:17: "listen 192.0.2.1:1-9" is already claimed by the server of port 192.0.2.1:5-9 at t.conf:1:17"#,
        ),
        (
            "server { server_name a; }\nserver { server_name b; }",
            r#"2:1: a server without "listen" is already at t.conf:1:1"#,
        ),
        (
            "server { server_name a; listen 1; }\nserver { server_name a; listen 2; }",
            r#"2:22: server name "a" is already used at t.conf:1:22"#,
        ),
        (
            "server { server_name ''; }",
            r#"1:22: invalid server name """#,
        ),
        (
            "server { server_name a b; }",
            r#"1:24: invalid number of arguments in "server_name" directive"#,
        ),
        (
            "server { server_name a; server_name b; }",
            r#"1:25: "server_name" directive is duplicate"#,
        ),
        (
            "server { listen 70000; }",
            r#"1:17: invalid port in "70000" of the "listen" directive"#,
        ),
        (
            "server { listen 192.0.2.1:0; }",
            r#"1:27: invalid port in "192.0.2.1:0" of the "listen" directive"#,
        ),
        (
            "server { listen localhost:80; }",
            r#"1:17: invalid host in "localhost:80" of the "listen" directive"#,
        ),
        (
            "server { listen 443 ssl; }",
            r#"1:21: invalid number of arguments in "listen" directive"#,
        ),
        (
            &(1..=257)
                .map(|i| format!("server {{ listen {i}; }}\n"))
                .collect::<String>(),
            "257:1: too many servers, 256 at the most",
        ),
    ]);
}

#[test]
fn too_many_addresses() {
    let text: String = (0..32)
        .map(|server| {
            let listens: String = (0..100)
                .map(|i| format!("listen 10.0.{server}.{i}:{}-60000;\n", server * 100 + i + 1))
                .collect();
            format!("server {{\n{listens}}}\n")
        })
        .collect();
    let message = message(&text);
    assert!(
        message.ends_with("too many \"listen\" directives with an address"),
        "{message}"
    );
}

#[test]
fn simple_values() {
    check(&[
        (
            "limit_conn_dry_run maybe;",
            r#"1:20: invalid value "maybe" in "limit_conn_dry_run" directive, it must be "on" or "off""#,
        ),
        (
            "limit_conn_log_level debug;",
            r#"1:22: invalid value "debug" in "limit_conn_log_level" directive, it must be "info", "notice", "warn" or "error""#,
        ),
        (
            "limit_conn_dry_run on; limit_conn_dry_run on;",
            r#"1:24: "limit_conn_dry_run" directive is duplicate"#,
        ),
        (
            "error_log stderr loud;",
            r#"1:18: invalid log level "loud""#,
        ),
        (
            "error_log stderr format=xml;",
            r#"1:25: invalid value "xml""#,
        ),
        (
            "error_log stderr format=json notice;",
            r#"1:30: invalid parameter "notice""#,
        ),
        (
            "error_log stderr format=json format=json;",
            r#"1:30: duplicate parameter "format""#,
        ),
        (
            "error_log stderr colour=on;",
            r#"1:18: invalid parameter "colour=on""#,
        ),
        (
            "error_log journal info format=json;",
            r#"1:24: error_log journal takes no "format""#,
        ),
        (
            "error_log logs/error.log;",
            r#"1:11: "logs/error.log" is not an absolute path in "error_log" directive"#,
        ),
        (
            "control limiter.sock;",
            r#"1:9: "limiter.sock" is not an absolute path in "control" directive"#,
        ),
        ("control /s adm;", r#"1:12: invalid parameter "adm""#),
        (
            "control /s mode=0666;",
            r#"1:12: invalid parameter "mode=0666""#,
        ),
        (
            "control /s group=no-such-group;",
            r#"1:18: unknown group "no-such-group""#,
        ),
        ("control /s group=;", r#"1:18: unknown group """#),
        (
            "control /s group=4294967295;",
            r#"1:18: invalid number of a group "4294967295""#,
        ),
        (
            "control /s others=write;",
            r#"1:12: invalid value "others=write" in "control" directive, it must be "read" or "nothing""#,
        ),
        (
            "control /s others=read others=read;",
            r#"1:24: duplicate parameter "others""#,
        ),
        (
            &format!("control /{};", "x".repeat(107)),
            &format!(
                r#"1:9: "/{}…" is too long for the path of a Unix socket"#,
                "x".repeat(79)
            ),
        ),
    ]);
}

#[test]
fn metrics() {
    let many: String = (1..=17).map(|port| format!("metrics {port}; ")).collect();
    check(&[
        (
            "metrics 9145-9146;",
            r#"1:9: a range of ports in "9145-9146""#,
        ),
        ("metrics *:9145;", r#"1:9: no address in "*:9145""#),
        (
            "metrics localhost:9145;",
            r#"1:9: invalid host in "localhost:9145""#,
        ),
        (
            "metrics 9145; metrics 127.0.0.1:9145;",
            r#"1:15: "metrics" directive is duplicate"#,
        ),
        (
            &many,
            r#"1:184: too many "metrics" directives, 16 at the most"#,
        ),
        (
            "metrics_top 1001;",
            r#"1:13: invalid number of keys "1001""#,
        ),
        (
            "metrics_top 1; metrics_top 1;",
            r#"1:16: "metrics_top" directive is duplicate"#,
        ),
        (
            "metrics_run_time yes;",
            r#"1:18: invalid value "yes" in "metrics_run_time" directive, it must be "on" or "off""#,
        ),
        (
            "server { metrics 9145; }",
            r#"1:10: "metrics" directive is not allowed here"#,
        ),
    ]);
}

#[test]
fn upstreams() {
    check(&[
        (
            "upstream { server 192.0.2.1:80; }",
            r#"1:9: invalid number of arguments in "upstream" directive"#,
        ),
        ("upstream a { }", r#"1:1: no servers are inside upstream"#),
        (
            "upstream a { server 192.0.2.1:80; }\nupstream a { server 192.0.2.2:80; }",
            r#"2:10: duplicate upstream "a""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; server 192.0.2.1:80; }",
            r#"1:42: duplicate server "192.0.2.1:80" in upstream "a""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; }\nupstream b { server [::ffff:192.0.2.1]:80; }",
            r#"2:21: server "192.0.2.1:80" is in upstream "a" already"#,
        ),
        (
            "upstream a { server example.com:80; }",
            r#"1:21: invalid host in "example.com:80" of the "server" directive"#,
        ),
        (
            "upstream a { server example.com; }",
            r#"1:21: invalid port in "example.com" of the "server" directive"#,
        ),
        (
            "upstream a { server 80; }",
            r#"1:21: invalid address "80" of the "server" directive"#,
        ),
        (
            "upstream a { server 0.0.0.0:80; }",
            r#"1:21: invalid address "0.0.0.0:80" of the "server" directive"#,
        ),
        (
            "upstream a { server 192.0.2.1:80-90; }",
            r#"1:21: invalid address "192.0.2.1:80-90" of the "server" directive"#,
        ),
        (
            "upstream a { server 192.0.2.1:80 max_conns=x; }",
            r#"1:44: invalid number of connections "x""#,
        ),
        (
            "upstream a { server 192.0.2.1:80 max_conns=1 max_conns=2; }",
            r#"1:46: duplicate parameter "max_conns""#,
        ),
        (
            "upstream a { server 192.0.2.1:80 weight=5; }",
            r#"1:34: parameter "weight" is not supported: limiter counts connections and balances no load, leave it in the configuration of the proxy"#,
        ),
        (
            "upstream a { server 192.0.2.1:80 down; }",
            r#"1:34: parameter "down" is not supported: limiter counts connections and balances no load, leave it in the configuration of the proxy"#,
        ),
        (
            "upstream a { server 192.0.2.1:80 nonsense; }",
            r#"1:34: invalid parameter "nonsense""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; queue 0; }",
            r#"1:41: invalid value "0""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; queue 5 timeout=0; }",
            r#"1:43: invalid timeout value "timeout=0""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; queue 5 timeout=61s; }",
            r#"1:51: too long timeout "timeout=61s""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; queue 5 wait=1s; }",
            r#"1:43: invalid parameter "wait=1s""#,
        ),
        (
            "upstream a { server 192.0.2.1:80; queue 5; queue 6; }",
            r#"1:44: "queue" directive is duplicate"#,
        ),
        (
            "upstream a { queue 8000; server 192.0.2.1:80; }\nupstream b { queue 193; server 192.0.2.2:80; }",
            r#"2:20: too long queues"#,
        ),
        (
            "upstream a { queue 5; }",
            r#"1:1: no servers are inside upstream"#,
        ),
        (
            "upstream a { least_conn; }",
            r#"1:14: "least_conn" directive is not supported: limiter counts connections and balances no load, leave it in the configuration of the proxy"#,
        ),
        (
            "upstream a { listen 80; }",
            r#"1:14: "listen" directive is not allowed here"#,
        ),
        (
            "server { upstream a { server 192.0.2.1:80; } }",
            r#"1:10: "upstream" directive is not allowed here"#,
        ),
    ]);
}

#[test]
fn what_belongs_to_a_web_server() {
    check(&[
        (
            "http { include mime.types; }",
            r#"1:1: "http" directive is not supported: write its "server" blocks without it, with "listen" and "limit_conn", or let "limiter import" do it"#,
        ),
        (
            "server { location ~ \\.php$ { } }",
            r#"1:10: "location" directive is not supported: a connection has no location yet, use "limit_conn" in the "server" block"#,
        ),
        (
            "limit_conn_status 429;",
            r#"1:1: "limit_conn_status" directive is not supported: a refused connection gets no HTTP status, use "limit_conn_action""#,
        ),
        (
            "limit_req zone=one burst=5;",
            r#"1:1: "limit_req" directive is not supported: limiter counts connections, not requests, use "limit_conn" or leave it to the web server"#,
        ),
        (
            "set_real_ip_from 10.0.0.0/8;",
            r#"1:1: "set_real_ip_from" directive is not supported: a connection has the address that the kernel sees, behind a proxy the proxy's; count by "$server_name" here, and by client at the proxy"#,
        ),
        (
            "events { }",
            r#"1:1: "events" directive is not supported: the kernel handles the connections, remove the block"#,
        ),
    ]);
}

#[test]
fn the_rendered_message_shows_the_line() {
    let text = format!("{ZONE}# ü\nserver {{\n\tlimit_conn adr 10;  # ü\n}}\n");
    let error = parse("t.conf", &text).expect_err("unknown zone");
    let expected = r#"  × unknown zone "adr"
   ╭─[t.conf:4:13]
 3 │ server {
 4 │     limit_conn adr 10;  # ü
   ·                ─┬─
   ·                 ╰── did you mean "addr"?
 5 │ }
   ╰────
  help: known zones: "addr"
"#;
    assert_eq!(render(&error, false), expected);
    assert!(render(&error, true).contains("\u{1b}["));
}

#[test]
fn places_next_to_each_other_are_shown_together() {
    let error = parse("t.conf", "limit_conn_dry_run on\nserver {\n}\n").expect_err("no semicolon");
    let expected = r#"  × directive "limit_conn_dry_run" is not terminated by ";"
   ╭─[t.conf:1:22]
 1 │ limit_conn_dry_run on
   ·                      ▲
   ·                      ╰── expected ";" here
 2 │ server {
   · ───┬──
   ·    ╰── the next directive begins here
 3 │ }
   ╰────
  help: if "server" is meant as an argument, put it in quotes
"#;
    assert_eq!(render(&error, false), expected);
}

#[test]
fn of_a_long_line_only_a_part_is_shown() {
    let before = "include *.none;".repeat(1000);
    let text = format!("{before}limit_con;{}", "é;".repeat(5000));
    let error = parse("t.conf", &text).expect_err("unknown directive");
    let rendered = render(&error, false);
    assert!(rendered.contains("[t.conf:1:15001]"), "{rendered}");
    assert!(rendered.len() < 5000, "{}", rendered.len());
}

#[test]
fn both_places_of_a_conflict_are_shown() {
    let text = "server {\n  listen 80-90;\n}\nserver {\n  listen 85;\n}\n";
    let error = parse("t.conf", text).expect_err("conflict");
    let rendered = render(&error, false);
    assert!(rendered.contains("claimed here before"), "{rendered}");
    assert!(
        rendered.contains("an endpoint belongs to one server"),
        "{rendered}"
    );
}
