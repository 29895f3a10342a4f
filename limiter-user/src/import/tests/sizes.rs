//! Whatever the size, the result is one that limiter reads, and it comes soon.

use std::fmt::Write;

use super::import;
use crate::import::parse;

const ZONE: &str = "limit_conn_zone $binary_remote_addr zone=a:1m;";

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    let mut text = ZONE.to_owned();
    for index in 0..count {
        write!(text, "{}", one(index)).expect("a string");
    }
    text
}

#[test]
fn beyond_256_servers_there_are_comments() {
    let text = many(300, |index| {
        let port = 1000 + index;
        format!("server {{ listen {port}; server_name s{index}; limit_conn a 5; }}")
    });
    let import = import(&text);
    assert_eq!(import.summary.servers, 256);
    assert!(
        import
            .text
            .contains("# limiter has no room for so many servers")
    );
    assert!(import.text.contains("# server {"), "{}", import.text);
}

#[test]
fn room_is_kept_for_servers_that_protect_their_address() {
    let text = many(200, |index| {
        let port = 1000 + index;
        format!("server {{ listen {port}; limit_conn a 5; }} server {{ listen 192.0.2.1:{port}; }}")
    });
    // Each of the latter is a group of its own.
    let text = text.replace("listen 192.0.2.1", "server_name x; listen 192.0.2.1");
    assert_eq!(import(&text).summary.servers, 128);
}

#[test]
fn thousands_of_names_on_one_socket_are_one_server() {
    let text = many(5000, |index| {
        format!(
            "server {{ listen 80; listen 443 ssl; listen [::]:443 ssl; server_name s{index}; \
             limit_conn a {}; location / {{ limit_conn a 3; }} }}",
            index % 50 + 1
        )
    });
    let import = import(&text);
    assert_eq!(import.summary.servers, 1);
    assert!(import.text.contains("limit_conn a 50;"));
    assert!(import.text.contains("more comments are left out."));
}

#[test]
fn many_sockets_of_a_server() {
    let text = many(1, |_| {
        let listens: String = (0..9000)
            .map(|index| format!("listen 10.0.{}.{}:80;", index / 250, index % 250))
            .collect();
        format!("server {{ {listens} limit_conn a 5; }}")
    });
    // 8192 is the most there is room for, and a server is not divided.
    assert_eq!(import(&text).summary.servers, 0);
    let text = many(1, |_| {
        let listens: String = (1..=30_000)
            .map(|index| format!("listen {};", index * 2))
            .collect();
        format!("server {{ {listens} limit_conn a 5; }}")
    });
    let result = parse("nginx.conf", &text);
    let message = result.expect_err("too large").to_string();
    assert!(
        message.contains("too large for one configuration"),
        "{message}"
    );
}

#[test]
fn servers_that_overlap_everywhere_are_refused_in_time() {
    let text = many(30_000, |index| {
        format!("server {{ listen {}-65535; limit_conn a 5; }}", index + 1)
    });
    let message = parse("nginx.conf", &text)
        .expect_err("too much")
        .to_string();
    assert_eq!(message, "too many servers listen on the same ports");
}

#[test]
fn many_zones_limits_and_networks() {
    let zones: String = (0..2000)
        .map(|index| format!("limit_conn_zone $server_port zone=z{index}:1m;"))
        .collect();
    let limits: String = (0..2000)
        .map(|index| format!("limit_conn z{index} 5;"))
        .collect();
    let import = import(&format!("{zones} server {{ {limits} }}"));
    assert_eq!((import.summary.zones, import.summary.limits), (8, 8));
    let networks: String = (0..4000)
        .map(|index| format!("10.{}.{}.1 ''; ", index / 256, index % 256))
        .collect();
    let text = format!(
        "map $remote_addr $key {{ default $binary_remote_addr; {networks} }}
        limit_conn_zone $key zone=a:1m;
        server {{ listen 80; limit_conn a 5; }} server {{ listen 81; limit_conn a 5; }}"
    );
    // There is room for one of them.
    let import = super::import(&text);
    assert_eq!((import.summary.servers, import.summary.limits), (1, 1));
    assert!(
        import.text.contains("it is not for so many networks"),
        "{}",
        import.text
    );
}

#[test]
fn words_as_long_as_they_get() {
    let long = "x".repeat(4000);
    let quotes = "\\\"".repeat(1000);
    for text in [
        format!("limit_conn_zone {long} zone=a:1m; server {{ limit_conn a 5; }}"),
        format!("limit_conn_zone \"{quotes}\" zone=a:1m; server {{ limit_conn a 5; }}"),
        format!("limit_conn_zone x zone={long}:1m; server {{ limit_conn {long} 5; }}"),
        format!(
            "{ZONE} server {{ server_name {long}; limit_conn a 5; location {long} {{ limit_conn a 2; }} }}"
        ),
        format!("{ZONE} upstream {long} {{ server {long} max_conns=5; }}"),
    ] {
        import(&text);
    }
    let name = "y".repeat(250);
    import(&format!(
        "http {{ limit_conn_zone x zone={name}:1m; server {{ limit_conn {name} 5; }} }}
        stream {{ limit_conn_zone x zone={name}:1m; server {{ listen 1; limit_conn {name} 5; }} }}"
    ));
}
