//! The examples of nginx's and Angie's documentation, verbatim: they import, and `check` takes the
//! result without a warning, but for those that limit nothing.

use super::{active, check, import};

struct Example {
    /// The page.
    page: &'static str,
    text: &'static str,
    /// What comes of it that holds.
    holds: &'static [&'static str],
}

#[test]
fn every_example_imports_and_checks() {
    for Example { page, text, holds } in EXAMPLES {
        let import = import(text);
        assert_eq!(active(text), *holds, "{page}\n{text}\n{}", import.text);
        let warnings = check(&import).warnings;
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        if holds.is_empty() {
            let nothing = ["nothing is limited: no \"limit_conn\" is in effect"];
            assert_eq!(warnings, nothing, "{page}\n{text}");
        } else {
            assert_eq!(warnings, [""; 0], "{page}\n{text}\n{}", import.text);
        }
    }
}

#[test]
fn what_does_not_hold_stands_as_a_comment() {
    for (number, comments) in [
        // A location.
        (
            0,
            [
                "# limit_conn_zone $binary_remote_addr zone=addr:10m;",
                "limit_conn addr 1;",
            ],
        ),
        (
            1,
            [
                "# limit_conn_zone $binary_remote_addr zone=addr:10m;",
                "limit_conn addr 1;",
            ],
        ),
        // A server of `stream` without `listen`.
        (5, ["# server {", "#     limit_conn addr 1;"]),
        // No server at all.
        (
            8,
            [
                "#     limit_conn addr 1;",
                "#     limit_conn_exempt 127.0.0.1;",
            ],
        ),
    ] {
        let text = import(EXAMPLES[number].text).text;
        for comment in comments {
            assert!(text.contains(comment), "{comment}\n{text}");
        }
    }
}

const NGINX_HTTP: &str = "https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html";
const NGINX_STREAM: &str = "https://nginx.org/en/docs/stream/ngx_stream_limit_conn_module.html";
const NGINX_HTTP_UPSTREAM: &str = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html";
const NGINX_STREAM_UPSTREAM: &str =
    "https://nginx.org/en/docs/stream/ngx_stream_upstream_module.html";
const NGINX_GEO: &str = "https://nginx.org/en/docs/http/ngx_http_geo_module.html";
const NGINX_MAP: &str = "https://nginx.org/en/docs/http/ngx_http_map_module.html";
const NGINX_STREAM_MAP: &str = "https://nginx.org/en/docs/stream/ngx_stream_map_module.html";
const ANGIE_HTTP: &str =
    "https://en.angie.software/angie/docs/configuration/modules/http/http_limit_conn/";
const ANGIE_STREAM: &str =
    "https://en.angie.software/angie/docs/configuration/modules/stream/stream_limit_conn/";
const ANGIE_STREAM_MAP: &str =
    "https://en.angie.software/angie/docs/configuration/modules/stream/stream_map/";
const ANGIE_STREAM_UPSTREAM: &str =
    "https://en.angie.software/angie/docs/configuration/modules/stream/stream_upstream/";

const PER_ADDRESS: &[&str] = &[
    "limit_conn_zone $binary_remote_addr zone=addr:10m v6_prefix=128;",
    "server {",
    "listen 80;",
    "limit_conn addr 1;",
    "}",
];

const PER_ADDRESS_AND_SERVER: &[&str] = &[
    "limit_conn_zone $binary_remote_addr zone=perip:10m v6_prefix=128;",
    "limit_conn_zone $server_name zone=perserver:10m;",
    "server {",
    "listen 80;",
    "limit_conn perip 10;",
    "limit_conn perserver 100;",
    "}",
];

const fn example(
    page: &'static str,
    text: &'static str,
    holds: &'static [&'static str],
) -> Example {
    Example { page, text, holds }
}

