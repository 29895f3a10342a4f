//! `metrics [ADDRESS:]PORT`, `metrics_top NUMBER` and `metrics_run_time on|off`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{
    build::{invalid_value, misread},
    error::{ConfigError, shown},
    expand::{Item, duplicate},
    flags, listen,
    once::Once,
    syntax::Word,
    word::{self, WordError},
};
use crate::policy::{ListenAddr, Metrics, origin::Origin};

/// The directives read so far.
#[derive(Debug, Default)]
pub(super) struct MetricsDraft {
    listen: Vec<(SocketAddr, Word)>,
    top: Once<u16>,
    run_time: Once<bool>,
}

impl MetricsDraft {
    /// `metrics`
    pub(super) fn listen(&mut self, item: &Item) -> Result<(), ConfigError> {
        let word = item.argument(0);
        let address = address(&word.value).map_err(|error| misread(word, error))?;
        if let Some((_, first)) = self.listen.iter().find(|(other, _)| *other == address) {
            return Err(duplicate(&item.word, first));
        }
        if self.listen.len() == Metrics::MAX_LISTEN {
            let message = format!(
                "too many \"metrics\" directives, {} at the most",
                Metrics::MAX_LISTEN
            );
            return Err(ConfigError::at(&item.word.span, message));
        }
        self.listen.push((address, item.word.clone()));
        Ok(())
    }

    /// `metrics_top`
    pub(super) fn top(&mut self, item: &Item) -> Result<(), ConfigError> {
        let word = item.argument(0);
        let number = top(&word.value).map_err(|error| misread(word, error))?;
        self.top.set(item, number)
    }

    /// `metrics_run_time`
    pub(super) fn run_time(&mut self, item: &Item) -> Result<(), ConfigError> {
        let word = item.argument(0);
        let on = word::switch(&word.value);
        let on = on.map_err(|error| invalid_value(item, word, &error.expected))?;
        self.run_time.set(item, on)
    }

    pub(super) fn metrics(&self) -> Metrics {
        Metrics {
            listen: self.listen.iter().map(|(address, _)| *address).collect(),
            top: self.top.value().copied().unwrap_or_default(),
            run_time: self.run_time.value().copied().unwrap_or_default(),
        }
    }

    /// Address by address.
    pub(super) fn listen_origins(&self) -> Vec<Origin> {
        let words = self.listen.iter().map(|(_, word)| word.span.origin());
        words.collect()
    }

    pub(super) fn top_origin(&self) -> Origin {
        self.top.origin()
    }

    pub(super) fn run_time_origin(&self) -> Origin {
        self.run_time.origin()
    }
}

/// As the directives, from the words of a flag.
pub(super) fn of_flag(flag: &str, words: &[String]) -> Result<Metrics, ConfigError> {
    let mut listen = Vec::new();
    for word in words {
        let address = address(word).map_err(|error| flags::misread(flag, error))?;
        if listen.contains(&address) {
            let message = format!("{flag}: \"{address}\" is given twice");
            return Err(ConfigError::placeless(message));
        }
        listen.push(address);
    }
    if listen.len() > Metrics::MAX_LISTEN {
        let message = format!("{flag}: {} addresses at the most", Metrics::MAX_LISTEN);
        return Err(ConfigError::placeless(message));
    }
    Ok(Metrics {
        listen,
        ..Metrics::default()
    })
}

/// `[ADDRESS:]PORT`; without an address, the loopback address of IPv4.
fn address(word: &str) -> Result<SocketAddr, WordError> {
    let listen = listen::parse(word)?;
    if listen.first_port != listen.last_port {
        let message = format!("a range of ports in \"{}\"", shown(word));
        return Err(WordError::new(message, "expected one port"));
    }
    let ip = match listen.addr {
        ListenAddr::Ip(ip) => ip,
        // What is told to everybody is told to strangers: that has to be written.
        ListenAddr::Any if word.starts_with('*') => {
            let message = format!("no address in \"{}\"", shown(word));
            let expected = "expected ADDRESS:PORT; 0.0.0.0 is every IPv4 address, [::] every IPv6 \
                            address";
            return Err(WordError::new(message, expected).at(0..1));
        }
        ListenAddr::Any => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    Ok(SocketAddr::new(ip, listen.first_port))
}

fn top(word: &str) -> Result<u16, WordError> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let number = word.parse().ok();
    let number = number.filter(|number| digits && *number <= Metrics::MAX_TOP);
    number.ok_or_else(|| {
        WordError::new(
            format!("invalid number of keys \"{}\"", shown(word)),
            format!("expected a number from 0 to {}", Metrics::MAX_TOP),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_port_and_is_loopback_unless_it_is_written() {
        for (word, expected) in [
            ("9145", "127.0.0.1:9145"),
            ("0.0.0.0:9145", "0.0.0.0:9145"),
            ("[::]:9145", "[::]:9145"),
            ("[::1]:80", "[::1]:80"),
            ("[::ffff:192.0.2.1]:9145", "192.0.2.1:9145"),
        ] {
            let expected: SocketAddr = expected.parse().expect("an address");
            assert_eq!(address(word), Ok(expected), "{word}");
        }
        for (word, message) in [
            ("*:9145", "no address in \"*:9145\""),
            ("9145-9146", "a range of ports in \"9145-9146\""),
            ("0", "invalid port in \"0\""),
            ("localhost:9145", "invalid host in \"localhost:9145\""),
            ("unix:/run/x", "invalid address in \"unix:/run/x\""),
        ] {
            assert_eq!(address(word).expect_err(word).message, message);
        }
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        assert_eq!((top("0"), top("1000")), (Ok(0), Ok(1000)));
        for word in ["1001", "-1", "+1", "", "all", "65536"] {
            assert!(top(word).is_err(), "{word}");
        }
    }
}
