//! What is asked, and what is answered.

use super::bench::{Bench, post};
use crate::{
    api::{ResetCounters, SetAction, SetDryRun, SetExempt},
    control::{MAX_BODY_BYTES, client::ClientError, peer::Guard},
    policy::ActionKind,
};

#[tokio::test]
async fn client_and_server_understand_each_other() {
    let bench = Bench::start();
    let client = bench.client();
    assert_eq!(client.status().await.expect("status").uptime_s, 2);
    assert_eq!(client.zones().await.expect("zones").len(), 1);
    assert_eq!(client.zone("per addr", 7).await.expect("zone").keys, 7);
    let servers = client
        .set_dry_run(&SetDryRun {
            on: true,
            server: Some("a".to_owned()),
        })
        .await
        .expect("dry run");
    assert_eq!(servers[0].server, "default");
    client
        .set_action(&SetAction {
            action: ActionKind::Close,
            delay_ms: Some(2_000),
            server: None,
        })
        .await
        .expect("action");
    client
        .set_exempt(&SetExempt {
            remove: Some("10.0.0.0/8".to_owned()),
            ..SetExempt::default()
        })
        .await
        .expect("exempt");
    client
        .reset(&ResetCounters::default())
        .await
        .expect("reset");
    assert_eq!(
        bench.told(),
        [
            "SetDryRun { on: true, server: Some(\"a\") }",
            "SetAction { action: Close, delay_ms: Some(2000), server: None }",
            "SetExempt { add: None, remove: Some(\"10.0.0.0/8\"), server: None }",
            "ResetCounters { zone: None }"
        ]
    );
}

#[tokio::test]
async fn metrics_say_which_format_they_have() {
    let bench = Bench::start();
    for method in ["GET", "HEAD"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = bench.exchange(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(head.contains(kind), "{head}");
        assert_eq!(
            body.contains("limiter_build_info{version=\"0\"} 1\n"),
            method == "GET"
        );
    }
}

#[tokio::test]
async fn an_unknown_zone_is_nginx_error_object() {
    let bench = Bench::start();
    let error = bench
        .client()
        .zone("nothing", 1)
        .await
        .expect_err("unknown");
    let ClientError::Refused(detail) = error else {
        panic!("{error}");
    };
    assert_eq!(detail.status, 404);
    assert_eq!(detail.code, "LimitConnNotFound");
    assert_eq!(detail.text, "unknown zone \"nothing\"");
}

#[tokio::test]
async fn bad_requests_get_one_sentence_and_change_nothing() {
    let bench = Bench::start();
    let large = "x".repeat(MAX_BODY_BYTES + 1);
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            post("/limit", "{"),
            "400",
            "EOF while parsing an object at line 1 column 1",
        ),
        (
            post("/limit", ""),
            "400",
            "EOF while parsing a value at line 1 column 0",
        ),
        (
            post("/limit", "{\"zone\":\"addr\",\"number\":70000}"),
            "400",
            "expected u16 at line 1 column",
        ),
        (post("/dry-run", "{\"on\":1}"), "400", "expected a boolean"),
        (
            post("/dry-run", "{\"on\":true,\"sever\":\"a\"}"),
            "400",
            "unknown field `sever`",
        ),
        (
            post("/action", "{\"action\":\"ban\"}"),
            "400",
            "unknown variant `ban`, expected one of `drop`, `reset`, `close`",
        ),
        (
            post("/action", "{\"action\":\"close\",\"delay\":\"2s\"}"),
            "400",
            "unknown field `delay`",
        ),
        (
            post("/action", "{\"action\":\"close\",\"delay_ms\":-1}"),
            "400",
            "expected u32 at line 1 column",
        ),
        (
            post("/exempt", "{\"add\":8}"),
            "400",
            "invalid type: integer `8`, expected a string",
        ),
        (
            post("/reload", "{\"file\":\"x\"}"),
            "400",
            "unknown field `file`",
        ),
        (post("/reset", &large), "413", "larger than 65536 bytes"),
        (post("/status", ""), "405", "allow: GET"),
        (post("/nothing", ""), "404", "PathNotFound"),
        (b"GARBAGE\r\n\r\n".to_vec(), "400", "HTTP/1.1"),
    ];
    for (request, status, part) in cases {
        let answer = bench.exchange(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(part), "{part}: {answer}");
    }
    assert!(bench.told().is_empty(), "{:?}", bench.told());
}

#[tokio::test]
async fn strangers_get_403() {
    let stranger = |guard: Guard| Guard {
        uid: guard.uid + 1,
        ..guard
    };
    // Root may do everything, whoever runs the daemon.
    if nix::unistd::geteuid().is_root() {
        let bench = Bench::start_with(stranger);
        return drop(bench.client().status().await.expect("root"));
    }
    let bench = Bench::start_with(stranger);
    let answer = bench.exchange(&post("/reset", "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(bench.told().is_empty());
}
