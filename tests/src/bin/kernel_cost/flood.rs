//! Refused SYNs per second, through a cable, beside a program that drops everything.
//!
//! A veth pair leads from a sender to the server, which has a client at its limit, and the driver
//! runs the XDP program at the server's end. The limiter's program and the others have turns of a
//! fraction of a second there.

use std::{
    process,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use limiter_common::names::PROGRAM_XDP;
use serde::Serialize;
use tests::{
    client, frame,
    link::{self, XdpMode},
    mib,
    packet::Flow,
    settle::PATIENCE,
    syn_flood::{Attempts, RawSocket, random_u32, renewable_syn},
    test_run::Program,
    veth::{self, Veth},
    xdp::{self, Verdict},
};

use super::{
    cables::Cables,
    figure::quantile,
    scene::{FULL_PORT, LIMITED_PORT, Listener, SERVER, Scene},
    sender::{KernelFrames, Sender},
};

/// How often each of the programs has its turn.
const ROUNDS: usize = 9;
/// How long a turn is.
const TURN: Duration = Duration::from_millis(200);

/// Of what a program reaches that drops everything.
const GOAL: f64 = 0.9;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// [`RawSocket`]
    RawSocket,
    /// [`KernelFrames`]
    KernelFrames,
}

/// What one sender reaches, SYNs per second.
#[derive(Clone, Debug, Serialize)]
pub struct Flood {
    /// Who sends.
    pub sender: By,
    /// What is sent.
    pub attempts: Attempts,
    /// With a program that drops everything.
    pub drop_per_s: f64,
    /// With limiter on interface and cgroup.
    pub limiter_per_s: f64,
    /// With limiter on the cgroup alone.
    pub cgroup_per_s: f64,
    /// What limiter on the interface reaches of what the program that drops everything reaches right
    /// before it: median of the rounds.
    pub share: f64,
    /// The least of the rounds.
    pub least_share: f64,
    /// The most of the rounds.
    pub most_share: f64,
    /// What the median should be.
    pub goal_share: Option<f64>,
}

/// All senders, one after another.
pub fn measure() -> Result<Vec<Flood>> {
    let scene = Scene::set()?;
    let cable = Veth::new(scene.netns());
    link::set_mac(scene.netns(), veth::SERVERS, frame::SERVER);
    link::set_mac(cable.clients(), veth::CLIENTS, frame::CLIENT);
    let _listeners = [Listener::open(LIMITED_PORT)?, Listener::open(FULL_PORT)?];
    let client = veth::client(SERVER.into(), 5);
    let _held = cable
        .clients()
        .run(|| client::connect_here(client, (SERVER, LIMITED_PORT).into(), PATIENCE))
        .context("connect through the cable")?;
    let syn = renewable_syn(&Flow {
        client: (client, 30_000).into(),
        server: (SERVER, FULL_PORT).into(),
        isn: random_u32(),
    });
    let ground = Ground {
        scene: &scene,
        cable: &cable,
        limiter: Program::of(process::id(), PROGRAM_XDP),
        drop: xdp::load("bench_drop", &xdp::always(Verdict::Drop)),
        pass: xdp::load("bench_pass", &xdp::always(Verdict::Pass)),
        syn: syn.bytes(),
    };
    let mut floods = Vec::new();
    for by in [By::RawSocket, By::KernelFrames] {
        for attempts in [Attempts::New, Attempts::Repeated] {
            floods.push(ground.flood(by, attempts)?);
        }
    }
    Ok(floods)
}

/// What has its turn at the server's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Drop,
    Limiter,
    Cgroup,
}

struct Ground<'a> {
    scene: &'a Scene,
    cable: &'a Veth,
    limiter: Program,
    drop: Program,
    pass: Program,
    syn: Vec<u8>,
}

