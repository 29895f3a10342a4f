//! Load that comes from threads of this process: outgoing connections, and floods.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{Scope, sleep},
    time::Duration,
};

use tests::{
    outgoing::{Ends, Order, Outgoing, Way},
    packet::Flow,
    random::Random,
};

use super::{
    gate::Gate,
    scene::{BACKEND, FLOODED, PLAIN, Scene, at},
};

/// Threads that stand still at the gate.
pub const THREADS: usize = 3;
/// Connects of one [`Order::Mix`].
const MIXED: usize = 28;

/// What they have done.
#[derive(Default)]
pub struct Load {
    /// How connects have ended.
    pub ends: Mutex<Ends>,
    /// Connects of which nobody has asked how they ended.
    pub mixed: AtomicU64,
    /// Processes that were killed with all that they held.
    pub killed: AtomicU64,
    /// Handshakes that were begun and never completed.
    pub half_open: AtomicU64,
    /// Handshakes that were completed and reset at once.
    pub reset: AtomicU64,
}

impl Load {
    /// Starts the threads. They end with the gate.
    pub fn start<'scope>(
        &'scope self,
        scene: &'scope Scene,
        gate: &'scope Gate,
        scope: &'scope Scope<'scope, '_>,
        seed: u64,
    ) {
        for number in 1..=2 {
            scope.spawn(move || self.connect(scene, gate, Random::new(seed ^ number)));
        }
        scope.spawn(move || self.flood(scene, gate, Random::new(seed ^ 3)));
    }

    /// A process in the limited cgroup connects to the servers of upstreams.
    fn connect(&self, scene: &Scene, gate: &Gate, mut random: Random) {
        let mut process = Outgoing::start(&scene.world);
        while gate.obey(|| drop(process.obey(Order::Close))) {
            let to = at(random.one_of(&BACKEND));
            match random.below(8) {
                0..=2 => {
                    let way = random.one_of(&[Way::Blocking, Way::FastOpen]);
                    let count = 1 + random.below(3);
                    self.note(process.obey(Order::Connect { count, way, to }));
                }
                3 => drop(process.obey(Order::Close)),
                4 => {
                    process.say(Order::Mix {
                        count: MIXED,
                        open: at(PLAIN[0]),
                        refused: at(PLAIN[1]),
                        no_route: at(PLAIN[2]),
                        silent: at(PLAIN[3]),
                    });
                    process.answer();
                    self.mixed.fetch_add(MIXED as u64, Relaxed);
                }
                5 if random.once_in(10) => {
                    process.kill();
                    process = Outgoing::start(&scene.world);
                    self.killed.fetch_add(1, Relaxed);
                }
                _ => {
                    process.say(Order::Visit {
                        count: 1 + random.below(16),
                        gap_ms: random.below(5) as u64,
                        hold_ms: random.below(60) as u64,
                        to,
                    });
                    let mut ends = BTreeMap::new();
                    for visit in process.visits() {
                        *ends.entry(visit.end).or_default() += 1;
                    }
                    self.note(ends);
                }
            }
            sleep(Duration::from_millis(random.below(150) as u64));
        }
    }

    fn note(&self, ends: Ends) {
        let mut all = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (end, count) in ends {
            *all.entry(end).or_default() += count;
        }
    }

    /// SYNs from addresses of which nobody ever says more.
    fn flood(&self, scene: &Scene, gate: &Gate, mut random: Random) {
        while gate.obey(|| ()) {
            let to = random.one_of(&FLOODED);
            let count = 20 + random.below(180);
            let flows: Vec<_> = (0..count).map(|_| flow(to, &mut random)).collect();
            if random.once_in(4) {
                let answered = scene.tun.half_open(&flows, Duration::from_millis(50));
                for (flow, isn) in &answered {
                    scene.tun.send(&flow.ack(*isn));
                    scene.tun.send(&flow.rst());
                }
                self.reset.fetch_add(answered.len() as u64, Relaxed);
            } else {
                flows.iter().for_each(|flow| scene.tun.send(&flow.syn()));
                self.half_open.fetch_add(count as u64, Relaxed);
                scene.tun.drain();
            }
            sleep(Duration::from_millis(random.below(600) as u64));
        }
    }
}

fn flow(to: &str, random: &mut Random) -> Flow {
    let [.., third, fourth] = random.number().to_be_bytes();
    // The server's own is not among them.
    let client = [10, 200, third | 0x80, fourth];
    Flow {
        client: (client, 1_024 + random.below(60_000) as u16).into(),
        server: at(to),
        isn: random.below(1 << 30) as u32,
    }
}
