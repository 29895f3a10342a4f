//! `[ADDRESS:]PORT[-PORT]`

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{error::shown, word::WordError};
use crate::policy::{Listen, ListenAddr};

/// Reads an endpoint. An IPv4 address inside of an IPv6 address (`::ffff:192.0.2.1`) is the IPv4
/// address: that is how the kernel side sees connections of a dual-stack listener.
pub(crate) fn parse(word: &str) -> Result<Listen, WordError> {
    if word.starts_with("unix:") {
        return Err(invalid(
            "address",
            word,
            0..5,
            "expected an Internet address: Unix sockets are not limited",
        ));
    }
    let (addr, ports) = if word.starts_with('[') {
        bracketed(word)?
    } else {
        match word.rsplit_once(':') {
            Some((host, _)) => (plain(host, word)?, host.len() + 1),
            None if word.parse::<Ipv4Addr>().is_ok() || word == "*" => {
                return Err(no_port(word));
            }
            None => (ListenAddr::Any, 0),
        }
    };
    let (first_port, last_port) = port_range(word, ports)?;
    Ok(Listen {
        addr,
        first_port,
        last_port,
    })
}

/// `[ADDRESS]:`, and where the port begins.
fn bracketed(word: &str) -> Result<(ListenAddr, usize), WordError> {
    let expected = "expected [ADDRESS]:PORT";
    let Some(end) = word.find(']') else {
        return Err(invalid("IPv6 address", word, 0..word.len(), expected));
    };
    let Ok(addr) = word[1..end].parse::<Ipv6Addr>() else {
        let hint = if word[1..end].contains('%') {
            "expected an address without a zone index"
        } else {
            expected
        };
        return Err(invalid("IPv6 address", word, 1..end, hint));
    };
    match word.as_bytes().get(end + 1) {
        None => Err(no_port(word)),
        Some(b':') => Ok((ListenAddr::Ip(IpAddr::V6(addr).to_canonical()), end + 2)),
        Some(_) => Err(invalid("port", word, end + 1..word.len(), expected)),
    }
}

/// What stands before the last colon, without brackets.
fn plain(host: &str, word: &str) -> Result<ListenAddr, WordError> {
    if host == "*" {
        return Ok(ListenAddr::Any);
    }
    if let Ok(addr) = host.parse::<Ipv4Addr>() {
        return Ok(ListenAddr::Ip(IpAddr::V4(addr)));
    }
    let expected = if host.contains(':') {
        "an IPv6 address stands in brackets: [ADDRESS]:PORT"
    } else if host.is_empty() {
        "expected an address before the colon, or only a port"
    } else {
        "expected an address, not a name: limiter does not ask the DNS"
    };
    Err(invalid("host", word, 0..host.len().max(1), expected))
}

/// `PORT[-PORT]`, from byte `start` of the word on.
fn port_range(word: &str, start: usize) -> Result<(u16, u16), WordError> {
    let text = &word[start..];
    let Some((first, last)) = text.split_once('-') else {
        let port = port(word, start..word.len())?;
        return Ok((port, port));
    };
    let first_port = port(word, start..start + first.len())?;
    let last_port = port(word, word.len() - last.len()..word.len())?;
    if first_port > last_port {
        return Err(invalid(
            "port range",
            word,
            start..word.len(),
            "expected the lower port first",
        ));
    }
    Ok((first_port, last_port))
}

fn port(word: &str, range: Range<usize>) -> Result<u16, WordError> {
    let text = &word[range.clone()];
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(invalid(
            "port",
            word,
            range,
            "expected a port from 1 to 65535",
        )),
    }
}

fn no_port(word: &str) -> WordError {
    WordError::new(
        format!("no port in \"{}\"", shown(word)),
        "expected ADDRESS:PORT",
    )
    .at(word.len()..word.len())
}

fn invalid(what: &str, word: &str, part: Range<usize>, expected: &str) -> WordError {
    WordError::new(format!("invalid {what} in \"{}\"", shown(word)), expected).at(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_prints_as_it_was_written() {
        for word in [
            "443",
            "1",
            "65535",
            "8000-8100",
            "192.0.2.1:443",
            "127.0.0.1:8000-8100",
            "0.0.0.0:80",
            "[::]:80",
            "[2001:db8::1]:443",
            "[2001:db8::1]:1-65535",
        ] {
            assert_eq!(parse(word).expect(word).to_string(), word);
        }
    }

    #[test]
    fn equal_endpoints_are_equal() {
        for (word, same) in [
            ("*:443", "443"),
            ("443-443", "443"),
            ("0443", "443"),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1:443"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
        ] {
            assert_eq!(parse(word), parse(same), "{word}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let table = [
            ("", "invalid port in \"\""),
            ("0", "invalid port in \"0\""),
            ("65536", "invalid port in \"65536\""),
            ("http", "invalid port in \"http\""),
            ("+80", "invalid port in \"+80\""),
            ("80-", "invalid port in \"80-\""),
            ("-80", "invalid port in \"-80\""),
            ("80-90-100", "invalid port in \"80-90-100\""),
            ("8100-8000", "invalid port range in \"8100-8000\""),
            ("*", "no port in \"*\""),
            ("*:", "invalid port in \"*:\""),
            (":80", "invalid host in \":80\""),
            ("192.0.2.1", "no port in \"192.0.2.1\""),
            ("192.0.2.256:80", "invalid host in \"192.0.2.256:80\""),
            ("localhost:80", "invalid host in \"localhost:80\""),
            ("::1:80", "invalid host in \"::1:80\""),
            ("[::1]", "no port in \"[::1]\""),
            ("[::1", "invalid IPv6 address in \"[::1\""),
            ("[::1]80", "invalid port in \"[::1]80\""),
            ("[::1]:", "invalid port in \"[::1]:\""),
            (
                "[fe80::1%eth0]:80",
                "invalid IPv6 address in \"[fe80::1%eth0]:80\"",
            ),
            (
                "[192.0.2.1]:80",
                "invalid IPv6 address in \"[192.0.2.1]:80\"",
            ),
            ("unix:/run/x", "invalid address in \"unix:/run/x\""),
        ];
        for (word, message) in table {
            let error = parse(word).expect_err(word);
            assert_eq!(error.message, message);
            let part = error.part.expect("a part");
            assert!(
                part.start <= part.end && part.end <= word.len().max(1),
                "{word}"
            );
        }
    }
}
