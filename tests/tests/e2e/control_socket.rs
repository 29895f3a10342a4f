//! The control socket, spoken to wrongly.

use std::io::Write;

use limiter::policy::{ActionKind, LogLevel};
use serde_json::json;
use tests::{
    Limiter, World,
    http::{self, Response},
};

use crate::{CLIENT, LIMIT_10, SERVER, ZONE};

#[test]
fn broken_json_is_answered_with_400_and_changes_nothing() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let before = limiter.status().servers;
    for (target, body) in [
        ("/dry-run", "{\"on\":"),
        ("/dry-run", ""),
        ("/dry-run", "[]"),
        ("/dry-run", "{\"on\":\"yes\"}"),
        ("/dry-run", "{\"on\":true,\"servr\":\"default\"}"),
        ("/dry-run", "\u{0}\u{1}\u{2}"),
        ("/log-level", "{\"level\":\"loud\"}"),
        ("/log-level", "{\"level\":\"debug\"}"),
        ("/action", "{\"action\":\"ban\"}"),
        ("/action", "{\"delay_ms\":1}"),
        ("/action", "{\"action\":\"drop\",\"delay_ms\":0}"),
        ("/action", "{\"action\":\"reset\",\"delay_ms\":1}"),
        ("/action", "{\"action\":\"close\",\"delay_ms\":3600001}"),
        ("/action", "{\"action\":\"close\",\"delay_ms\":-1}"),
        ("/action", "{\"action\":\"close\",\"delay\":\"2s\"}"),
        ("/limit", "{\"zone\":\"addr\",\"number\":0}"),
        ("/limit", "{\"zone\":\"addr\",\"number\":65536}"),
        ("/limit", "{\"zone\":\"addr\",\"number\":-1}"),
        ("/limit", "{\"zone\":\"addr\"}"),
        ("/exempt", "{}"),
        (
            "/exempt",
            "{\"add\":\"10.0.0.0/8\",\"remove\":\"10.0.0.0/8\"}",
        ),
        ("/exempt", "{\"add\":\"10.0.0.1/8\"}"),
        ("/exempt", "{\"add\":\"\"}"),
        ("/exempt", "{\"add\":[\"10.0.0.0/8\"]}"),
        ("/exempt", "{\"network\":\"10.0.0.0/8\"}"),
        ("/reset", "{\"zone\":1}"),
    ] {
        let answer = limiter.http("POST", target, Some(body));
        must_be_error(&answer, 400, &format!("{target} {body:?}"));
        assert_eq!(limiter.status().servers, before, "{target} {body:?}");
    }
}

#[test]
fn what_does_not_exist_is_answered_with_404_and_a_wrong_method_with_405() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    for (method, target, body, status) in [
        ("GET", "/", None, 404),
        ("GET", "/nothing", None, 404),
        ("GET", "/zones/nothing", None, 404),
        ("POST", "/status", Some("{}"), 405),
        ("GET", "/dry-run", None, 405),
        (
            "POST",
            "/limit",
            Some("{\"zone\":\"nothing\",\"number\":3}"),
            404,
        ),
        (
            "POST",
            "/dry-run",
            Some("{\"on\":true,\"server\":\"nobody\"}"),
            404,
        ),
        ("POST", "/reset", Some("{\"zone\":\"nothing\"}"), 404),
        ("GET", "/action", None, 405),
        ("GET", "/exempt", None, 405),
        ("POST", "/exempt", Some("{\"remove\":\"::1\"}"), 404),
        (
            "POST",
            "/exempt",
            Some("{\"add\":\"::1\",\"server\":\"nobody\"}"),
            404,
        ),
        (
            "POST",
            "/action",
            Some("{\"action\":\"reset\",\"server\":\"nobody\"}"),
            404,
        ),
    ] {
        let answer = limiter.http(method, target, body);
        must_be_error(&answer, status, &format!("{method} {target}"));
    }
    let unknown = limiter.http("GET", "/zones/nothing", None).json();
    assert_eq!(unknown["error"]["code"], "LimitConnNotFound");
    let unknown = limiter.http("POST", "/exempt", Some("{\"remove\":\"::1\"}"));
    assert_eq!(unknown.json()["error"]["code"], "NetworkNotFound");
}

