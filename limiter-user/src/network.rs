//! Networks as nginx writes them: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`.

use std::{fmt::Display, net::IpAddr};

use ipnet::{IpNet, Ipv4Net};

/// Bits of `::ffff:0:0/96`, the IPv6 addresses that are IPv4 addresses (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// It is nothing of the kind.
    Malformed,
    /// The address is not the first of its network.
    HostBits {
        /// The network that it is in.
        meant: IpNet,
    },
}

impl NetworkError {
    /// What is wrong with `text`, in nginx's words.
    pub fn message(self, text: impl Display) -> String {
        match self {
            Self::Malformed => format!("invalid network \"{text}\""),
            Self::HostBits { .. } => format!("low address bits of \"{text}\" are meaningless"),
        }
    }

    /// What should have been there.
    pub fn expected(self) -> String {
        match self {
            Self::Malformed => {
                "expected an address or a network such as 192.0.2.0/24 or 2001:db8::/32".to_owned()
            }
            Self::HostBits { meant } => format!("did you mean \"{meant}\"?"),
        }
    }
}

/// Reads a network. An address alone is the network of that address; IPv4 inside of IPv6
/// (`::ffff:192.0.2.0/120`) is IPv4.
///
/// # Errors
///
/// If it is none, or has bits set beyond the prefix.
pub fn parse(text: &str) -> Result<IpNet, NetworkError> {
    let malformed = NetworkError::Malformed;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| malformed)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| malformed)?
        }
        Some(_) => return Err(malformed),
        None => longest,
    };
    let network = IpNet::new(address, prefix).map_err(|_| malformed)?;
    if network.addr() != network.network() {
        let meant = unmapped(network.trunc());
        return Err(NetworkError::HostBits { meant });
    }
    Ok(unmapped(network))
}

/// A few networks, and how many more there are; `none` without any.
pub fn few<T: Display>(networks: &[T]) -> String {
    const MOST: usize = 3;
    if networks.is_empty() {
        return "none".to_owned();
    }
    let shown = networks.iter().take(MOST).map(ToString::to_string);
    let more = networks.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let bits = v6.prefix_len().checked_sub(MAPPED_BITS);
    match (v6.addr().to_ipv4_mapped(), bits) {
        (Some(v4), Some(bits)) => Ipv4Net::new(v4, bits).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_form() {
        for (text, form) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("192.0.2.0/024", "192.0.2.0/24"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/96", "::/96"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), form, "{text}");
        }
    }

    #[test]
    fn of_many_networks_a_few_are_shown() {
        let networks: Vec<IpNet> = (1..=5)
            .map(|index| parse(&format!("{index}.0.0.0/8")).expect("literal"))
            .collect();
        assert_eq!(few::<IpNet>(&[]), "none");
        assert_eq!(few(&networks[..3]), "1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8");
        assert_eq!(few(&networks), "1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 2 more");
    }

    #[test]
    fn host_bits_show_the_network_that_was_meant() {
        for (text, meant) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1/0", "0.0.0.0/0"),
            ("192.0.2.1/31", "192.0.2.0/31"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
        ] {
            let error = parse(text).expect_err(text);
            let expected = format!("did you mean \"{meant}\"?");
            assert_eq!(error.expected(), expected, "{text}");
            parse(meant).expect("a network");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/256",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0/8",
            "10",
            "256.0.0.0/8",
            "::/129",
            "[::1]",
            "fe80::1%eth0",
            "192.0.2.1:80",
            "localhost",
            "off",
            " 10.0.0.0/8",
        ] {
            assert_eq!(parse(text), Err(NetworkError::Malformed), "{text}");
        }
    }
}
