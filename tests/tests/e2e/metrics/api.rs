//! nginx's API, on the control socket and at a port.

use serde_json::{Value, json};
use tests::{Limiter, World, client, port, settle, world::address};

use super::{METRICS, metrics};
use crate::{CLIENT, SERVER};

const CONFIG: &str = "
metrics 9145;
limit_conn_zone $binary_remote_addr zone=addr:1m;
limit_conn_zone $server_name \"zone=per server:64k\";
limit_conn_zone $server_port zone=unused:64k;
server { listen 8080; limit_conn addr 3; limit_conn \"per server\" 100; }
";

const ZONES: &str = "/api/9/stream/limit_conns/";

/// Of both doors, which must be the same.
#[track_caller]
fn get(world: &World, limiter: &Limiter, target: &str) -> Value {
    let own = limiter.http("GET", target, None);
    assert_eq!(own.status, 200, "{target}: {}", own.body);
    let public = port::get(&world.netns, metrics(), target);
    assert_eq!(own.json(), public.json(), "{target}");
    own.json()
}

#[test]
fn what_nginx_tells_of_zones_is_told_at_both_doors() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, CONFIG);
    for (target, expected) in [
        ("/api/", json!([9])),
        ("/api/9/", json!(["stream"])),
        ("/api/9/stream/", json!(["limit_conns"])),
        (
            "/api/9/stream/limit_conns/?fields=",
            json!({"addr": {}, "per server": {}, "unused": {}}),
        ),
    ] {
        assert_eq!(get(&world, &limiter, target), expected, "{target}");
    }

    let _open = world.open_many(CLIENT, server.address(), 3);
    client::must_be_refused(&world.netns, address(CLIENT), server.address());
    settle("the refusal is counted", true, || {
        limiter.zone("addr").rejected == 1
    });
    let zones = get(&world, &limiter, ZONES);
    let status = limiter.status();
    assert_eq!(
        zones.as_object().map(serde_json::Map::len),
        Some(status.zones.len())
    );
    for zone in &status.zones {
        let told = &zones[&zone.zone];
        let expected = serde_json::to_value(zone).expect("JSON");
        for (name, value) in told.as_object().expect("an object") {
            assert_eq!(*value, expected[name], "{} of {}", name, zone.zone);
        }
        for name in [
            "passed",
            "skipped",
            "rejected",
            "exhausted",
            "rejected_dry_run",
            "exhausted_dry_run",
        ] {
            assert!(told[name].is_u64(), "{name} of {}", zone.zone);
        }
    }
    let zone = get(
        &world,
        &limiter,
        &format!("{ZONES}addr?fields=passed,rejected,connections"),
    );
    assert_eq!(zone, json!({"passed": 3, "rejected": 1, "connections": 3}));
    let zone = get(
        &world,
        &limiter,
        &format!("{ZONES}per%20server?fields=key,x"),
    );
    assert_eq!(zone, json!({"key": "$server_name"}));
}

#[test]
fn a_delete_sets_counters_to_zero_and_spares_connections() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let limiter = Limiter::start_config(&world, CONFIG);
    let _open = world.open_many(CLIENT, server.address(), 2);
    settle("both are counted", true, || {
        limiter.zone("addr").passed == 2
    });

    // Where one may only read, nothing happens.
    for (method, target) in [
        ("DELETE", format!("{ZONES}addr")),
        ("DELETE", format!("{ZONES}nothing")),
        ("POST", "/reset".to_owned()),
        ("PATCH", ZONES.to_owned()),
    ] {
        let answer = port::request(&world.netns, metrics(), method, &target).expect("an answer");
        let error = &answer.json()["error"];
        assert_eq!(answer.status, 405, "{method} {target}: {}", answer.body);
        assert_eq!(error["status"], 405);
        assert_eq!(error["code"], "MethodDisabled");
    }
    assert_eq!(limiter.zone("addr").passed, 2);

    let answer = limiter.http("DELETE", &format!("{ZONES}addr"), None);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let zone = limiter.zone("addr");
    assert_eq!((zone.passed, zone.connections, zone.keys), (0, 2, 1));
    assert_eq!(limiter.zone("per%20server").passed, 2, "another zone");
}

#[test]
fn errors_are_nginx_s() {
    let world = World::new();
    let limiter = Limiter::start_config(&world, CONFIG);
    for (target, status, code) in [
        (format!("{ZONES}nothing"), 404, "LimitConnNotFound"),
        ("/api/9/http/".to_owned(), 404, "PathNotFound"),
        (
            "/api/8/stream/limit_conns/".to_owned(),
            404,
            "UnknownVersion",
        ),
        (format!("{ZONES}addr?field=passed"), 400, "BadRequest"),
        ("/nothing".to_owned(), 404, "PathNotFound"),
    ] {
        let own = limiter.http("GET", &target, None);
        let public = port::request(&world.netns, metrics(), "GET", &target).expect("an answer");
        for answer in [own, public] {
            let error = &answer.json()["error"];
            assert_eq!(answer.status, status, "{target}: {}", answer.body);
            assert_eq!(error["status"], status, "{target}");
            assert_eq!(error["code"], code, "{target}");
            assert!(error["text"].is_string(), "{target}");
        }
    }
    for (target, code) in [
        (format!("{ZONES}nothing"), "LimitConnNotFound"),
        (ZONES.to_owned(), "MethodNotAllowed"),
    ] {
        let answer = limiter.http("DELETE", &target, None);
        assert_eq!(answer.json()["error"]["code"], code, "{target}");
    }
    // What the control socket has besides is not for everybody.
    for target in [
        "/status",
        "/zones",
        "/zones/addr?top=1",
        "/events",
        "/reset",
    ] {
        let answer = port::request(&world.netns, metrics(), "GET", target).expect("an answer");
        assert_eq!(answer.status, 404, "{target} at {METRICS}: {}", answer.body);
    }
}
