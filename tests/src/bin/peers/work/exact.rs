//! A thousand connections of one client at once, of which ten may be.

use std::{thread, time::Duration};

use anyhow::Result;

use crate::{
    burst,
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "exactness";
const LIMIT: usize = 10;
const TOGETHER: usize = 1_000;
const BURSTS: usize = 20;

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let rules = Rules {
        workers: 2,
        ..Rules::limit(LIMIT as u32)
    };
    let _running = Running::start(&scene, system, rules)?;
    let to = served();
    let pairs: Vec<_> = (0..TOGETHER)
        .map(|at| (client(5), to[at % to.len()]))
        .collect();
    let (mut most, mut wrongly) = (0, 0);
    for _ in 0..BURSTS {
        let connect = || burst::connect(&pairs, Duration::from_millis(500));
        let streams = scene.cable().clients().run(connect)?;
        let open = burst::count(&streams);
        most = most.max(open);
        wrongly += LIMIT.saturating_sub(open);
        burst::leave(streams);
        // A proxy closes its side after a while.
        thread::sleep(Duration::from_millis(100));
    }
    results.add_count(WORK, "most ever established, of 10", system, most);
    results.add_count(
        WORK,
        "wrongly refused in 20 bursts, of 200",
        system,
        wrongly,
    );
    Ok(())
}
