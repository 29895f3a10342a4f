//! A flood of SYNs of clients at their limit, and what one of them costs.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    cpu::{self, Cpu},
    mib,
    syn_flood::RawSocket,
    veth,
};

use crate::scene::{FIRST_PORT, SERVER, Scene};

/// What a SYN costs, sending included, ns of CPU: sender and receiver share one, and the receiver is
/// done with a frame before the next is sent (a veth hands it over at once). Median of parts of the
/// turn.
pub fn cost_ns(scene: &Scene, sender: &mut RawSocket, turn: Duration) -> Result<f64> {
    let errors = || mib::counter(&scene.world.netns, "Tcp", "InCsumErrors");
    let before = errors();
    let costs = scene.cable().clients().run(|| {
        Cpu::last()?.pin_self()?;
        let begin = Instant::now();
        let mut costs = Vec::new();
        // The first of all make limiter known on the interface that SYNs are refused.
        sender.call().context("send SYNs")?;
        while begin.elapsed() < turn || costs.len() < LEAST {
            let cpu = cpu::own_time();
            let sent = sender.burst().context("send SYNs")?;
            let cpu = cpu::own_time() - cpu;
            costs.push(cpu.as_secs_f64() * 1e9 / f64::from(sent));
        }
        Ok::<_, anyhow::Error>(costs)
    });
    let mut costs = costs?;
    ensure!(errors() == before, "SYNs with wrong checksums");
    costs.sort_by(f64::total_cmp);
    Ok(costs[costs.len() / 2])
}

/// Parts of a turn at the least: there are systems that take a tenth of a second for one.
const LEAST: usize = 3;

/// A sender of new attempts from each of these clients in turn.
pub fn sender(scene: &Scene, clients: &[IpAddr]) -> Result<RawSocket> {
    let to = (SERVER, FIRST_PORT).into();
    scene
        .cable()
        .clients()
        .run(|| RawSocket::from_each(veth::CLIENTS, clients.iter().copied(), to))
        .context("open a raw socket")
}
