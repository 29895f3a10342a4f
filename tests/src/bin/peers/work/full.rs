//! More clients than the table holds: 1 024 of them, and room for 512. Each tries to have three
//! connections and may have two.

use std::time::Duration;

use anyhow::Result;

use crate::{
    burst,
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "full table";
const CLIENTS: u16 = 1_024;
const TABLE: u32 = 512;
const LIMIT: u32 = 2;
const WAVES: usize = 3;

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    if system == System::Iptables {
        // Its table grows.
        return Ok(());
    }
    let scene = Scene::set(system)?;
    let _running = Running::start(&scene, system, Rules::limit(LIMIT).table(TABLE))?;
    let to = served();
    let mut waves = Vec::new();
    for _ in 0..WAVES {
        let pairs: Vec<_> = (0..CLIENTS)
            .map(|number| (client(number + 1), to[usize::from(number) % to.len()]))
            .collect();
        let connect = || burst::connect(&pairs, Duration::from_millis(800));
        waves.push(scene.cable().clients().run(connect)?);
    }
    let (mut too_many, mut too_few) = (0, 0);
    for number in 0..usize::from(CLIENTS) {
        let has = waves.iter().filter(|wave| wave[number].is_some()).count();
        too_many += has.saturating_sub(LIMIT as usize);
        too_few += (LIMIT as usize).saturating_sub(has);
    }
    waves.into_iter().for_each(burst::leave);
    results.add_count(WORK, "let in beyond the limit, of 1 024", system, too_many);
    results.add_count(WORK, "refused within the limit, of 2 048", system, too_few);
    Ok(())
}
