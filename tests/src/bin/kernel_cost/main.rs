//! What the programs cost in the kernel: `cargo xtask bench kernel`.
//!
//! The real programs are attached to a cgroup made for this, in a network namespace made for this.
//! Clients are forged: their addresses lie behind a TUN device that we hold, so that they need no
//! sockets and the kernel does not answer in their place. The server side is real: listeners, and
//! the connections that the kernel makes for them.
//!
//! The program on an interface is run on frames that are no packets. What it is worth is measured at
//! last, with a flood from another namespace.
//!
//! | room | holds |
//! |---|---|
//! | [`scene`] | namespace, cgroup, listeners, the attached limiter |
//! | [`client`], [`keys`] | forged handshakes, and whose they are |
//! | [`bpf`] | the empty programs, and the switch of bpf_stats |
//! | [`runs`] | run counts and run times of the programs |
//! | [`kinds`] | the kinds of work that are measured |
//! | [`work`] | on a cgroup, by bpf_stats |
//! | [`xdp`] | on an interface, by PROG_TEST_RUN |
//! | [`pairs`], [`renewal`] | what is run there, and on ever new attempts |
//! | [`frames`] | the frames, and where their fields stand |
//! | [`cables`] | programs that are attached to devices without traffic |
//! | [`flood`], [`sender`] | SYNs per second through a cable |
//! | [`figure`] | from samples to figures |
//! | [`report`] | the table and the JSON |

mod bpf;
mod cables;
mod client;
mod figure;
mod flood;
mod frames;
mod keys;
mod kinds;
mod pairs;
mod renewal;
mod report;
mod runs;
mod scene;
mod sender;
mod work;
mod xdp;

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use clap::Parser;
use tests::hardware::Hardware;

use self::{
    client::{Client, Peer},
    keys::Keys,
    report::{Column, Report},
    scene::{LIMITED_PORT, Listener, Scene},
    work::Bench,
};

#[derive(Parser)]
#[command(
    about = "What the programs cost per packet, per connection, and under a flood",
    max_term_width = 100
)]
struct Args {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Live keys of the widest scenario
    #[arg(long, default_value_t = 160_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    keys: u32,
    /// Connections of the one key of the deepest scenario
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u16).range(1..=25_000))]
    connections: u16,
    /// Samples of each kind of work in each scenario
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    samples: u32,
}

/// So many keys with so many connections each are open while the work is measured.
struct Scenario {
    keys: u32,
    connections: u16,
}

impl Scenario {
    fn name(&self) -> String {
        match (self.keys, self.connections) {
            (1, 1) => "1 key, 1 connection".to_owned(),
            (1, connections) => format!("1 key, {connections} connections"),
            (keys, _) => format!("{keys} keys"),
        }
    }

    /// Client addresses and ports, never those of [`work`].
    fn peers(&self) -> impl Iterator<Item = Peer> {
        (0..self.keys).flat_map(|key| {
            (0..self.connections).map(move |connection| Peer {
                addr: held_key(key),
                port: client::HELD_PORTS.start + connection,
            })
        })
    }
}

/// The address of the key with this number among those that stay open.
fn held_key(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 0).to_bits() + number)
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs and makes a network namespace: run it as root"
    );
    let scenarios = [
        Scenario {
            keys: 10,
            connections: 1,
        },
        Scenario {
            keys: args.keys,
            connections: 1,
        },
        Scenario {
            keys: 1,
            connections: 1,
        },
        Scenario {
            keys: 1,
            connections: args.connections,
        },
    ];
    let scene = Scene::set()?;
    let mut client = Client::new(scene.tun());
    let mut columns = Vec::new();
    for scenario in scenarios {
        eprintln!("measuring: {}", scenario.name());
        columns.push(measure(&scene, &mut client, &scenario, args.samples)?);
    }
    drop(client);
    drop(scene);
    eprintln!("measuring: floods");
    let floods = flood::measure()?;
    Report {
        machine: Hardware::here()?,
        columns,
        floods,
    }
    .print(args.json)
}

fn measure(
    scene: &Scene,
    client: &mut Client,
    scenario: &Scenario,
    samples: u32,
) -> Result<Column> {
    let listener = Listener::open(LIMITED_PORT)?;
    let mut held = Vec::new();
    for peer in scenario.peers() {
        held.push(client.connect(peer, LIMITED_PORT)?);
    }
    let keys = scene.live_keys()?;
    ensure!(
        keys == u64::from(scenario.keys),
        "{keys} live keys instead of {}",
        scenario.keys
    );
    let mut keys = Keys::new(&held);
    let mut figures = Bench::new(scene, client, &mut keys, samples)?.all()?;
    figures.extend(xdp::measure(scene, client, &mut keys, samples)?);
    for connection in &held {
        client.reset(connection);
    }
    drop(listener);
    let keys = scene.live_keys()?;
    ensure!(keys == 0, "{keys} live keys after every connection closed");
    Ok(Column {
        name: scenario.name(),
        figures,
    })
}
