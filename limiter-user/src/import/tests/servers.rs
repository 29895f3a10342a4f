//! Which limits hold at which sockets.

use super::{active, says};

const ZONES: &str = "limit_conn_zone $server_port zone=port:1m;
    limit_conn_zone $server_name zone=name:1m; limit_conn_zone $server_addr zone=addr:1m;";

fn http(servers: &str) -> String {
    format!("http {{ {ZONES} {servers} }}")
}

/// What holds, without the zones.
fn servers(text: &str) -> String {
    let lines = active(text);
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|line| !line.starts_with("limit_conn_zone"))
        .collect();
    lines.join(" ")
}

#[test]
fn limits_are_inherited_as_in_nginx() {
    let text = http(
        "limit_conn port 1; limit_conn addr 2; limit_conn_dry_run on; limit_conn_log_level info;
        server { listen 1; }
        server { listen 2; limit_conn name 3; }
        server { listen 3; limit_conn_dry_run off; limit_conn_log_level WARN; }",
    );
    assert_eq!(
        servers(&text),
        "server { listen 1; limit_conn port 1; limit_conn addr 2; limit_conn_dry_run on; \
         limit_conn_log_level info; } \
         server { listen 2; limit_conn name 3; limit_conn_dry_run on; limit_conn_log_level info; } \
         server { listen 3; limit_conn port 1; limit_conn addr 2; limit_conn_dry_run off; \
         limit_conn_log_level warn; }"
    );
}

#[test]
fn listens_are_sockets_of_nginx() {
    for (listens, written) in [
        ("", "listen 80;"),
        ("listen 80; listen [::]:80;", "listen 80;"),
        ("listen *:80;", "listen 80;"),
        ("listen [::]:80;", "listen [::]:80;"),
        ("listen [::]:80 ipv6only=off;", "listen 80;"),
        (
            "listen 80; listen [::]:443 ssl;",
            "listen 80; listen [::]:443;",
        ),
        (
            "listen 8000-8010; listen [::]:8005;",
            "listen 0.0.0.0:8000-8010; listen [::]:8005;",
        ),
        (
            "listen 127.0.0.1; listen [::1]:80;",
            "listen 127.0.0.1:80; listen [::1]:80;",
        ),
        (
            "listen 80; listen 80; listen 79-81;",
            "listen 79; listen 80; listen 81;",
        ),
        (
            "listen 443 ssl http2 default_server reuseport backlog=10;",
            "listen 443;",
        ),
    ] {
        let text = http(&format!("server {{ {listens} limit_conn port 1; }}"));
        let all = servers(&text);
        assert_eq!(
            all,
            format!("server {{ {written} limit_conn port 1; }}"),
            "{listens}"
        );
    }
}

#[test]
fn what_is_not_tcp_is_a_comment() {
    let text =
        http("server { listen 443 ssl; listen 443 quic; listen unix:/run/x; limit_conn port 1; }");
    assert_eq!(servers(&text), "server { listen 443; limit_conn port 1; }");
    says(
        &text,
        "\"listen 443 quic\": only TCP is limited, and this is UDP.",
    );
    says(
        &text,
        "\"listen unix:/run/x\": only TCP is limited, and this is a Unix socket.",
    );
    let text = http("server { listen localhost:80; limit_conn port 1; }");
    assert_eq!(servers(&text), "");
    says(
        &text,
        "\"listen localhost:80\": limiter does not look names up",
    );
    says(&text, "limit_conn port 1;");
}

#[test]
fn servers_on_one_socket_are_one() {
    let text = http(
        "server { listen 80; server_name a; limit_conn port 10; limit_conn name 5; }
        server { listen 80 default_server; server_name b c; limit_conn name 6; limit_conn port 20; }",
    );
    assert_eq!(
        servers(&text),
        "server { server_name b; listen 80; limit_conn name 11; limit_conn port 20; }"
    );
    says(
        &text,
        "\"b\" (nginx.conf:3), \"a\" (nginx.conf:2) share these ports.",
    );
    says(
        &text,
        "The largest number of these servers: 20 (nginx.conf:3), 10 (nginx.conf:2).",
    );
    says(
        &text,
        "11 together: each of the 2 servers had a count of its own.",
    );
}