impl Ground<'_> {
    fn flood(&self, by: By, attempts: Attempts) -> Result<Flood> {
        let clients = self.cable.clients();
        let (mut sender, cables): (Box<dyn Sender>, _) = match by {
            By::RawSocket => {
                let socket = clients.run(|| RawSocket::new(veth::CLIENTS, &self.syn, attempts))?;
                (Box::new(socket), None)
            }
            By::KernelFrames => {
                let kernel =
                    clients.run(|| KernelFrames::new(veth::CLIENTS, &self.syn, attempts))?;
                let cables = Cables::hold(clients, &[kernel.program()])?;
                (Box::new(kernel), Some(cables))
            }
        };
        let (mut dropped, mut limited) = (Vec::new(), Vec::new());
        let (mut by_cgroup, mut shares) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut rate = |turn| self.turn(turn, by, attempts, &mut *sender);
            let (bare, limiter) = (rate(Turn::Drop)?, rate(Turn::Limiter)?);
            dropped.push(bare);
            limited.push(limiter);
            shares.push(limiter / bare);
            by_cgroup.push(rate(Turn::Cgroup)?);
        }
        drop(cables);
        Ok(Flood {
            sender: by,
            attempts,
            drop_per_s: median(&mut dropped),
            limiter_per_s: median(&mut limited),
            cgroup_per_s: median(&mut by_cgroup),
            share: median(&mut shares),
            least_share: quantile(&shares, 0.0),
            most_share: quantile(&shares, 1.0),
            goal_share: (by == By::RawSocket).then_some(GOAL),
        })
    }

    /// SYNs per second, median of the bursts.
    fn turn(&self, turn: Turn, by: By, attempts: Attempts, sender: &mut dyn Sender) -> Result<f64> {
        let program = match (turn, by) {
            (Turn::Drop, _) => Some(&self.drop),
            (Turn::Limiter, _) => Some(&self.limiter),
            (Turn::Cgroup, By::RawSocket) => None,
            // Without a program the device does not take frames that are no socket buffers.
            (Turn::Cgroup, By::KernelFrames) => Some(&self.pass),
        };
        let netns = self.scene.netns();
        let _link = program
            .map(|program| xdp::attach(program, netns, veth::SERVERS, XdpMode::Native))
            .transpose()
            .context("attach an XDP program")?;
        let clients = self.cable.clients();
        // The first of all is what tells the interface that SYNs are refused there.
        clients.run(|| sender.burst())?;
        let before = self.counts()?;
        let (sent, mut rates) = clients.run(|| bursts(sender))?;
        let counts = self.counts()?.minus(&before);
        counts.check(turn, attempts, sent)?;
        // If the kernel puts receiving off, the queue of the device runs over.
        Ok(median(&mut rates) * counts.received as f64 / sent as f64)
    }

    fn counts(&self) -> Result<Counts> {
        let netns = self.scene.netns();
        let counters = self.scene.counters()?;
        Ok(Counts {
            received: mib::received_packets(netns, veth::SERVERS),
            in_stack: mib::counter(netns, "Ip", "InReceives"),
            new: counters.rejected,
            again: counters.syn_retransmits,
        })
    }
}

/// How many were sent, and how many a second in each burst.
fn bursts(sender: &mut dyn Sender) -> Result<(u64, Vec<f64>)> {
    let (mut sent, mut rates) = (0, Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < TURN {
        let burst = Instant::now();
        let syns = sender.burst()?;
        rates.push(f64::from(syns) / burst.elapsed().as_secs_f64());
        sent += u64::from(syns);
    }
    Ok((sent, rates))
}

/// What became of the SYNs.
struct Counts {
    /// By the device, and what runs there.
    received: u64,
    /// By the network stack.
    in_stack: u64,
    /// Refused as new attempts, on the interface or on the cgroup.
    new: u64,
    /// Refused as attempts that were refused before.
    again: u64,
}

impl Counts {
    fn minus(&self, before: &Self) -> Self {
        Self {
            received: self.received - before.received,
            in_stack: self.in_stack - before.in_stack,
            new: self.new - before.new,
            again: self.again - before.again,
        }
    }

    /// Whether nearly all that were received met with what they should. One a second gets into the
    /// stack, to tell the interface that SYNs are still refused there.
    fn check(&self, turn: Turn, attempts: Attempts, sent: u64) -> Result<()> {
        let few = self.received / 100;
        let most = self.received - few;
        let refused = match attempts {
            Attempts::New => self.new,
            Attempts::Repeated => self.new + self.again,
        };
        let is_refused = match turn {
            Turn::Drop => refused <= few,
            Turn::Limiter | Turn::Cgroup => refused >= most,
        };
        let is_in_stack = match turn {
            Turn::Drop | Turn::Limiter => self.in_stack <= few,
            Turn::Cgroup => self.in_stack >= most,
        };
        // The sender is several times as fast as the stack: most of its frames find the device's ring full.
        let least_received = match turn {
            Turn::Drop | Turn::Limiter => sent / 2,
            Turn::Cgroup => sent / 20,
        };
        ensure!(
            self.received >= least_received && is_refused && is_in_stack,
            "of {sent} SYNs {} were received, {} got into the stack, {} were refused as new \
             attempts, {} as repeated ones",
            self.received,
            self.in_stack,
            self.new,
            self.again
        );
        Ok(())
    }
}

/// Sorts them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5)
}
