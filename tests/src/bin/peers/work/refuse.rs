//! One client at its limit that floods the server with SYNs.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::{
    bpf,
    cpu::Cpu,
    link::XdpMode,
    mib,
    settle::PATIENCE,
    syn_flood::RawSocket,
    veth,
    xdp::{self, Verdict},
};

use super::{Turn, accept::closed_loop};
use crate::{
    burst, flood,
    load::{self, Load, Until},
    scene::{Scene, client, served},
    system::{self, Refusal, Rules, Running, System},
};

const WORK: &str = "refuse";
const LIMIT: u32 = 10;
/// The client that floods.
const FLOODS: u16 = 5;

/// The hook comes before all others of a firewall.
const EARLY: &str = "table netdev early {
	chain ingress {
		type filter hook ingress device veth0 priority -500; policy accept;
		tcp flags & (fin|syn|rst|ack) == syn drop
	}
}
";

/// Its turns.
pub fn stand(system: System, turn: Duration) -> Result<Turn> {
    let mut parts = vec![goodput(system, turn)?];
    if system.is_proxy() {
        parts.push(refused_connection(system, turn)?);
    } else {
        parts.push(refused_syn(system, Refusal::Drop, turn)?);
        if matches!(system, System::Limiter | System::Nftables) {
            parts.push(refused_syn(system, Refusal::Reset, turn)?);
        }
    }
    Ok(Box::new(move |results| {
        parts.iter_mut().try_for_each(|part| part(results))
    }))
}

/// Two hosts in which SYNs are thrown away.
struct Thrown {
    scene: Arc<Scene>,
    sender: RawSocket,
    /// The program that does it, if it is one.
    _link: Option<bpf::Link>,
}

impl Thrown {
    /// As early as a firewall can.
    fn early() -> Result<Self> {
        let scene = Scene::set(System::None)?;
        system::nft(&scene, EARLY)?;
        Self::of(scene, None)
    }

    /// By a program in the driver.
    fn bare() -> Result<Self> {
        let scene = Scene::set(System::None)?;
        let program = xdp::load("bare_drop", &xdp::always(Verdict::Drop));
        let netns = &scene.world.netns;
        let link = xdp::attach(&program, netns, veth::SERVERS, XdpMode::Native)?;
        Self::of(scene, Some(link))
    }

    fn of(scene: Arc<Scene>, link: Option<bpf::Link>) -> Result<Self> {
        let sender = flood::sender(&scene, &[client(FLOODS)])?;
        Ok(Self {
            scene,
            sender,
            _link: link,
        })
    }

    /// A method, so that a closure takes all of it.
    fn cost_ns(&mut self, turn: Duration) -> Result<f64> {
        let answered = reached(&self.scene).1;
        let cost = flood::cost_ns(&self.scene, &mut self.sender, turn)?;
        ensure!(reached(&self.scene).1 == answered, "SYNs got through");
        Ok(cost)
    }
}

/// What a SYN costs, less what it costs if it is thrown away as early as can be.
fn refused_syn(system: System, refusal: Refusal, turn: Duration) -> Result<Turn> {
    let turn = turn / 2;
    let (mut early, mut bare) = (Thrown::early()?, Thrown::bare()?);
    if system == System::None {
        return Ok(Box::new(move |results| {
            let early = early.cost_ns(turn)?;
            let bare = bare.cost_ns(turn)?;
            results.add(WORK, "SYN dropped early, with sending", "ns", system, early);
            results.add(
                WORK,
                "bare XDP_DROP, over early",
                "ns",
                system,
                bare - early,
            );
            Ok(())
        }));
    }
    let scene = Scene::set(system)?;
    let rules = Rules {
        refusal,
        ..Rules::limit(LIMIT)
    };
    let running = Running::start(&scene, system, rules)?;
    let held = hold(&scene, FLOODS, LIMIT as usize)?;
    let mut sender = flood::sender(&scene, &[client(FLOODS)])?;
    Ok(Box::new(move |results| {
        let (_running, _held) = (&running, &held);
        let early = early.cost_ns(turn)?;
        let before = reached(&scene);
        let own = flood::cost_ns(&scene, &mut sender, turn)?;
        let after = reached(&scene);
        ensure!(
            after.0 - before.0 > 50 * (after.1 - before.1),
            "{before:?} and {after:?}: SYNs were not refused by {}",
            system.name()
        );
        let what = match refusal {
            Refusal::Drop => "SYN dropped, over early",
            Refusal::Reset => "SYN answered with a RST, over early",
        };
        results.add(WORK, what, "ns", system, own - early);
        if system == System::LimiterXdp {
            let bare = bare.cost_ns(turn)?;
            let what = "SYN dropped, over bare XDP_DROP";
            results.add(WORK, what, "ns", system, own - bare);
        }
        Ok(())
    }))
}

