//! Which keys somebody means. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::api::KeyParts;

/// A key, or a part of one, as `limiter zones` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFilter {
    text: String,
    /// If it is an address or a network.
    network: Option<IpNet>,
}

impl KeyFilter {
    /// From what was typed. Whatever it is, it means something: the name of a server may be anything.
    pub fn parse(text: &str) -> Self {
        let addr = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
        Self {
            text: text.to_owned(),
            network: text.parse().ok().or_else(|| addr(text)),
        }
    }

    /// Whether a key is meant: it has an address in the network or with that address in
    /// it, or the port, or the name.
    pub fn matches(&self, key: &KeyParts) -> bool {
        let has_addr = |addr: Option<IpAddr>, bits: Option<u8>| {
            let of_key = addr.and_then(|addr| match bits {
                Some(bits) => IpNet::new(addr, bits).ok(),
                None => Some(addr.into()),
            });
            let (Some(ours), Some(of_key)) = (&self.network, of_key) else {
                return false;
            };
            ours.contains(&of_key) || of_key.contains(ours)
        };
        has_addr(key.remote_addr, key.remote_prefix)
            || has_addr(key.server_addr, None)
            || key
                .server_port
                .is_some_and(|port| port.to_string() == self.text)
            || key.server_name.as_ref() == Some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_any_part_of_it() {
        let key = KeyParts {
            remote_addr: Some([192, 0, 2, 0].into()),
            remote_prefix: Some(24),
            server_addr: Some([10, 0, 0, 1].into()),
            server_port: Some(443),
            server_name: Some("web".to_owned()),
        };
        for text in [
            "192.0.2.0/24",
            "192.0.2.7",
            "192.0.0.0/16",
            "10.0.0.1",
            "443",
            "web",
        ] {
            assert!(KeyFilter::parse(text).matches(&key), "{text}");
        }
        for text in ["192.0.3.0/24", "192.0.3.1", "::", "44", "we", "", "::/0"] {
            assert!(!KeyFilter::parse(text).matches(&key), "{text}");
        }
    }
}