#[rustfmt::skip]
const EXAMPLES: &[Example] = &[
example(NGINX_HTTP, r#"
http {
    limit_conn_zone $binary_remote_addr zone=addr:10m;

    ...

    server {

        ...

        location /download/ {
            limit_conn addr 1;
        }
"#, &[]),
example(NGINX_HTTP, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;

server {
    location /download/ {
        limit_conn addr 1;
    }
"#, &[]),
example(NGINX_HTTP, r#"
limit_conn_zone $binary_remote_addr zone=perip:10m;
limit_conn_zone $server_name zone=perserver:10m;

server {
    ...
    limit_conn perip 10;
    limit_conn perserver 100;
}
"#, PER_ADDRESS_AND_SERVER),
example(NGINX_HTTP, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;
"#, &[]),
example(NGINX_HTTP, r#"
limit_conn_zone $variable zone=name:size;
"#, &[]),
example(NGINX_STREAM, r#"
stream {
    limit_conn_zone $binary_remote_addr zone=addr:10m;

    ...

    server {

        ...

        limit_conn           addr 1;
        limit_conn_log_level error;
    }
}
"#, &[]),
example(NGINX_STREAM, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;

server {
    ...
    limit_conn addr 1;
}
"#, PER_ADDRESS),
example(NGINX_STREAM, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;
"#, &[]),
example(NGINX_STREAM_MAP, r#"
map $remote_addr $limit {
    127.0.0.1    "";
    default      $binary_remote_addr;
}

limit_conn_zone $limit zone=addr:10m;
limit_conn addr 1;
"#, &[]),
example(NGINX_MAP, r#"
map $http_host $name {
    hostnames;

    default       0;

    example.com   1;
    *.example.com 1;
    example.org   2;
    *.example.org 2;
    .example.net  3;
    wap.*         4;
}

map $http_user_agent $mobile {
    default       0;
    "~Opera Mini" 1;
}
"#, &[]),
example(NGINX_GEO, r#"
geo $geo {
    default        0;

    127.0.0.1      2;
    192.168.1.0/24 1;
    10.1.0.0/16    1;

    ::1            2;
    2001:0db8::/32 1;
}
"#, &[]),
example(NGINX_GEO, r#"
geo $arg_remote_addr $geo {
    ...;
}
"#, &[]),
example(NGINX_GEO, r#"
geo $country {
    default        ZZ;
    include        conf/geo.conf;
    delete         127.0.0.0/16;
    proxy          192.168.100.0/24;
    proxy          2001:0db8::/32;

    127.0.0.0/24   US;
    127.0.0.1/32   RU;
    10.1.0.0/16    RU;
    192.168.1.0/24 UK;
}
"#, &[]),
example(NGINX_GEO, r#"
10.2.0.0/16    RU;
192.168.2.0/24 RU;
"#, &[]),
example(NGINX_GEO, r#"
geo $country {
    ranges;
    default                   ZZ;
    127.0.0.0-127.0.0.0       US;
    127.0.0.1-127.0.0.1       RU;
    127.0.0.1-127.0.0.255     US;
    10.1.0.0-10.1.255.255     RU;
    192.168.1.0-192.168.1.255 UK;
}
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
upstream backend {
    server backend1.example.com       weight=5;
    server backend2.example.com:8080;
    server unix:/tmp/backend3;

    server backup1.example.com:8080   backup;
    server backup2.example.com:8080   backup;
}

server {
    location / {
        proxy_pass http://backend;
    }
}
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
resolver 10.0.0.1;

upstream dynamic {
    zone upstream_dynamic 64k;

    server backend1.example.com      weight=5;
    server backend2.example.com:8080 fail_timeout=5s slow_start=30s;
    server 192.0.2.1                 max_fails=3;
    server backend3.example.com      resolve;
    server backend4.example.com      service=http resolve;

    server backup1.example.com:8080  backup;
    server backup2.example.com:8080  backup;
}

server {
    location / {
        proxy_pass http://dynamic;
        health_check;
    }
}
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
server backend.example.com service=_http._tcp resolve;
server example.com service=server1.backend resolve;
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
state /var/lib/nginx/state/servers.conf; # path for Linux
state /var/db/nginx/state/servers.conf;  # path for FreeBSD
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
upstream http_backend {
    server 127.0.0.1:8080;

    keepalive 16;
}

server {
    ...

    location /http/ {
        proxy_pass http://http_backend;
        # proxy_http_version 1.1; # before version 1.29.7
        # proxy_set_header Connection ""; # before version 1.29.7
        ...
    }
}
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
map $cookie_jsessionid $route_cookie {
    ~.+\.(?P<route>\w+)$ $route;
}

map $request_uri $route_uri {
    ~jsessionid=.+\.(?P<route>\w+)$ $route;
}

upstream backend {
    server backend1.example.com route=a;
    server backend2.example.com route=b;

    sticky route $route_cookie $route_uri;
}
"#, &[]),
example(NGINX_HTTP_UPSTREAM, r#"
upstream backend {
   server backend1.example.com:8080;
   server backend2.example.com:8081;

   sticky learn
          create=$upstream_cookie_examplecookie
          lookup=$cookie_examplecookie
          zone=client_sessions:1m;
}
"#, &[]),
example(NGINX_STREAM_UPSTREAM, r#"
upstream backend {
    hash $remote_addr consistent;

    server backend1.example.com:12345  weight=5;
    server backend2.example.com:12345;
    server unix:/tmp/backend3;

    server backup1.example.com:12345   backup;
    server backup2.example.com:12345   backup;
}

server {
    listen 12346;
    proxy_pass backend;
}
"#, &[]),
example(NGINX_STREAM_UPSTREAM, r#"
resolver 10.0.0.1;

upstream dynamic {
    zone upstream_dynamic 64k;

    server backend1.example.com:12345 weight=5;
    server backend2.example.com:12345 fail_timeout=5s slow_start=30s;
    server 192.0.2.1:12345            max_fails=3;
    server backend3.example.com:12345 resolve;
    server backend4.example.com       service=http resolve;

    server backup1.example.com:12345  backup;
    server backup2.example.com:12345  backup;
}

server {
    listen 12346;
    proxy_pass dynamic;
    health_check;
}
"#, &[]),
example(NGINX_STREAM_UPSTREAM, r#"
upstream backend {
    server backend1.example.com:12345 weight=5;
    server 127.0.0.1:12345            max_fails=3 fail_timeout=30s;
    server unix:/tmp/backend2;
    server backend3.example.com:12345 resolve;

    server backup1.example.com:12345  backup;
}
"#, &[]),
example(ANGIE_HTTP, r#"
http {
    limit_conn_zone $binary_remote_addr zone=addr:10m;

    ...

    server {

        ...

        location /download/ {
            limit_conn addr 1;
        }
"#, &[]),
example(ANGIE_HTTP, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;

server {
    location /download/ {
        limit_conn addr 1;
    }
"#, &[]),
example(ANGIE_HTTP, r#"
limit_conn_zone $binary_remote_addr zone=perip:10m;
limit_conn_zone $server_name zone=perserver:10m;

server {
    ...
    limit_conn perip 10;
    limit_conn perserver 100;
}
"#, PER_ADDRESS_AND_SERVER),
example(ANGIE_STREAM, r#"
stream {
    limit_conn_zone $binary_remote_addr zone=addr:10m;

    ...

    server {

        ...

        limit_conn           addr 1;
        limit_conn_log_level error;
    }
}
"#, &[]),
example(ANGIE_STREAM, r#"
limit_conn_zone $binary_remote_addr zone=addr:10m;

server {
    ...
    limit_conn addr 1;
}
"#, PER_ADDRESS),
example(ANGIE_STREAM_MAP, r#"
map $remote_addr $limit {
    127.0.0.1    "";
    default      $binary_remote_addr;
}

limit_conn_zone $limit zone=addr:10m;
limit_conn addr 1;
"#, &[]),
example(ANGIE_STREAM_UPSTREAM, r#"
upstream backend {
    hash $remote_addr consistent;
    zone backend 1m;

    server backend1.example.com:1935  weight=5;
    server unix:/tmp/backend3;
    server backend3.example.com       service=_example._tcp resolve;

    server backup1.example.com:1935   backup;
    server backup2.example.com:1935   backup;
}

resolver 127.0.0.53 status_zone=resolver;

server {
    listen 1936;
    proxy_pass backend;
}
"#, &[]),
example(ANGIE_STREAM_UPSTREAM, r#"
upstream backend {
    server backend1.example.com:1935 weight=5;
    server 127.0.0.1:1935            max_fails=3 fail_timeout=30s;
    server unix:/tmp/backend2;
    server backend3.example.com:1935 resolve;

    server backup1.example.com:1935  backup;
}
"#, &[]),
];
