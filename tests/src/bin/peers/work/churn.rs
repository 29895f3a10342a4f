//! One client that never has more than six connections, of ten that it may have, and closes and opens
//! them as fast as it can.

use std::time::Duration;

use anyhow::Result;

use crate::{
    load::{self, Load, Until},
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "churn";
const TOGETHER: usize = 6;
/// Attempts.
const ATTEMPTS: u64 = 20_000;
/// A SYN that is not answered after this is taken for dropped. It takes a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_millis(30);

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let _running = Running::start(&scene, system, Rules::limit(10))?;
    let load = Load {
        from: vec![client(5)],
        to: served(),
        together: TOGETHER,
        patience: PATIENCE,
    };
    let done = scene
        .cable()
        .clients()
        .run(|| load::run(&load, Until::Tried(ATTEMPTS)))?;
    let what = "wrongly refused of 20 000";
    results.add_count(WORK, what, system, done.refused as usize);
    Ok(())
}
