//! What the daemon costs while more events are offered than anybody can read: `cargo xtask bench events`.

use std::{process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use clap::Parser;
use tests::{
    Limiter, Server, World, event_load as load, figures::println, limiter, settle, tun::Tun,
    usage::Usage,
};

#[derive(Parser)]
#[command(
    about = "What the daemon costs under a flood of events",
    max_term_width = 100
)]
struct Args {
    /// Seconds of each load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

const SERVER: &str = "10.0.0.1:8080";
const ZONE: &str = "addr";

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs and makes a network namespace: run it as root"
    );
    println(
        "| readers | offered/s | sent/s | lost | suppressed/s | CPU of a core, % | memory, MiB |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    );
    for readers in [0, 1, 10] {
        println(&measure(readers, Duration::from_secs(args.seconds))?);
    }
    Ok(())
}

/// One line of the table.
fn measure(readers: usize, time: Duration) -> Result<String> {
    let world = World::new();
    let tun = Tun::new(&world.netns, [10, 0, 0, 1].into(), 8);
    // Nobody accepts, so no process needs so many descriptors.
    let options = ["--paused", "--backlog", "16384"];
    let server = Server::start(&world, &[SERVER], &options);
    let limiter = Limiter::start(&world, &["--listen", "8080", "--limit", "1"]);
    load::fill(&tun, server.address());
    settle("connections", u64::from(load::CLIENTS), || {
        limiter.zone(ZONE).connections
    });
    let subscribe = |_| {
        let mut command = limiter::command();
        command.args(["events", "--json", "--control"]);
        command.arg(limiter.control()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn()
    };
    let mut subscribers = (0..readers).map(subscribe).collect::<Result<Vec<_>, _>>()?;
    let before = Usage::of(limiter.id());
    let load = load::refused(&tun, server.address(), time);
    let after = Usage::of(limiter.id());
    for subscriber in &mut subscribers {
        subscriber.kill()?;
        subscriber.wait()?;
    }
    let events = limiter.status().events;
    ensure!(
        events.sent + events.lost + events.suppressed == load.offered,
        "{events:?} of {load:?}"
    );
    let seconds = load.time.as_secs_f64();
    let cpu = (after.cpu_time - before.cpu_time).as_secs_f64() / seconds;
    Ok(format!(
        "| {readers} | {:.0} | {:.0} | {} | {:.0} | {:.1} | {:.1} |",
        load.offered as f64 / seconds,
        events.sent as f64 / seconds,
        events.lost,
        events.suppressed as f64 / seconds,
        cpu * 100.0,
        after.memory_bytes as f64 / f64::from(1 << 20),
    ))
}
