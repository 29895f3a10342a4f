//! An open connection: request and response, and as much as there can be in one direction. Client,
//! server and proxy share one CPU.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tests::{client::open_here, cpu::Cpu, settle::PATIENCE};

use super::Turn;
use crate::{
    scene::{Scene, client, served},
    server::SINK,
    system::{Rules, Running, System},
};

const WORK: &str = "data";

/// Its turns.
pub fn stand(system: System, turn: Duration) -> Result<Turn> {
    let scene = Scene::set(system)?;
    let running = Running::start(&scene, system, Rules::limit(100))?;
    let processes = running.data_processes();
    Ok(Box::new(move |results| {
        let running = &running;
        let (mut times, gbit_per_s) = scene.cable().clients().run(|| {
            scene.share(Cpu::last()?, &processes)?;
            let open = || open_here(client(5), served()[0], PATIENCE).context("connect");
            Ok::<_, anyhow::Error>((round_trips(open()?, turn)?, bulk(open()?, turn)?))
        })?;
        times.sort_unstable();
        let total: Duration = times.iter().sum();
        let per_s = times.len() as f64 / total.as_secs_f64();
        let p99 = times[times.len() * 99 / 100].as_secs_f64() * 1e6;
        let system = running.system();
        results.add(WORK, "round trips", "1/s", system, per_s);
        results.add(WORK, "round trip, p99", "us", system, p99);
        results.add(WORK, "bulk", "Gbit/s", system, gbit_per_s);
        Ok(())
    }))
}

fn round_trips(mut stream: TcpStream, turn: Duration) -> Result<Vec<Duration>> {
    stream.set_nodelay(true)?;
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut before = begin;
    while before - begin < turn {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        let now = Instant::now();
        times.push(now - before);
        before = now;
    }
    Ok(times)
}

fn bulk(mut stream: TcpStream, turn: Duration) -> Result<f64> {
    let bytes = vec![SINK; 1 << 17];
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < turn {
        stream.write_all(&bytes)?;
        sent += bytes.len();
    }
    Ok(sent as f64 * 8.0 / 1e9 / begin.elapsed().as_secs_f64())
}
