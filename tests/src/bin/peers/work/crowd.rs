//! One client with many connections, and what one more, or one that is refused, costs then.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tests::{client as connection, cpu::Cpu, settle::PATIENCE, syn_flood::RawSocket};

use super::{Turn, accept::closed_loop, accepted_with, refuse, refused_with};
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
const PAUSE: Duration = Duration::from_millis(5);

/// Its turns. All crowds stand at the same time and are measured one after the other, so that what
/// disturbs the machine is no difference between them.
pub fn stand(system: System, turn: Duration) -> Result<Turn> {
    if system.is_proxy() {
        // It has a descriptor for either side of each connection, and not so many.
        return Ok(Box::new(|_| Ok(())));
    }
    let stand = |connections| Stand::set(system, connections);
    let mut stands = NUMBERS.into_iter().map(stand).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |results| {
        for stand in &mut stands {
            stand.measure(turn, results)?;
        }
        // None of them is always the first.
        stands.rotate_left(1);
        Ok(())
    }))
}

/// One crowd. What is dropped first stands first.
struct Stand {
    sender: RawSocket,
    _crowd: OneClient,
    _queues: Queues,
    running: Running,
    scene: Arc<Scene>,
    connections: u32,
}

impl Stand {
    fn set(system: System, connections: u32) -> Result<Self> {
        let scene = Scene::set(system)?;
        let running = Running::start(&scene, system, Rules::limit(connections + MORE))?;
        let queues = Queues::open(&scene);
        let crowd = OneClient::connect(&scene, client(CLIENT), connections)?;
        Ok(Self {
            sender: flood::sender(&scene, &[client(CLIENT)])?,
            _crowd: crowd,
            _queues: queues,
            running,
            scene,
            connections,
        })
    }

    fn measure(&mut self, turn: Duration, results: &mut Results) -> Result<()> {
        let Self {
            sender,
            running,
            scene,
            connections,
            ..
        } = self;
        let (system, connections) = (running.system(), *connections);
        let load = Load {
            from: vec![client(CLIENT)],
            to: served(),
            together: 32,
            patience: PATIENCE,
        };
        let cost = closed_loop(scene, running, &load, turn, false)?;
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
            let held = refuse::hold(scene, CLIENT, MORE as usize)?;
            let syn = flood::cost_ns(scene, sender, turn / 2)?;
            let what = refused_with(connections, OF);
            results.add(WORK, &what, "ns", system, syn);
            burst::leave(held);
        }
        Ok(())
    }
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
