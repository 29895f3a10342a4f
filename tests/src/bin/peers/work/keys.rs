//! Many clients with a connection each, and what one more connection, or one that is refused, costs
//! then.

use std::time::Duration;

use anyhow::Result;
use tests::settle::PATIENCE;

use super::{accept::closed_loop, accepted_with, refused_with};
use crate::{
    crowd::{Forged, Queues},
    flood,
    load::Load,
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "keys";

/// What there are so many of.
pub const OF: &str = "clients";
/// Clients that are tried.
pub const NUMBERS: [u32; 4] = [10, 1_000, 100_000, 1_000_000];

/// One turn of one system.
pub fn run(system: System, turn: Duration, results: &mut Results) -> Result<()> {
    if system.is_proxy() {
        // It would need a descriptor for either side of a million connections.
        return Ok(());
    }
    NUMBERS
        .into_iter()
        .try_for_each(|keys| with(system, keys, turn, results))
}

fn with(system: System, keys: u32, turn: Duration, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let rules = Rules::limit(1).table(1_200_000);
    let running = Running::start(&scene, system, rules)?;
    let _queues = Queues::open(&scene);
    let crowd = Forged::connect(&scene, keys);
    // Each of them comes so seldom that none has two connections.
    let load = Load {
        from: (1..60_000).map(client).collect(),
        to: served(),
        together: 32,
        patience: PATIENCE,
    };
    let cost = closed_loop(&scene, &running, &load, turn, false)?;
    let what = accepted_with(keys, OF);
    results.add(WORK, &what, "us", system, cost.cpu_us);
    if system != System::None {
        let mut sender = flood::sender(&scene, &crowd.some(65_536))?;
        let syn = flood::cost_ns(&scene, &mut sender, turn / 2)?;
        let what = refused_with(keys, OF);
        results.add(WORK, &what, "ns", system, syn);
    }
    Ok(())
}