#[test]
fn an_oversized_body_is_answered_with_413() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    let before = limiter.status().servers;
    let body = format!("{{\"on\":true,\"server\":\"{}\"}}", "x".repeat(8 << 20));
    let answer = limiter.http("POST", "/dry-run", Some(&body));
    must_be_error(&answer, 413, "with a length");

    // Without saying how much comes.
    let mut request =
        b"POST /dry-run HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..64 {
        request.extend_from_slice(b"20000\r\n");
        request.resize(request.len() + 0x2_0000, b' ');
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = http::raw(limiter.control(), &request).expect("an answer");
    must_be_error(&answer, 413, "in chunks");
    assert_eq!(limiter.status().servers, before);
}

#[test]
fn what_is_not_http_does_no_harm() {
    let world = World::new();
    let mut limiter = Limiter::start(&world, &LIMIT_10);
    let endless = format!("GET /status HTTP/1.1\r\nx: {}", "y".repeat(4 << 20));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/9.9\r\n\r\n",
        b"POST /dry-run HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        endless.as_bytes(),
    ] {
        // An error status, or the connection is closed without an answer.
        if let Ok(answer) = http::raw(limiter.control(), bytes) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        assert!(limiter.runs());
        assert_eq!(limiter.http("GET", "/status", None).status, 200);
    }
}

#[test]
fn clients_that_say_nothing_or_stop_in_the_middle_block_nobody() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start(&world, &LIMIT_10);
    let mut idle = Vec::new();
    for part in [
        &b""[..],
        b"GET /sta",
        b"POST /dry-run HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        for _ in 0..8 {
            let mut stream = http::connect(limiter.control()).expect("connect");
            stream.write_all(part).expect("write");
            idle.push(stream);
        }
    }
    assert_eq!(limiter.http("GET", "/status", None).status, 200);
    limiter.cli_ok(&["dry-run", "on"]);
    limiter.cli_ok(&["dry-run", "off"]);
    let events = limiter.events();
    let _open = world.open_many(CLIENT, server.address(), 10);
    world.must_be_refused(CLIENT, server.address());
    assert!(events.next(tests::settle::PATIENCE).is_some());
    drop(idle);
}

#[test]
fn changes_through_the_socket_work_as_those_of_the_commands() {
    let world = World::new();
    let limiter = Limiter::start(&world, &LIMIT_10);
    for (target, body) in [
        ("/limit", json!({ "zone": ZONE, "number": 4 })),
        ("/dry-run", json!({ "on": true })),
        (
            "/log-level",
            json!({ "level": "warn", "server": "default" }),
        ),
        (
            "/action",
            json!({ "action": "close", "delay_ms": 2000, "server": "default" }),
        ),
        ("/exempt", json!({ "add": "10.0.0.0/8" })),
        (
            "/exempt",
            json!({ "add": "::ffff:192.0.2.1", "server": "default" }),
        ),
        ("/exempt", json!({ "remove": "10.0.0.0/8" })),
        ("/reset", json!({})),
    ] {
        let answer = limiter.http("POST", target, Some(&body.to_string()));
        assert!((200..300).contains(&answer.status), "{target}: {answer:?}");
    }
    let status = limiter.status();
    let server = &status.servers[0];
    assert_eq!((server.limits[0].limit, server.dry_run), (4, true));
    assert_eq!(server.log_level, LogLevel::Warn);
    assert_eq!(
        (server.action, server.delay_ms),
        (ActionKind::Close, Some(2_000))
    );
    let exempt: Vec<_> = server.exempt.iter().map(ToString::to_string).collect();
    assert_eq!(exempt, ["192.0.2.1/32"]);
}

#[track_caller]
fn must_be_error(answer: &Response, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    let error = &answer.json()["error"];
    assert_eq!(error["status"], status, "{what}");
    for name in ["text", "code"] {
        assert!(
            error[name].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {name} in {error}"
        );
    }
}
