//! What a connection and a key take of memory, in the kernel and in processes.

use std::{fs, net::IpAddr, thread, time::Duration};

use anyhow::{Context as _, Result};
use tests::{settle::PATIENCE, usage::Usage};

use crate::{
    burst,
    crowd::{Forged, OneClient, Queues},
    results::Results,
    scene::{Scene, client, served},
    system::{Rules, Running, System},
};

const WORK: &str = "memory";

/// Clients with a connection each, and connections of one client, where nobody need accept.
const QUEUED: (u32, u32) = (100_000, 30_000);
/// Either of them through a proxy, which has few descriptors.
const ACCEPTED: u16 = 4_000;
/// The one client.
const CLIENT: u16 = 7;
/// Clients that there is room for; and twice as many.
const TABLE: u32 = 163_840;

/// One turn of one system.
pub fn run(system: System, results: &mut Results) -> Result<()> {
    if system == System::None {
        return Ok(());
    }
    let (many, one) = if system.is_proxy() {
        let many = (1..=ACCEPTED).map(client).collect();
        let one = vec![client(CLIENT); ACCEPTED.into()];
        (Clients::Accepted(many), Clients::Accepted(one))
    } else {
        (Clients::Forged(QUEUED.0), Clients::One(QUEUED.1))
    };
    let (none_of_many, of_many) = (take(System::None, &many)?, take(system, &many)?);
    let (none_of_one, of_one) = (take(System::None, &one)?, take(system, &one)?);
    let connection = of_one.connection - none_of_one.connection;
    // A client with one connection, less the connection.
    let key = of_many.connection - none_of_many.connection - connection;
    let table = if system.is_limiter() {
        let (single, double) = (room(system, TABLE)?, room(system, 2 * TABLE)?);
        (double - single) / f64::from(TABLE)
    } else {
        0.0
    };
    results.add(WORK, "a connection", "bytes", system, connection);
    if !system.is_proxy() {
        // A proxy has made its table beforehand, and of 4 000 keys nothing shows.
        results.add(WORK, "a key", "bytes", system, key + table);
    }
    let user = of_many.processes / f64::from(1 << 20);
    results.add(
        WORK,
        "processes, before anybody connects",
        "MiB",
        system,
        user,
    );
    Ok(())
}

/// Who comes.
enum Clients {
    /// These, a connection each, which is accepted.
    Accepted(Vec<IpAddr>),
    /// So many, with a connection each that nobody accepts.
    Forged(u32),
    /// One, with so many that nobody accepts.
    One(u32),
}

/// What a system takes, bytes.
struct Taken {
    /// One more connection: memory of the kernel and of processes.
    connection: f64,
    /// Processes, before anybody connects.
    processes: f64,
}

fn take(system: System, clients: &Clients) -> Result<Taken> {
    let scene = Scene::set(system)?;
    let queues = Queues::open(&scene);
    let running = Running::start(&scene, system, Rules::limit(60_000).table(TABLE))?;
    let before = bytes(&scene, &running)?;
    let processes = resident(&running.processes());
    let (after, count) = match clients {
        Clients::Accepted(from) => {
            let held = hold(&scene, from)?;
            let after = bytes(&scene, &running)?;
            burst::leave(held);
            (after, from.len() as u32)
        }
        Clients::Forged(count) => {
            let _crowd = Forged::connect(&scene, *count);
            (bytes(&scene, &running)?, *count)
        }
        Clients::One(count) => {
            let _crowd = OneClient::connect(&scene, client(CLIENT), *count)?;
            (bytes(&scene, &running)?, *count)
        }
    };
    drop(queues);
    Ok(Taken {
        connection: (after - before) / f64::from(count),
        processes,
    })
}

fn hold(scene: &Scene, from: &[IpAddr]) -> Result<Vec<Option<std::net::TcpStream>>> {
    let to = served();
    let pairs: Vec<_> = (0..)
        .zip(from)
        .map(|(at, from): (usize, _)| (*from, to[at % to.len()]))
        .collect();
    let connect = || burst::connect(&pairs, PATIENCE);
    scene.cable().clients().run(connect)
}

/// What the kernel takes for a table of this size, and all else that is there from the start.
fn room(system: System, table: u32) -> Result<f64> {
    let scene = Scene::set(system)?;
    let before = kernel()?;
    let running = Running::start(&scene, system, Rules::limit(10).table(table))?;
    thread::sleep(Duration::from_millis(500));
    let after = kernel()?;
    drop(running);
    Ok(after - before)
}

fn bytes(scene: &Scene, running: &Running) -> Result<f64> {
    // What is freed is freed after a grace period.
    thread::sleep(Duration::from_secs(1));
    let mut processes = running.processes();
    processes.push(scene.server());
    Ok(kernel()? + resident(&processes))
}

/// Bytes that the kernel has taken for itself: objects, large areas, and those of each CPU.
fn kernel() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let kib = |name: &str| -> Result<f64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        value.with_context(|| format!("find {name} in /proc/meminfo"))
    };
    Ok((kib("SUnreclaim")? + kib("VmallocUsed")? + kib("Percpu")?) * 1_024.0)
}

fn resident(processes: &[u32]) -> f64 {
    let memory = processes.iter().map(|id| Usage::of(*id).memory_bytes);
    memory.sum::<u64>() as f64
}