/// SYNs that were received, and those that the server has answered.
fn reached(scene: &Scene) -> (u64, u64) {
    let netns = &scene.world.netns;
    let received = mib::received_packets(netns, veth::SERVERS);
    let answered = mib::counter(netns, "Tcp", "PassiveOpens")
        + mib::counter(netns, "TcpExt", "SyncookiesSent")
        + mib::counter(netns, "TcpExt", "TCPReqQFullDrop");
    (received, answered)
}

/// Connections of one client, which must succeed.
pub fn hold(scene: &Scene, number: u16, count: usize) -> Result<Vec<Option<std::net::TcpStream>>> {
    let to = served();
    let pairs: Vec<(IpAddr, _)> = (0..count)
        .map(|at| (client(number), to[at % to.len()]))
        .collect();
    let held = scene
        .cable()
        .clients()
        .run(|| burst::connect(&pairs, PATIENCE))?;
    let open = burst::count(&held);
    ensure!(open == count, "{open} of {count} connections were let in");
    Ok(held)
}

/// Behind a handshake: what it costs to connect and to be sent away.
fn refused_connection(system: System, turn: Duration) -> Result<Turn> {
    let scene = Scene::set(system)?;
    let running = Running::start(&scene, system, Rules::limit(LIMIT))?;
    let held = hold(&scene, FLOODS, LIMIT as usize)?;
    let load = Load {
        from: vec![client(FLOODS)],
        to: served(),
        together: 32,
        patience: PATIENCE,
    };
    Ok(Box::new(move |results| {
        let _held = &held;
        let cost = closed_loop(&scene, &running, &load, turn, true)?;
        let what = "connection refused after its handshake, CPU";
        results.add(WORK, what, "us", system, cost.cpu_us);
        Ok(())
    }))
}

/// SYNs a second of the paced flood.
const PACE: u32 = 50_000;

/// What is left for another client, while there is a flood on the same CPU.
fn goodput(system: System, turn: Duration) -> Result<Turn> {
    let scene = Scene::set(system)?;
    let running = Running::start(&scene, system, Rules::limit(LIMIT))?;
    let held = match system {
        System::None => Vec::new(),
        _ => hold(&scene, FLOODS, LIMIT as usize)?,
    };
    let mut sender = flood::sender(&scene, &[client(FLOODS)])?;
    let load = Load {
        from: (100..110).map(client).collect(),
        to: served(),
        together: 16,
        patience: PATIENCE,
    };
    let shared = Cpu::last()?;
    let processes = running.data_processes();
    Ok(Box::new(move |results| {
        let (_running, _held) = (&running, &held);
        let stop = AtomicBool::new(false);
        let done = scene.cable().clients().run(|| {
            scene.share(shared, &processes)?;
            thread::scope(|scope| {
                let flood = scope.spawn(|| {
                    shared.pin_self()?;
                    paced(&mut sender, &stop)
                });
                let done = load::run(&load, Until::Over(turn));
                stop.store(true, Ordering::Relaxed);
                flood.join().expect("the flood ends")?;
                done
            })
        })?;
        let per_s = done.greeted as f64 / done.time.as_secs_f64();
        let what = "another client's connections in a flood of 50 000 SYNs/s";
        results.add(WORK, what, "1/s", system, per_s);
        Ok(())
    }))
}

fn paced(sender: &mut RawSocket, stop: &AtomicBool) -> Result<()> {
    let begin = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * f64::from(PACE)) as u64;
        if sent < due {
            sent += u64::from(sender.call()?);
        } else {
            thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(())
}
