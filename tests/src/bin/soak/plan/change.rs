//! How policies differ from each other.

use ipnet::IpNet;
use tests::random::Random;

use super::{By, Plan, Server, Upstream, Zone};
use crate::scene;

/// Ways to refuse.
pub const ACTIONS: [&str; 4] = ["drop", "reset", "close", "close delay=500ms"];

impl Plan {
    /// The first one.
    pub fn first() -> Self {
        let zone = |name, by, v4_prefix, v6_prefix| Zone {
            name,
            by,
            size_m: 1,
            v4_prefix,
            v6_prefix,
        };
        Self {
            zones: vec![
                zone("addr", By::Client, 32, 128),
                zone("net", By::Client, 24, 64),
                zone("perserver", By::ServerName, 32, 128),
                zone("mixed", By::ServerPort, 32, 128),
            ],
            servers: vec![web(), mail(), api()],
            upstreams: upstreams(),
            dry_run: false,
            interfaces: vec![("veth0", "auto")],
        }
    }
}

fn web() -> Server {
    Server {
        name: "web",
        listen: vec![(None, 8080)],
        limits: vec![("addr", 20), ("net", 120), ("mixed", 500)],
        // All clients of a network are one key of the other zone.
        overrides: vec![
            ("net", network("fd00:1::/64"), 60),
            ("addr", network("10.1.3.0/24"), 5),
        ],
        exempt: Vec::new(),
        action: "drop",
        dry_run: false,
    }
}

fn mail() -> Server {
    Server {
        name: "mail",
        listen: scene::MAIL
            .map(|it| (Some(at(it).ip()), at(it).port()))
            .to_vec(),
        limits: vec![("addr", 10), ("perserver", 80)],
        overrides: Vec::new(),
        exempt: vec![network("10.1.2.0/24")],
        action: "drop",
        dry_run: false,
    }
}

fn api() -> Server {
    Server {
        name: "api",
        listen: vec![(None, 8081)],
        limits: vec![("perserver", 150)],
        overrides: Vec::new(),
        exempt: Vec::new(),
        action: "reset",
        dry_run: false,
    }
}

/// Comes and goes.
fn extra() -> Server {
    Server {
        name: "extra",
        listen: vec![(None, 8082)],
        limits: vec![("addr", 12), ("mixed", 100)],
        overrides: Vec::new(),
        exempt: Vec::new(),
        action: "drop",
        dry_run: false,
    }
}

fn upstreams() -> Vec<Upstream> {
    let servers = |all: &[&str], max_conns| all.iter().map(|it| (at(it), max_conns)).collect();
    vec![
        Upstream {
            name: "backend",
            servers: servers(&scene::BACKEND, 8),
            queue: Some(20),
        },
        Upstream {
            name: "plain",
            servers: servers(&scene::PLAIN, 5),
            queue: None,
        },
    ]
}

/// Another one, with one to three differences.
pub fn changed(plan: &Plan, random: &mut Random) -> Plan {
    let mut plan = plan.clone();
    for _ in 0..=random.below(3) {
        one(&mut plan, random);
    }
    plan
}

fn one(plan: &mut Plan, random: &mut Random) {
    let which = random.below(plan.servers.len());
    let server = &mut plan.servers[which];
    match random.below(13) {
        0..=2 => {
            let limit = random.below(server.limits.len());
            let number = &mut server.limits[limit].1;
            *number = random
                .one_of(&[*number / 2 + 2, *number + 5, *number * 3 / 4 + 1])
                .min(600);
        }
        3 => {
            let zone = random.below(plan.zones.len());
            plan.zones[zone].size_m = 1 + random.below(3);
        }
        4 | 5 => match plan.servers.iter().position(|it| it.name == "extra") {
            Some(which) => drop(plan.servers.remove(which)),
            None => plan.servers.insert(random.below(4), extra()),
        },
        6 => server.action = random.one_of(&ACTIONS),
        7 => {
            if server.exempt.pop().is_none() {
                server.exempt.push(network(random.one_of(&NETWORKS)));
            }
        }
        8 => server.dry_run = !server.dry_run,
        9 => {
            let zone = plan.zones.iter_mut().find(|it| it.name == "mixed");
            let all = [
                By::ServerName,
                By::ServerPort,
                By::ClientAndServer,
                By::Client,
            ];
            zone.expect("it is in every policy").by = random.one_of(&all);
        }
        10 => {
            let mode = random.one_of(&["auto", "native", "generic"]);
            let all = [
                vec![],
                vec![("veth0", mode)],
                vec![("veth0", mode), ("lo", "auto")],
            ];
            plan.interfaces = all[random.below(all.len())].clone();
        }
        11 => {
            let max_conns = 3 + random.below(9);
            for upstream in &mut plan.upstreams {
                for server in &mut upstream.servers {
                    server.1 = u32::try_from(max_conns).expect("a small number");
                }
            }
        }
        _ => match plan.upstreams.iter_mut().find(|it| it.name == "backend") {
            Some(_) if random.once_in(4) => plan.upstreams.clear(),
            Some(backend) => backend.queue = backend.queue.xor(Some(20)),
            None => plan.upstreams = upstreams(),
        },
    }
}

/// Networks of clients.
pub const NETWORKS: [&str; 4] = [
    "10.1.1.0/24",
    "10.1.2.0/24",
    "127.0.1.0/30",
    "fd00:1::4/126",
];

/// A network from its text.
pub fn network(text: &str) -> IpNet {
    text.parse().expect("literal")
}

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("literal")
}
