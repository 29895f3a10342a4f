//! `limit_conn_action`

use super::errors::check;
use crate::{
    config::{parse, render},
    policy::Action,
};

#[test]
fn an_action_may_stand_in_main_and_in_a_server() {
    let text = "limit_conn_action close;
        server { listen 1; limit_conn_action drop; }
        server { listen 2; limit_conn_action Reset; }
        server { listen 3; limit_conn_action close delay=2s; }
        server { listen 4; limit_conn_action close \"delay=1m 30s\"; }
        server { }";
    let servers = parse("t.conf", text).expect("valid").policy.servers;
    let actions: Vec<_> = servers.iter().map(|server| server.action).collect();
    let close = |delay_ms| Action::Close { delay_ms };
    let expected = [
        Action::Drop,
        Action::Reset,
        close(2_000),
        close(90_000),
        close(0),
    ];
    assert_eq!(actions, expected);
}

#[test]
fn bad_actions() {
    check(&[
        (
            "limit_conn_action;",
            r#"1:18: invalid number of arguments in "limit_conn_action" directive"#,
        ),
        (
            "limit_conn_action close delay=1s now;",
            r#"1:34: invalid number of arguments in "limit_conn_action" directive"#,
        ),
        (
            "limit_conn_action ban;",
            r#"1:19: invalid value "ban" in "limit_conn_action" directive, it must be "drop", "reset" or "close""#,
        ),
        (
            "limit_conn_action drop delay=1s;",
            r#"1:24: invalid parameter "delay=1s", "drop" has no delay"#,
        ),
        (
            "server { limit_conn_action reset delay=1s; }",
            r#"1:34: invalid parameter "delay=1s", "reset" has no delay"#,
        ),
        (
            "limit_conn_action close after=1s;",
            r#"1:25: invalid parameter "after=1s""#,
        ),
        (
            "limit_conn_action close delay=soon;",
            r#"1:31: invalid delay value "delay=soon""#,
        ),
        (
            "limit_conn_action close 'delay=30s1m';",
            r#"1:25: invalid delay value "delay=30s1m""#,
        ),
        (
            "limit_conn_action close delay=1h1s;",
            r#"1:31: too long delay "delay=1h1s""#,
        ),
        (
            "limit_conn_action drop;\nlimit_conn_action drop;",
            r#"2:1: "limit_conn_action" directive is duplicate"#,
        ),
    ]);
}

#[test]
fn a_bad_delay_is_shown_with_what_was_expected() {
    let error = parse("t.conf", "limit_conn_action close delay=2x;\n").expect_err("no time");
    let expected = r#"  × invalid delay value "delay=2x"
   ╭─[t.conf:1:31]
 1 │ limit_conn_action close delay=2x;
   ·                               ─┬
   ·                                ╰── expected a time such as 500ms, 2s or 1m30s
   ╰────
"#;
    assert_eq!(render(&error, false), expected);
}
