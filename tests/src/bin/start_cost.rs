//! How long the daemon takes until it is ready: `cargo xtask bench start`.
//!
//! Three ways to begin, each with nobody there and with a crowd: from nothing, with what a killed one
//! has left, and beside what cannot be taken over (its record is removed). The crowd are forged clients
//! behind a TUN device, the connections that the kernel makes for them are real; the namespace has
//! nothing else in it, but the daemon looks at every other namespace of the machine as well.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World,
    figures::{Millis, println},
    settle,
    tun::Tun,
};

#[derive(Parser)]
#[command(
    about = "How long the daemon takes until it is ready",
    max_term_width = 100
)]
struct Args {
    /// Rounds; each begins in all three ways
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Connections of each of the six servers in the crowd
    #[arg(long, default_value_t = 8_334, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    each: u16,
}

const SERVERS: [&str; 6] = [
    "10.0.0.1:8000",
    "10.0.0.1:8001",
    "10.0.0.1:8002",
    "10.0.0.1:8003",
    "10.0.0.1:8004",
    "10.0.0.1:8005",
];
const FLAGS: [&str; 4] = ["--listen", "8000-8005", "--limit", "60000"];
const ZONE: &str = "addr";
const WAYS: [&str; 3] = ["from nothing", "takes over", "beside"];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs and makes a network namespace: run it as root"
    );
    let world = World::new();
    let tun = Tun::new(&world.netns, [10, 0, 0, 1].into(), 8);
    // Nobody accepts, so no process needs so many descriptors.
    let options = ["--paused", "--backlog", "16384"];
    let _servers = Server::start_in(&world, Some(&world.cgroup), &SERVERS, &options);
    let alone = measure(&world, args.rounds, 0)?;
    for server in SERVERS {
        tun.connect_each(args.each, server.parse()?);
    }
    let crowd = u64::from(args.each) * 6;
    let crowded = measure(&world, args.rounds, crowd)?;
    println(&format!(
        "| begins | nobody there, ms | {crowd} connections, ms | ratio |\n\
         | --- | ---: | ---: | ---: |"
    ));
    for ((way, alone), crowded) in WAYS.iter().zip(alone).zip(crowded) {
        let (alone, crowded) = (Millis::of(alone), Millis::of(crowded));
        let ratio = crowded.median / alone.median;
        let row = [alone, crowded].map(|it| {
            let Millis {
                least,
                median,
                most,
            } = it;
            format!("{median:.0} ({least:.0} to {most:.0})")
        });
        println(&format!("| {way} | {} | {ratio:.2} |", row.join(" | ")));
    }
    Ok(())
}

/// Times until ready, by way.
fn measure(world: &World, rounds: u16, crowd: u64) -> Result<[Vec<Duration>; 3]> {
    let mut times = [const { Vec::new() }; 3];
    for round in 0..rounds {
        eprintln!("{crowd} connections, round {}", round + 1);
        let mut begin = |way: usize| {
            let before = Instant::now();
            let limiter = Limiter::start(world, &FLAGS);
            times[way].push(before.elapsed());
            settle("the crowd", crowd, || limiter.zone(ZONE).connections);
            limiter
        };
        begin(0).end(Signal::SIGKILL);
        let limiter = begin(1);
        let pinned = limiter.status().pinned;
        let pinned = PathBuf::from(pinned.context("find where the maps are pinned")?);
        limiter.end(Signal::SIGKILL);
        fs::remove_file(pinned.join("maps/RECORD")).context("remove the record")?;
        begin(2).end(Signal::SIGTERM);
    }
    Ok(times)
}
