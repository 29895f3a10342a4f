//! Who connects, and where to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tests::random::Random;

/// Addresses of the host, those of IPv4 first.
pub const LOCAL: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
];

/// Ports that policies name, and where servers listen.
pub const FIRST_PORT: u16 = 7_001;
pub const LAST_PORT: u16 = 7_008;

/// One of the 480 addresses that connections come from.
pub fn client(random: &mut Random) -> IpAddr {
    let host = 1 + random.below(30);
    client_at(random, 1, host)
}

/// A client that has no connection, mostly of a network that has some.
pub fn stranger(random: &mut Random) -> IpAddr {
    let network = random.one_of(&[1, 1, 1, 2, 77]);
    let host = 31 + random.below(30);
    client_at(random, network, host)
}

fn client_at(random: &mut Random, network: u8, host: usize) -> IpAddr {
    let subnet = u8::try_from(random.below(8)).expect("small");
    let host = u8::try_from(host).expect("small");
    if random.once_in(2) {
        return [10, network, subnet, host].into();
    }
    let [network, subnet, host] = [network, subnet, host].map(u16::from);
    Ipv6Addr::new(0xfd00, network, 0, subnet, 0, 0, 0, host).into()
}

/// One of many clients that fill a zone.
pub fn filler(number: usize, like: IpAddr) -> IpAddr {
    let number = u16::try_from(number).expect("below 65536");
    match like {
        IpAddr::V4(_) => {
            let [high, low] = number.to_be_bytes();
            [10, 9, high, low].into()
        }
        IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 9, 0, number, 0, 0, 0, number).into(),
    }
}

/// Where sockets listen, one way for each port; on some ports nobody does.
pub struct Listening {
    /// As a server binds them.
    pub sockets: Vec<String>,
    /// Addresses of the host at which they accept connections.
    pub endpoints: Vec<SocketAddr>,
}

impl Listening {
    pub fn random(random: &mut Random) -> Self {
        let mut sockets = Vec::new();
        let mut endpoints = Vec::new();
        for port in FIRST_PORT..=LAST_PORT {
            let way = match port {
                // There is always one for everybody.
                FIRST_PORT => 0,
                _ => random.below(6),
            };
            let own = random.one_of(&LOCAL);
            let (binds, reached): (Vec<String>, Vec<IpAddr>) = match way {
                0 | 1 => (vec!["[::]".to_owned()], LOCAL.to_vec()),
                2 => (vec!["0.0.0.0".to_owned()], LOCAL[..2].to_vec()),
                3 => (vec![bracketed(own)], vec![own]),
                4 => (LOCAL.map(bracketed).to_vec(), LOCAL.to_vec()),
                _ => (vec![], vec![]),
            };
            sockets.extend(binds.iter().map(|addr| format!("{addr}:{port}")));
            endpoints.extend(reached.iter().map(|at| SocketAddr::new(*at, port)));
        }
        Self { sockets, endpoints }
    }

    /// Somewhere at which nobody listens.
    pub fn nobody(&self, random: &mut Random) -> SocketAddr {
        let elsewhere: [IpAddr; 4] = [
            [10, 0, 0, 77].into(),
            [192, 0, 2, 1].into(),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x77).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ];
        loop {
            let addr = match random.once_in(2) {
                true => random.one_of(&elsewhere),
                false => random.one_of(&LOCAL),
            };
            let port = FIRST_PORT - 2 + u16::try_from(random.below(12)).expect("small");
            let to = SocketAddr::new(addr, port);
            if !self.endpoints.contains(&to) {
                return to;
            }
        }
    }
}

fn bracketed(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