#[test]
fn a_limit_that_not_all_servers_have_is_a_comment() {
    let text = http(
        "server { listen 80; server_name a; limit_conn port 10; limit_conn addr 5; }
        server { listen 80; server_name b; limit_conn addr 5; }",
    );
    assert_eq!(
        servers(&text),
        "server { server_name a; listen 80; limit_conn addr 5; }"
    );
    says(
        &text,
        "\"limit_conn port 10\": \"b\" (nginx.conf:3) on the same port has no such limit",
    );
    says(&text, "limit_conn port 10;");
}

#[test]
fn a_server_that_only_answers_binds_nobody() {
    let text = http(
        "server { listen 80 default_server; server_name _; return 301 https://x; }
        server { listen 80; server_name a; limit_conn port 10; }",
    );
    assert_eq!(
        servers(&text),
        "server { server_name a; listen 80; limit_conn port 10; }"
    );
}

#[test]
fn servers_share_what_they_share() {
    let text = http(
        "limit_conn port 7;
        server { listen 80; listen 443; server_name a; }
        server { listen 443; listen [::]:443; server_name b; limit_conn port 9; }
        server { listen 443; server_name c; limit_conn port 8; }",
    );
    assert_eq!(
        servers(&text),
        "server { server_name a; listen 80; limit_conn port 7; } \
         server { server_name a-443; listen 0.0.0.0:443; limit_conn port 9; } \
         server { server_name b; listen [::]:443; limit_conn port 9; }"
    );
}

#[test]
fn a_server_without_limits_keeps_its_address_from_others() {
    let text = http(
        "server { listen 80; limit_conn port 7; }
        server { listen 192.0.2.1:80; listen 192.0.2.1:443; server_name free; }
        server { listen 192.0.2.2:443; server_name other; }
        server { listen [2001:db8::1]:80; server_name six; }",
    );
    assert_eq!(
        servers(&text),
        "server { listen 80; limit_conn port 7; } \
         server { server_name free; listen 192.0.2.1:80; } \
         server { server_name six; listen [2001:db8::1]:80; }"
    );
}

#[test]
fn names_are_names_and_unique() {
    for (names, name) in [
        ("example.com www.example.com", "server_name example.com; "),
        ("_", ""),
        ("\"\"", ""),
        ("~^www\\d+$ b.example", "server_name b.example; "),
        ("*.example.com", "server_name example.com; "),
        (".example.com", "server_name example.com; "),
        ("www.*", ""),
        ("$hostname", ""),
    ] {
        let text = http(&format!(
            "server {{ server_name {names}; limit_conn port 1; }}"
        ));
        let expected = format!("server {{ {name}listen 80; limit_conn port 1; }}");
        assert_eq!(servers(&text), expected, "{names}");
    }
    let text = http(
        "limit_conn port 1;
        server { listen 1; server_name a; } server { listen 2; server_name a; }
        server { listen 192.0.2.1:2; server_name a; } server { listen 4; server_name 1; }",
    );
    let all = servers(&text);
    for name in [
        "server_name a;",
        "server_name a-2;",
        "server_name a-2;",
        "server_name 1;",
    ] {
        assert!(all.contains(name), "{all}");
    }
}

#[test]
fn a_location_is_a_comment() {
    let text = http(
        "server { listen 80; limit_conn port 10; limit_conn addr 9;
            location /a { limit_conn port 5; limit_conn_status 429; }
            location /b { limit_conn name 1; limit_conn_dry_run on; }
            location / { if ($x) { set $y 1; } location /c { limit_conn port 10; limit_conn addr 9; } } }",
    );
    assert_eq!(
        servers(&text),
        "server { listen 80; limit_conn port 10; limit_conn addr 9; }"
    );
    says(
        &text,
        "\"limit_conn port 5\" in \"location /a\": a connection has no location yet. The 10 of the \
         server hold for it, too. For all of the server, in place of that: limit_conn port 5;",
    );
    says(
        &text,
        "\"location /a\" has limits of its own, so nginx does not apply those of \"addr\" there.",
    );
    says(
        &text,
        "\"limit_conn name 1\" in \"location /b\": a connection has no location yet. For all of the server: limit_conn name 1;",
    );
    says(
        &text,
        "\"limit_conn port 10\" in \"location /c\": a connection has no location yet. The server has the same number.",
    );
    says(
        &text,
        "\"limit_conn_dry_run on\" in \"location /b\": a connection has no location yet.",
    );
    says(
        &text,
        "\"limit_conn_status 429\": a refused connection gets no answer in HTTP. That clients learn of it at once: limit_conn_action reset;",
    );
}

