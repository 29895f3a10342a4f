//! What a zone counts, and whom not.

use super::{active, import, says};

/// What holds, of a zone with this key and these tables.
fn with_key(tables: &str, key: &str) -> Vec<String> {
    active(&sample(tables, key))
}

fn sample(tables: &str, key: &str) -> String {
    format!(
        "http {{ {tables} limit_conn_zone {key} zone=z:1m;
        server {{ listen 192.0.2.1:80; limit_conn z 5; }} }}"
    )
}

/// The zone and the exempt networks.
#[track_caller]
fn gives(tables: &str, key: &str, new_key: &str, exempt: &str) {
    let lines = with_key(tables, key);
    assert_eq!(lines[0], format!("limit_conn_zone {new_key} zone=z:1m;"));
    assert_eq!(lines[3], "limit_conn z 5;");
    let exempt = exempt.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<_> = lines[4..]
        .iter()
        .filter_map(|line| line.strip_prefix("limit_conn_exempt ")?.strip_suffix(';'))
        .collect();
    assert_eq!(found.join(" "), exempt, "{tables} {key}");
}

#[test]
fn keys_of_limiter_stay() {
    for key in [
        "$binary_remote_addr",
        "$remote_addr",
        "$server_addr",
        "$server_port",
        "$server_name",
        "$binary_remote_addr$server_name",
        "text",
        "'two words'",
    ] {
        gives("", key, &key.replace('\'', "\""), "");
    }
    gives(
        "",
        "$realip_remote_addr$server_port",
        "$binary_remote_addr$server_port",
        "",
    );
    gives(
        "",
        "x${realip_remote_addr}y",
        "\"x${binary_remote_addr}y\"",
        "",
    );
}

#[test]
fn other_keys_are_comments_with_what_comes_nearest() {
    for (key, reason, nearest) in [
        (
            "$http_x_forwarded_for",
            "stands in a request",
            "$binary_remote_addr",
        ),
        ("$host", "stands in a request", "$server_name"),
        (
            "$http_authorization",
            "stands in a request",
            "$binary_remote_addr",
        ),
        (
            "$cookie_session",
            "stands in a request",
            "$binary_remote_addr",
        ),
        ("$request_uri", "stands in a request", "$binary_remote_addr"),
        (
            "$proxy_protocol_addr",
            "which the kernel does not read",
            "$binary_remote_addr",
        ),
        (
            "$ssl_session_id",
            "after the TLS handshake",
            "$binary_remote_addr",
        ),
        (
            "$ssl_preread_server_name",
            "after the TLS handshake",
            "$server_name",
        ),
        ("$binary_remote_addr$host", "has \"$host\"", "$server_name"),
        (
            "$nothing_known",
            "not known to the kernel",
            "$binary_remote_addr",
        ),
        // Of `stream` only.
        (
            "$protocol",
            "not known to the kernel",
            "$binary_remote_addr",
        ),
    ] {
        let text = sample("", key);
        assert_eq!(active(&text), [""; 0], "{key}");
        says(
            &text,
            &format!("\"limit_conn_zone {key} zone=z\": its key has"),
        );
        says(&text, reason);
        says(&text, &format!("limit_conn_zone {nearest} zone=z:1m;"));
        says(
            &text,
            "\"limit_conn z 5\": its zone stands as a comment, too. limit_conn z 5;",
        );
    }
    for (key, reason) in [
        ("$remote_port", "is another one for each connection"),
        ("\"\"", "is always empty"),
        ("$", "has \"$\", which is not known"),
        ("${remote_addr", "cannot be read: the closing bracket"),
        (
            "$geoip_country_code",
            "comes from a database. limit_conn_override",
        ),
    ] {
        let text = sample("", key);
        assert_eq!(active(&text), [""; 0], "{key}");
        says(&text, reason);
    }
}

#[test]
fn an_empty_key_is_an_exemption() {
    let geo = "geo $limit { default 1; 10.0.0.0/8 0; 192.168.0.0/24 0; 2001:db8::/32 0; }";
    let map = "map $limit $key { 0 \"\"; 1 $binary_remote_addr; }";
    let networks = "10.0.0.0/8 192.168.0.0/24 2001:db8::/32";
    gives(
        &format!("{geo} {map}"),
        "$key",
        "$binary_remote_addr",
        networks,
    );
    // The map may stand before, and say the same with a default.
    let map = "map $limit $key { default $binary_remote_addr; 0 ''; }";
    gives(
        &format!("{map} {geo}"),
        "$key",
        "$binary_remote_addr",
        networks,
    );
    let map = "map $remote_addr $key { default $binary_remote_addr; 192.0.2.1 ''; ::1 ''; 10.0.0.0/8 ''; }";
    gives(map, "$key", "$binary_remote_addr", "192.0.2.1 ::1");
    // A key without the client's address may have exempt clients, too.
    gives(
        "geo $key { default all; 10.0.0.0/8 ''; }",
        "$key",
        "all",
        "10.0.0.0/8",
    );
}

