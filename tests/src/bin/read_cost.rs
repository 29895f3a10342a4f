//! What it costs to look into the daemon: `cargo xtask bench read`.
//!
//! A crowd of forged clients behind a TUN device, with real connections, as many keys. Daemons adopt
//! it one after the other: the one that was built, and others, to compare. Each is asked for its keys
//! again and again, and at the same time somebody else asks for its status: how long that takes says
//! whether one request holds up another.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;
use nix::sys::signal::Signal;
use tests::{
    Limiter, Server, World,
    figures::{Millis, println},
    settle,
    tun::Tun,
    usage::Usage,
};

#[derive(Parser)]
#[command(about = "What it costs to look into the daemon", max_term_width = 100)]
struct Args {
    /// Clients, each with one connection
    #[arg(long, default_value_t = 160_000, value_parser = clap::value_parser!(u32).range(1..=160_000))]
    clients: u32,
    /// Requests of each kind
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Another limiter, to compare; may be repeated
    #[arg(long, value_name = "PATH")]
    beside: Vec<PathBuf>,
}

/// A backlog holds no more: nobody accepts, so no process needs so many descriptors.
const EACH: u32 = 16_000;
const FIRST_PORT: u16 = 8_000;
const ZONE: &str = "addr";

/// Those that a limiter does not know are left out.
const REQUESTS: [(&str, &str); 5] = [
    ("GET", "/zones/addr?top=10"),
    ("GET", "/zones/addr?top=10&by=rejected"),
    ("GET", "/connections?n=50"),
    ("GET", "/connections?n=20000"),
    ("POST", "/audit"),
];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs and makes a network namespace: run it as root"
    );
    let world = World::new();
    let tun = Tun::new(&world.netns, [10, 0, 0, 1].into(), 8);
    let starts: Vec<u32> = (0..args.clients).step_by(EACH as usize).collect();
    let ports = (FIRST_PORT..).take(starts.len());
    let listen: Vec<String> = ports.map(|port| format!("10.0.0.1:{port}")).collect();
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let options = ["--paused", "--backlog", "16384"];
    let _servers = Server::start_in(&world, Some(&world.cgroup), &listen, &options);
    for (start, server) in starts.iter().zip(&listen) {
        let first = Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 0).to_bits() + start);
        tun.connect_from(first, EACH.min(args.clients - start), server.parse()?);
    }
    println(
        "| limiter | request | alone, ms | of CPU, ms | status meanwhile, ms |\n\
         | --- | --- | ---: | ---: | ---: |",
    );
    let own = (String::from("this one"), Limiter::command(&world, &[]));
    let others = args.beside.iter().map(|path| {
        let name = format!("{} ", path.display());
        (name, Command::new(path))
    });
    let last_port = FIRST_PORT + starts.len() as u16 - 1;
    for (name, command) in others.chain([own]) {
        let mut run = Command::new(command.get_program());
        run.args(["run", "--cgroup"]).arg(world.cgroup.path());
        run.args([
            "--listen",
            &format!("{FIRST_PORT}-{last_port}"),
            "--limit",
            "60000",
        ]);
        let started = Limiter::try_command(&world.netns, &world.control(), run);
        let limiter = match started {
            Ok(limiter) => limiter,
            Err(failed) => anyhow::bail!("{name}: {}", failed.stderr),
        };
        settle("the crowd", u64::from(args.clients), || {
            limiter.zone(ZONE).connections
        });
        for request @ (method, target) in REQUESTS {
            let response = limiter.http(method, target, None);
            if response.status != 200 {
                continue;
            }
            let before = Usage::of(limiter.id()).cpu_time;
            let alone = Millis::of(times(&limiter, request, args.rounds));
            let cpu = (Usage::of(limiter.id()).cpu_time - before) / u32::from(args.rounds);
            let over = AtomicBool::new(false);
            let meanwhile = thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        limiter.http(method, target, None);
                    }
                });
                let times = times(&limiter, ("GET", "/status"), args.rounds);
                over.store(true, Ordering::Relaxed);
                Millis::of(times)
            });
            let [alone, meanwhile] =
                [alone, meanwhile].map(|it| format!("{:.1} (to {:.1})", it.median, it.most));
            println(&format!(
                "| {name} | `{method} {target}` | {alone} | {} | {meanwhile} |",
                cpu.as_millis()
            ));
        }
        limiter.end(Signal::SIGTERM);
    }
    Ok(())
}

fn times(limiter: &Limiter, (method, target): (&str, &str), rounds: u16) -> Vec<Duration> {
    let time = |_| {
        let before = Instant::now();
        limiter.http(method, target, None);
        before.elapsed()
    };
    (0..rounds).map(time).collect()
}
