//! Where values come from.

use std::fs;

use crate::{
    config::{load, parse},
    render::policy::configuration,
};

#[test]
fn behind_every_value_stands_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("limiter.conf");
    let included = directory.path().join("web.inc");
    fs::write(
        &path,
        "error_log stderr;
limit_conn_zone $remote_addr zone=a:32k v4_prefix=24
    on_full=evict;
limit_conn_zone $server_port zone=port:1m;
limit_conn a 1;
limit_conn_override a 192.0.2.0/24 2;
limit_conn_exempt 10.0.0.0/8
    ::1;
limit_conn_action close;
attach interface eth0;
attach cgroup /a;
attach interface eth1 mode=native;
server {
    include web.inc;
}
server { }
metrics 9145; metrics_top 5;
metrics_run_time on;
",
    )
    .expect("a file");
    fs::write(
        &included,
        "listen 80;\nserver_name web;\nlimit_conn port 7; limit_conn_dry_run off;\nlimit_conn_exempt off;\nlimit_conn_override OFF;\n",
    )
    .expect("a file");
    let loaded = load(&path).expect("valid");
    let text = configuration(&loaded.policy, &loaded.origins, 2);
    let prefix = format!("{}/", directory.path().display());
    let expected = "\
error_log stderr notice;                   # target: limiter.conf:1; level: default
metrics 127.0.0.1:9145;                    # limiter.conf:17
metrics_top 5;                             # limiter.conf:17
metrics_run_time on;                       # limiter.conf:18
attach interface eth0 mode=auto;           # name: limiter.conf:10; mode: default
attach cgroup /a;                          # limiter.conf:11
attach interface eth1 mode=native;         # limiter.conf:12

# room for 512 keys, takes 128.5 KiB of kernel memory
limit_conn_zone $remote_addr zone=a:32k v4_prefix=24 v6_prefix=128 on_full=evict;  \
# key, name, size, v4_prefix: limiter.conf:2; v6_prefix: default; on_full: limiter.conf:3

# room for 16384 keys, takes 2.4 MiB of kernel memory
limit_conn_zone $server_port zone=port:1m on_full=reject;  \
# key, name, size: limiter.conf:4; on_full: default

server {                                   # limiter.conf:13
    server_name web;                       # web.inc:2
    listen 80;                             # web.inc:1
    limit_conn port 7;                     # web.inc:3
    limit_conn_override off;               # web.inc:5
    limit_conn_exempt off;                 # web.inc:4
    limit_conn_dry_run off;                # web.inc:3
    limit_conn_log_level error;            # default
    limit_conn_action close delay=0s;      # action: inherited from limiter.conf:9; delay: default
}

server {                                   # limiter.conf:16
    server_name default;                   # default
    # no listen: every port that no other server has
    limit_conn a 1;                        # inherited from limiter.conf:5
    limit_conn_override a 192.0.2.0/24 2;  # inherited from limiter.conf:6
    limit_conn_exempt 10.0.0.0/8;          # inherited from limiter.conf:7
    limit_conn_exempt ::1/128;             # inherited from limiter.conf:8
    limit_conn_dry_run off;                # default
    limit_conn_log_level error;            # default
    limit_conn_action close delay=0s;      # action: inherited from limiter.conf:9; delay: default
}
";
    assert_eq!(text.replace(&prefix, ""), expected);
}

#[test]
fn as_json_an_origin_says_what_it_is() {
    let text = "limit_conn_zone $remote_addr zone=a:1m; limit_conn a 1;\nserver { }";
    let loaded = parse("t.conf", text).expect("valid");
    let json = serde_json::to_value(&loaded.origins).expect("JSON");
    assert_eq!(json["error_log"], serde_json::json!({ "from": "default" }));
    let zone = serde_json::json!({ "from": "file", "file": "t.conf", "line": 1 });
    assert_eq!(json["zones"][0]["size_bytes"], zone);
    let limit =
        serde_json::json!({ "from": "file", "file": "t.conf", "line": 1, "inherited": true });
    assert_eq!(json["servers"][0]["limits"][0]["limit"], limit);
    let again = serde_json::from_value(json).expect("the same");
    assert_eq!(loaded.origins, again);
}

#[test]
fn without_a_server_block_nothing_is_inherited() {
    let text = "limit_conn_zone $remote_addr zone=a:1m; limit_conn a 1; limit_conn_exempt ::1;";
    let loaded = parse("t.conf", text).expect("valid");
    let server = &loaded.origins.servers[0];
    for origin in [&server.limits[0].limit, &server.exempt[0]] {
        assert_eq!(origin.to_string(), "t.conf:1");
    }
    assert_eq!(server.block.to_string(), "default");
}