#[test]
fn a_location_that_allows_more_raises_the_number() {
    let text = http("server { limit_conn port 10; location /a { limit_conn port 50; } }");
    assert_eq!(servers(&text), "server { listen 80; limit_conn port 50; }");
    says(
        &text,
        "\"location /a\" allows 50, the server itself 10: the kernel cannot tell which it is.",
    );
}

#[test]
fn addresses_that_a_proxy_tells_are_not_those_of_the_kernel() {
    let zones = "limit_conn_zone $binary_remote_addr zone=client:1m;
        limit_conn_zone $realip_remote_addr zone=peer:1m; limit_conn_zone $server_name zone=name:1m;";
    let limits = "limit_conn client 1; limit_conn peer 2; limit_conn name 3;";
    let text = format!(
        "http {{ {zones} set_real_ip_from 10.0.0.0/8; server {{ listen 127.0.0.1:80; {limits} }} }}"
    );
    assert_eq!(
        servers(&text),
        "server { listen 127.0.0.1:80; limit_conn peer 2; limit_conn name 3; }"
    );
    says(
        &text,
        "with nginx.conf:2: \"set_real_ip_from 10.0.0.0/8\" nginx counts by the address that a proxy tells it.",
    );
    // A proxy that comes over a Unix socket, and `stream` without the PROXY protocol.
    let all = "limit_conn client 1; limit_conn peer 2; limit_conn name 3;";
    for (text, holds) in [
        (
            format!(
                "http {{ {zones} set_real_ip_from unix:; server {{ listen 127.0.0.1:80; {limits} }} }}"
            ),
            all,
        ),
        (
            format!(
                "stream {{ {zones} set_real_ip_from 10.0.0.0/8; server {{ listen 127.0.0.1:80; {limits} }} }}"
            ),
            all,
        ),
        (
            format!(
                "stream {{ {zones} set_real_ip_from 10.0.0.0/8; server {{ listen 127.0.0.1:80 proxy_protocol; {limits} }} }}"
            ),
            "limit_conn peer 2; limit_conn name 3;",
        ),
    ] {
        assert_eq!(
            servers(&text),
            format!("server {{ listen 127.0.0.1:80; {holds} }}")
        );
    }
}

#[test]
fn a_server_of_stream_needs_its_listen() {
    let text = "stream { limit_conn_zone $server_port zone=port:1m; limit_conn port 1;
        server { listen 53 udp; } server { proxy_pass x; } server { listen 12345-12399; } }";
    assert_eq!(
        servers(text),
        "server { listen 12345-12399; limit_conn port 1; }"
    );
    says(
        text,
        "this server has no \"listen\", and here it would cover every port of the host.",
    );
}

#[test]
fn an_upstream_is_a_comment() {
    let text = "http { upstream u { zone u 64k; server 192.0.2.1 max_conns=5 weight=2; server [::1]:81 max_conns=0;
            server a.example:82 max_conns=6; server unix:/run/x max_conns=7; queue 9 timeout=1m; }
        upstream none { server 192.0.2.1; } upstream v { queue 5; } }";
    assert_eq!(active(text), [""; 0]);
    says(
        text,
        "upstream u { server 192.0.2.1:80 max_conns=5; server a.example:82 max_conns=6; \
        limiter looks no names up: write the address",
    );
    says(
        text,
        "server unix:/run/x max_conns=7; only TCP is limited queue 9 timeout=1m; }",
    );
    says(text, "upstream v { queue 5; }");
    let text = super::import(text).text;
    assert!(!text.contains("none") && !text.contains("worker"), "{text}");
    says(
        "upstream u { server 192.0.2.1 max_conns=5; }",
        "each worker process of nginx",
    );
}

#[test]
fn rates_and_other_protocols_are_left_out() {
    let text = "mail { server { listen 25; } } http { limit_req_zone $binary_remote_addr zone=r:1m rate=1r/s;
        server { location / { limit_req zone=r; limit_rate 10k; } } }";
    assert_eq!(active(text), [""; 0]);
    says(
        text,
        "zone=r:1m rate=1r/s\" and 1 more: limiter counts connections. Requests are left to nginx.",
    );
}
