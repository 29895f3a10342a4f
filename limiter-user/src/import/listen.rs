//! `listen` as nginx has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scene::Kind;
use crate::{
    config::grammar::{self, Directive, shown},
    policy::{Listen, ListenAddr},
};

/// Where nginx listens for connections.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `0.0.0.0`, `::` or one address.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) first_port: u16,
    pub(super) last_port: u16,
    /// `default_server`
    pub(super) is_default: bool,
    /// `proxy_protocol`
    pub(super) has_proxy: bool,
}

const ALL_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ALL_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Endpoint {
    /// Of a server of `http` without any `listen`.
    pub(super) fn unspoken() -> Self {
        Self {
            addresses: vec![ALL_V4],
            first_port: HTTP,
            last_port: HTTP,
            is_default: false,
            has_proxy: false,
        }
    }

    /// Reads one. If it is nothing for limiter, the reason.
    pub(super) fn read(directive: &Directive, kind: Kind) -> Result<Self, String> {
        let Some((word, parameters)) = directive.arguments.split_first() else {
            return Err("it has no address".to_owned());
        };
        let has = |name: &str| parameters.iter().any(|word| word.value == name);
        if word.value.starts_with("unix:") {
            return Err("only TCP is limited, and this is a Unix socket".to_owned());
        }
        if has("udp") || has("quic") {
            return Err("only TCP is limited, and this is UDP".to_owned());
        }
        let listen = listen(&word.value, kind)?;
        let addresses = match listen.addr {
            // nginx listens to IPv6 only where it is told to.
            ListenAddr::Any => vec![ALL_V4],
            ListenAddr::Ip(ALL_V6) if has("ipv6only=off") => vec![ALL_V4, ALL_V6],
            ListenAddr::Ip(addr) => vec![addr],
        };
        Ok(Self {
            addresses,
            first_port: listen.first_port,
            last_port: listen.last_port,
            is_default: has("default_server") || has("default"),
            has_proxy: has("proxy_protocol"),
        })
    }
}

/// The port of `http` where none is written.
const HTTP: u16 = 80;

fn listen(word: &str, kind: Kind) -> Result<Listen, String> {
    if kind == Kind::Http && is_address(word) {
        return listen(&format!("{word}:{HTTP}"), Kind::Stream);
    }
    grammar::listen(word).map_err(|_| {
        let (host, port) = word.rsplit_once(':').unwrap_or((word, "80"));
        match host {
            "localhost" => format!(
                "limiter does not look names up: it may be 127.0.0.1:{port}, [::1]:{port} or both",
                port = shown(port)
            ),
            _ if is_name(host) => "limiter does not look names up: write the address".to_owned(),
            _ => "it is no address and port".to_owned(),
        }
    })
}

/// An address without a port.
fn is_address(word: &str) -> bool {
    word == "*"
        || word.parse::<Ipv4Addr>().is_ok()
        || word
            .strip_prefix('[')
            .and_then(|word| word.strip_suffix(']'))
            .is_some_and(|word| word.parse::<Ipv6Addr>().is_ok())
}

/// Could be in the DNS.
fn is_name(host: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.chars().all(good) && host.contains(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::grammar::{Source, parse_foreign};

    fn read(text: &str, kind: Kind) -> Result<Endpoint, String> {
        let source = Source::new(Path::new("t"), format!("listen {text};"));
        let foreign = parse_foreign(&source).expect("a directive");
        Endpoint::read(&foreign.directives[0], kind)
    }

    #[test]
    fn an_address_may_lack_its_port_in_http() {
        for (text, addresses, ports) in [
            ("80", "0.0.0.0", 80..=80),
            ("*:8080", "0.0.0.0", 8080..=8080),
            ("*", "0.0.0.0", 80..=80),
            ("192.0.2.1", "192.0.2.1", 80..=80),
            ("[::1]", "::1", 80..=80),
            (
                "[::]:443 ssl http2 default_server ipv6only=on",
                "::",
                443..=443,
            ),
            ("[::]:443 ipv6only=off", "0.0.0.0 ::", 443..=443),
            ("127.0.0.1:8000-8010", "127.0.0.1", 8000..=8010),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1", 1..=1),
        ] {
            let endpoint = read(text, Kind::Http).expect(text);
            let all: Vec<_> = endpoint.addresses.iter().map(ToString::to_string).collect();
            assert_eq!(all.join(" "), addresses, "{text}");
            assert_eq!(endpoint.first_port..=endpoint.last_port, ports, "{text}");
            assert_eq!(endpoint.is_default, text.contains("default"), "{text}");
        }
        assert!(read("192.0.2.1", Kind::Stream).is_err());
    }

    #[test]
    fn what_is_not_tcp_or_has_no_address_has_a_reason() {
        for (text, reason) in [
            ("unix:/run/x.sock", "Unix socket"),
            ("443 quic reuseport", "UDP"),
            ("53 udp", "UDP"),
            ("localhost:8000", "127.0.0.1:8000, [::1]:8000"),
            ("localhost", "127.0.0.1:80"),
            ("web.example.com:80", "look names up"),
            ("$port", "no address"),
            ("0", "no address"),
            ("", "no address"),
        ] {
            let error = read(text, Kind::Http).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
