//! How long it takes until the limit holds, and what becomes of connections while rules are read
//! again.

use std::{
    io::{ErrorKind, Read},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::refuse::hold;
use crate::{
    burst,
    load::{self, Load, Until},
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "start, reload";
const LIMIT: usize = 10;
const RELOADS: u32 = 10;

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    if system == System::None {
        return Ok(());
    }
    start(system, results)?;
    reload(system, results)
}

/// Attempts of one client begin before the system does: one more than it may have, again and again.
fn start(system: System, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let (running, enforced) = thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let from = client(5);
            let pairs: Vec<_> = served().iter().map(|to| (from, *to)).collect();
            let pairs = &pairs[..=LIMIT];
            scene.cable().clients().run(|| {
                while !stop.load(Ordering::Relaxed) {
                    let begun = begin.elapsed();
                    let streams = burst::connect(pairs, Duration::from_millis(20))?;
                    let open = burst::count(&streams);
                    burst::leave(streams);
                    thread::sleep(Duration::from_millis(1));
                    if (1..=LIMIT).contains(&open) {
                        return Ok(Some(begun));
                    }
                }
                Ok::<_, anyhow::Error>(None)
            })
        });
        let running = Running::start(&scene, system, Rules::limit(LIMIT as u32));
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        (running, probe.join().expect("the probe ends"))
    });
    drop(running?);
    let enforced = enforced?;
    ensure!(enforced.is_some(), "{} does not refuse", system.name());
    let ms = enforced.unwrap_or_default().as_secs_f64() * 1e3;
    results.add(WORK, "start until enforced", "ms", system, ms);
    Ok(())
}

fn reload(system: System, results: &mut Results) -> Result<()> {
    let scene = Scene::set(system)?;
    let rules = Rules::limit(LIMIT as u32);
    let running = Running::start(&scene, system, rules)?;
    let mut held = hold(&scene, 5, LIMIT)?;
    let load = Load {
        from: (100..1_000).map(client).collect(),
        to: served(),
        together: 8,
        patience: Duration::from_millis(900),
    };
    let time = Duration::from_millis(450) * RELOADS;
    let others = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let clients = scene.cable().clients();
            clients.run(|| load::run(&load, Until::Over(time)))
        });
        for _ in 0..RELOADS {
            running.reload(rules)?;
            thread::sleep(Duration::from_millis(250));
        }
        others.join().expect("the load ends")
    })?;
    let lost = held.iter_mut().flatten().filter(|stream| {
        // The read ends at once: the socket does not block.
        let mut stream: &std::net::TcpStream = stream;
        !matches!(stream.read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
    });
    let lost = lost.count();
    let pairs: Vec<_> = served().iter().map(|to| (client(5), *to)).collect();
    let connect = || burst::connect(&pairs[..LIMIT], Duration::from_millis(500));
    let more = scene.cable().clients().run(connect)?;
    let let_in = burst::count(&more);
    burst::leave(more.into_iter().chain(held));
    results.add_count(WORK, "connections lost in 10 reloads, of 10", system, lost);
    results.add_count(
        WORK,
        "others refused meanwhile",
        system,
        others.refused as usize,
    );
    results.add_count(
        WORK,
        "let in beyond the limit after it, of 10",
        system,
        let_in,
    );
    Ok(())
}
