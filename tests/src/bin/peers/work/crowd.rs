//! One client with many connections, and what one more, or one that is refused, costs then.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tests::{client as connection, cpu::Cpu, settle::PATIENCE};

use super::{accept::closed_loop, accepted_with, refuse, refused_with};
use crate::{
    burst,
    crowd::{OneClient, Queues},
    flood,
    load::Load,
    results::{Results, grouped},
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "crowd";

/// What there are so many of.
pub const OF: &str = "open";
/// Connections that are tried.
pub const NUMBERS: [u32; 4] = [1, 1_000, 10_000, 30_000];
/// Connections that it may have besides.
const MORE: u32 = 64;
/// Its number.
const CLIENT: u16 = 7;
/// Paced connections, and the time between two of them.
const PACED: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// One turn of one system.
pub fn run(system: System, turn: Duration, results: &mut Results) -> Result<()> {
    if system.is_proxy() {
        // It has a descriptor for either side of each connection, and not so many.
        return Ok(());
    }
    NUMBERS
        .into_iter()
        .try_for_each(|connections| with(system, connections, turn, results))
}

fn with(system: System, connections: u32, turn: Duration, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let running = Running::start(&scene, system, Rules::limit(connections + MORE))?;
    let _queues = Queues::open(&scene);
    let _crowd = OneClient::connect(&scene, client(CLIENT), connections)?;
    let load = Load {
        from: vec![client(CLIENT)],
        to: served(),
        together: 32,
        patience: PATIENCE,
    };
    let cost = closed_loop(&scene, &running, &load, turn, false)?;
    let what = accepted_with(connections, OF);
    results.add(WORK, &what, "us", system, cost.cpu_us);
    let mut times = scene.cable().clients().run(paced)?;
    times.sort_unstable();
    for (name, part) in [("p50", 50), ("p99", 99)] {
        let time = times[times.len() * part / 100].as_secs_f64() * 1e6;
        let number = grouped(connections.into());
        let what = format!("{name} of a paced connection with {number} {OF}");
        results.add(WORK, &what, "us", system, time);
    }
    if system != System::None {
        let held = refuse::hold(&scene, CLIENT, MORE as usize)?;
        let mut sender = flood::sender(&scene, &[client(CLIENT)])?;
        let syn = flood::cost_ns(&scene, &mut sender, turn / 2)?;
        let what = refused_with(connections, OF);
        results.add(WORK, &what, "ns", system, syn);
        burst::leave(held);
    }
    Ok(())
}

/// Times to connect.
fn paced() -> Result<Vec<Duration>> {
    Cpu::last()?.pin_self()?;
    let to = served();
    (0..PACED as usize)
        .map(|at| {
            thread::sleep(PAUSE);
            let begin = Instant::now();
            let stream = connection::connect_here(client(CLIENT), to[at % to.len()], PATIENCE)?;
            let time = begin.elapsed();
            connection::reset(stream)?;
            Ok(time)
        })
        .collect::<std::io::Result<_>>()
        .context("a paced connection")
}