#[test]
fn within_an_exempt_network_some_may_be_counted() {
    let geo = "geo $limit { default 1; 10.0.0.0/30 0; 10.0.0.1 1; }";
    let map = "map $limit $key { 0 ''; 1 $binary_remote_addr; }";
    let networks = "10.0.0.0 10.0.0.2/31";
    gives(
        &format!("{geo} {map}"),
        "$key",
        "$binary_remote_addr",
        networks,
    );
}

#[test]
fn only_some_may_be_counted() {
    // No default: it is empty.
    let geo = "geo $limit { 0.0.0.0/1 1; ::/1 1; }";
    let map = "map $limit $key { 1 $binary_remote_addr; }";
    let networks = "128.0.0.0/1 8000::/1";
    gives(
        &format!("{geo} {map}"),
        "$key",
        "$binary_remote_addr",
        networks,
    );
}

#[test]
fn ranges_become_networks() {
    let geo = "geo $limit { ranges; default 1; 10.0.0.0-10.0.0.255 0; 10.0.0.7-10.0.0.7 1;
        192.0.2.1-192.0.2.2 0; 192.0.2.1-192.0.2.2 0; 172.16.0.0-172.16.0.9 0;
        delete 172.16.0.0-172.16.0.9; }";
    let map = "map $limit $key { 0 ''; 1 $binary_remote_addr; }";
    gives(
        &format!("{geo} {map}"),
        "$key",
        "$binary_remote_addr",
        "10.0.0.0/30 10.0.0.4/31 10.0.0.6 10.0.0.8/29 10.0.0.16/28 10.0.0.32/27 10.0.0.64/26
         10.0.0.128/25 192.0.2.1 192.0.2.2",
    );
}

#[test]
fn a_geo_may_delete_and_its_networks_have_host_bits() {
    let geo = "geo $realip_remote_addr $limit { default 1; 10.1.2.3/8 0; 192.0.2.0/24 0;
        delete 192.0.2.0/24; volatile; 1.1.1.1 0; 1.1.1.1 1; }";
    let map = "map $limit $key { volatile; 0 ''; \\1 $binary_remote_addr; }";
    gives(
        &format!("{geo} {map}"),
        "$key",
        "$binary_remote_addr",
        "10.0.0.0/8",
    );
}

#[test]
fn tables_that_the_kernel_cannot_follow_are_comments() {
    let map = "map $limit $key { 0 ''; 1 $binary_remote_addr; }";
    for (tables, reason) in [
        ("geo $arg_ip $limit { 10.0.0.0/8 0; }", "has \"$arg_ip\""),
        (
            "geo $limit { default 1; proxy 10.0.0.0/8; }",
            "reads the address from a request",
        ),
        (
            "geo $limit { default 1; fnord 0; }",
            "has a geo with \"fnord\"",
        ),
        (
            "geo $limit { default 1; 10.0.0.0/8; }",
            "nginx would not take either",
        ),
        (
            "geo $limit { ranges; 10.0.0.9-10.0.0.1 0; }",
            "nginx would not take either",
        ),
        ("map $http_host $limit { default 1; }", "has \"$http_host\""),
        (
            "map $remote_addr $limit { default 1; ~^10\\. 0; }",
            "a map with patterns",
        ),
        (
            "map $remote_addr$server_port $limit { default 1; }",
            "several things at once",
        ),
        (
            "map $remote_addr $limit { default $server_port; }",
            "another one for each connection",
        ),
        ("map $key $limit { default 1; }", "too many maps"),
        (
            "map $limit2 $limit { hostnames; } geo $limit2 { default 1; }",
            "a map with patterns",
        ),
        (
            "map $limit2 $limit { a b c; } geo $limit2 { default 1; }",
            "a map with \"a\"",
        ),
    ] {
        let text = sample(&format!("{tables} {map}"), "$key");
        assert_eq!(active(&text), [""; 0], "{tables}");
        says(&text, reason);
    }
    let several = "map $limit $key { 0 office; 1 $binary_remote_addr; } geo $limit { default 1; 10.0.0.0/8 0; }";
    let text = sample(several, "$key");
    says(
        &text,
        "differently for different clients (\"$binary_remote_addr\", \"office\")",
    );
    says(&text, "limit_conn_override gives");
    says(
        &sample("geo $a { default 1; } geo $b { default 1; }", "$a$b"),
        "puts several maps together",
    );
    says(&sample("geo $a { default ''; }", "$a"), "is always empty");
    // What is empty beside text is not.
    says(
        &sample("geo $a { 10.0.0.0/8 x; }", "${a}y"),
        "(\"xy\", \"y\")",
    );
}

#[test]
fn too_many_exempt_networks_are_a_comment() {
    let networks: String = (0..5000)
        .map(|index| format!("10.{}.{}.1 ''; ", index / 256, index % 256))
        .collect();
    let map = format!("map $remote_addr $key {{ default $binary_remote_addr; {networks} }}");
    let text = sample(&map, "$key");
    assert_eq!(active(&text), [""; 0]);
    says(
        &text,
        "its key is empty for 5000 networks, and limiter has room for 4096",
    );
}

