//! One limiter and several policies, one after the other: connections, frames, and the counters after
//! both.

use std::net::{IpAddr, SocketAddr};

use tests::{packet::Flow, random::Random};

use super::{
    books::{Packets, must_agree},
    generate,
    host::{Host, Scene},
    hosts::{FIRST_PORT, LOCAL, Listening, client, filler},
    policy::Policy,
    reference::{Decision, Model, Open},
    tally::{Tally, count_decision},
};

/// Policies of one limiter. It takes its time to start.
pub const POLICIES: usize = 4;
/// Rounds of connections and frames with one policy.
const ROUNDS: usize = 2;
/// Connections that stay open when one policy takes the place of another: fewer than any zone has
/// room for.
const STAY: usize = 100;

/// Tries several policies, which the seed determines, and says what that came to.
pub fn run(host: &Host, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let listening = Listening::random(&mut random);
    let mut tiny = random.once_in(4);
    let policy = generate::policy(&mut random, tiny, &[]);
    let mut case = Case {
        told: Told(seed, vec![policy.to_string()]),
        scene: Scene::new(host, &listening, &policy.to_string()),
        model: Model::new(&policy),
        packets: Packets::default(),
        crowd: (0..30).map(|_| client(&mut random)).collect(),
        listening,
        open: Vec::new(),
        random,
        tally: Tally::default(),
    };
    case.try_policy(tiny);
    let mut before = policy.zones;
    for _ in 1..POLICIES {
        tiny = case.random.once_in(4);
        let policy = generate::policy(&mut case.random, tiny, &before);
        case.reload(&policy);
        case.try_policy(tiny);
        before = policy.zones;
    }
    case.tally
}

pub struct Case<'a> {
    /// What is needed to try it again.
    told: Told,
    pub scene: Scene<'a>,
    pub model: Model,
    pub packets: Packets,
    /// Those who connect.
    pub crowd: Vec<IpAddr>,
    pub listening: Listening,
    /// The connections that are open.
    open: Vec<(Flow, Open)>,
    pub random: Random,
    pub tally: Tally,
}

impl Case<'_> {
    fn try_policy(&mut self, tiny: bool) {
        for _ in 0..ROUNDS {
            self.connect_and_close();
            if tiny {
                self.fill();
            }
            self.compare();
            self.try_frames();
            self.compare();
        }
    }

    fn compare(&self) {
        must_agree(&self.scene.limiter, &self.model, &self.packets);
    }

    fn connect_and_close(&mut self) {
        for _ in 0..60 + self.random.below(60) {
            let to = self.random.one_of(&self.listening.endpoints);
            let client = self.one_of_the_crowd(to);
            self.connect(client, to);
            if self.random.once_in(8) && !self.open.is_empty() {
                let one = self.random.below(self.open.len());
                self.close(one);
            }
        }
    }

    /// More clients than a tiny zone has room for.
    fn fill(&mut self) {
        for number in 0..520 + self.random.below(40) {
            let local = self.random.one_of(&LOCAL);
            let to = SocketAddr::new(local, FIRST_PORT);
            self.connect(filler(number, local), to);
        }
    }

    /// Puts another policy in force, which has to count what is open.
    fn reload(&mut self, policy: &Policy) {
        // What found no room is closed, and so is what may find none: nobody can say who would.
        for one in (0..self.open.len()).rev() {
            if !self.open[one].1.is_whole {
                self.close(one);
            }
        }
        while self.open.len() > STAY {
            let one = self.random.below(self.open.len());
            self.close(one);
        }
        self.told.1.push(policy.to_string());
        self.scene.reload(&policy.to_string());
        let open = self.open.iter_mut();
        self.model.reload(policy, open.map(|(_, open)| open));
        self.compare();
    }

    /// One connection, established or not as the model says. Whether it is.
    pub fn connect(&mut self, client: IpAddr, to: SocketAddr) -> bool {
        let decision = self.model.decide(client, to);
        let flow = self.scene.attempt(client, to);
        let is_expected = !self.is_refused(client, to);
        assert_eq!(
            self.scene.connect(flow, is_expected),
            is_expected,
            "a connection from {client} to {to}, {decision:?}"
        );
        count_decision(&mut self.tally.connections, &self.model, client, to);
        if let Decision::Refused { zone, why, .. } = decision {
            self.model.refuse(zone, why, false);
        } else {
            self.open.push((flow, self.model.establish(client, to)));
        }
        is_expected
    }

    fn close(&mut self, one: usize) {
        let (flow, open) = self.open.swap_remove(one);
        self.scene.close(&flow);
        self.model.close(&open);
    }

    pub fn is_refused(&self, client: IpAddr, to: SocketAddr) -> bool {
        matches!(self.model.decide(client, to), Decision::Refused { .. })
    }

    fn one_of_the_crowd(&mut self, to: SocketAddr) -> IpAddr {
        loop {
            let client = self.random.one_of(&self.crowd);
            if client.is_ipv4() == to.is_ipv4() {
                return client;
            }
        }
    }
}

/// The seed, and the policies so far. Printed if something panics.
struct Told(u64, Vec<String>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, policies) = self;
            let policies = policies.join("\n# and then\n");
            eprintln!("LIMITER_MODEL_SEED={seed:#x} LIMITER_MODEL_RUNS=1 tries again:\n{policies}");
        }
    }
}
