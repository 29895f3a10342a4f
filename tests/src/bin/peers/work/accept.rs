//! Short connections under the limit: each connects, is greeted, and leaves. Clients, server and proxy
//! share one CPU.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{
    cpu::{self, Cpu},
    settle::PATIENCE,
};

use super::Turn;
use crate::{
    load::{self, Load, Until},
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "accept";

/// Clients, each far below its limit.
const CLIENTS: u16 = 64;

/// Its turns.
pub fn stand(system: System, turn: Duration) -> Result<Turn> {
    let scene = Scene::set(system)?;
    let running = Running::start(&scene, system, Rules::limit(1_000))?;
    let load = Load {
        from: (1..=CLIENTS).map(client).collect(),
        to: served(),
        together: 32,
        patience: PATIENCE,
    };
    Ok(Box::new(move |results| {
        let cost = closed_loop(&scene, &running, &load, turn, false)?;
        results.add(WORK, "connections", "1/s", system, cost.per_s);
        results.add(WORK, "CPU of a connection", "us", system, cost.cpu_us);
        Ok(())
    }))
}

/// What a connection costs in a closed loop on one CPU.
pub struct Cost {
    /// Connections a second.
    pub per_s: f64,
    /// CPU time of clients, server and proxy for one of them, us.
    pub cpu_us: f64,
}

/// Has clients come and go for a turn, after a short while to warm up; they are let in, or refused.
pub fn closed_loop(
    scene: &Scene,
    running: &Running,
    load: &Load,
    turn: Duration,
    refused: bool,
) -> Result<Cost> {
    let mut processes = vec![scene.server()];
    processes.extend(running.data_processes());
    let shared = Cpu::last()?;
    let done = scene.cable().clients().run(|| {
        scene.share(shared, &processes)?;
        load::run(load, Until::Over(turn / 10))?;
        let before = cpu::time(&processes)?;
        let done = load::run(load, Until::Over(turn))?;
        Ok::<_, anyhow::Error>((done, cpu::time(&processes)? - before))
    });
    let (done, of_others) = done?;
    let (expected, others) = if refused {
        (done.refused, done.greeted)
    } else {
        (done.greeted, done.refused)
    };
    // Nothing that is asked here may go wrong more than by the way: what goes wrong is waited for.
    ensure!(
        others * 100 <= expected && expected > 10,
        "{done:?} of {}",
        running.system().name()
    );
    let connections = expected as f64;
    Ok(Cost {
        per_s: connections / done.time.as_secs_f64(),
        cpu_us: (done.cpu + of_others).as_secs_f64() * 1e6 / connections,
    })
}