/// Two limits of which one has exempt clients.
#[test]
fn an_exemption_from_one_limit_is_none_from_the_other() {
    let zones = "geo $limit { default 1; 10.0.0.0/8 0; }
        map $limit $key { 0 ''; 1 $binary_remote_addr; }
        map $limit $all { 0 ''; 1 all; }
        limit_conn_zone $key zone=addr:1m; limit_conn_zone $server_name zone=server:1m;
        limit_conn_zone $all zone=all:1m;";
    let server =
        |limits: &str| format!("http {{ {zones} server {{ listen 192.0.2.1:80; {limits} }} }}");
    let text = server("limit_conn addr 5; limit_conn server 100;");
    let lines = active(&text);
    assert_eq!(
        lines[4..],
        [
            "limit_conn addr 5;",
            "limit_conn server 100;",
            "limit_conn_override addr 10.0.0.0/8 65535;",
            "}"
        ]
    );
    says(&text, "nginx leaves these clients out of zone addr alone.");
    let text = server("limit_conn all 5; limit_conn server 100;");
    assert_eq!(active(&text)[3..], ["limit_conn server 100;", "}"]);
    says(
        &text,
        "\"limit_conn all 5\": nginx leaves some clients out of this limit alone",
    );
    // Of both it is an exemption.
    let text = server("limit_conn all 5; limit_conn addr 100;");
    assert!(active(&text).contains(&"limit_conn_exempt 10.0.0.0/8;".to_owned()));
}

#[test]
fn zones_of_one_name_get_names_of_their_own() {
    let text = "http { limit_conn_zone $server_name zone=a:1m; limit_conn_zone $server_port zone=a-stream:1m;
            server { limit_conn a 1; limit_conn a-stream 2; } }
        stream { limit_conn_zone $server_addr zone=a:2m; server { listen 1; limit_conn a 3; } }";
    assert_eq!(
        active(text),
        [
            "limit_conn_zone $server_name zone=a:1m;",
            "limit_conn_zone $server_port zone=a-stream:1m;",
            "limit_conn_zone $server_addr zone=a-stream-2:2m;",
            "server {",
            "listen 80;",
            "limit_conn a 1;",
            "limit_conn a-stream 2;",
            "}",
            "server {",
            "listen 1;",
            "limit_conn a-stream-2 3;",
            "}",
        ]
    );
    says(
        text,
        "zone \"a\" of \"stream\" is called \"a-stream-2\" here",
    );
}

#[test]
fn bad_zones_and_limits_have_their_reason() {
    for (line, reason) in [
        (
            "limit_conn_zone $server_name zone=b:31k;",
            "zone \"b\" is too small, 32k at the least",
        ),
        (
            "limit_conn_zone $server_name zone=b:size;",
            "\"size\" is no size",
        ),
        (
            "limit_conn_zone $server_name zone=b;",
            "its zone has no size",
        ),
        (
            "limit_conn_zone $server_name zone=:1m;",
            "\"\" is no name for a zone",
        ),
        (
            "limit_conn_zone $server_name;",
            "it has no \"zone=NAME:SIZE\"",
        ),
        ("limit_conn_zone;", "it has too few or too many words"),
        (
            "limit_conn_zone $server_name zone=a:2m;",
            "zone \"a\" is defined before",
        ),
    ] {
        let text = format!(
            "http {{ limit_conn_zone $server_port zone=a:1m; {line} server {{ limit_conn a 1; limit_conn b 2; }} }}"
        );
        says(
            &text,
            &format!("nginx.conf:1: \"limit_conn_zone\": {reason}."),
        );
        says(
            &text,
            "\"limit_conn b 2\": zone \"b\" is not defined in what was read",
        );
        assert_eq!(import(&text).summary.limits, 1);
    }
    for (line, reason) in [
        ("limit_conn a 0;", "invalid number of connections \"0\""),
        ("limit_conn a 65536;", "connection limit must be less 65536"),
        ("limit_conn a;", "it needs a zone and a number"),
        (
            "limit_conn a 1; limit_conn a 2;",
            "the zone has a limit already",
        ),
    ] {
        says(
            &format!("limit_conn_zone $server_port zone=a:1m; server {{ {line} }}"),
            reason,
        );
    }
}

#[test]
fn old_and_large_zones() {
    let text = "limit_zone one $binary_remote_addr 10m; limit_conn_zone $server_name zone=two:9g;
        server { listen 127.0.0.1:80; limit_conn one 1; limit_conn two 2; }";
    let lines = active(text);
    assert_eq!(
        lines[0],
        "limit_conn_zone $binary_remote_addr zone=one:10m;"
    );
    assert_eq!(lines[1], "limit_conn_zone $server_name zone=two:4g;");
    says(text, "zone \"two\" has the largest size there is.");
}
