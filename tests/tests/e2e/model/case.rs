//! One policy: connections first, then frames, and the counters after both.

use std::net::{IpAddr, SocketAddr};

use tests::{packet::Flow, random::Random, xdp::Verdict};

use super::{
    books::{Packets, must_agree},
    frames::{Fate, Shaped, shaped},
    generate,
    host::{Host, Scene},
    hosts::{FIRST_PORT, LOCAL, Listening, client, filler, stranger},
    policy::{Action, Policy},
    reference::{Charge, Decision, Model},
    tally::{Tally, count, count_decision},
};

/// Frames for one endpoint.
const FRAMES: usize = 30;
/// Endpoints that frames are for, in one round, besides one at which nobody listens.
const ENDPOINTS: usize = 6;
/// Rounds of connections and frames with one policy. Most of the time goes into its start.
const ROUNDS: usize = 2;

/// Tries one policy, which the seed determines, and says what that came to.
pub fn run(host: &Host, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let tiny = random.once_in(4);
    let policy = generate::policy(&mut random, tiny);
    let listening = Listening::random(&mut random);
    let told = Told(seed, &policy);
    let mut case = Case {
        scene: Scene::new(host, &listening, &policy.to_string()),
        model: Model::new(&policy),
        packets: Packets::default(),
        crowd: (0..30).map(|_| client(&mut random)).collect(),
        listening,
        open: Vec::new(),
        random,
        tally: Tally::default(),
    };
    for _ in 0..ROUNDS {
        case.connect_and_close();
        if tiny {
            case.fill();
        }
        must_agree(&case.scene.limiter, &case.model, &case.packets);
        case.try_frames();
        must_agree(&case.scene.limiter, &case.model, &case.packets);
    }
    drop(told);
    case.tally
}

struct Case<'a> {
    scene: Scene<'a>,
    model: Model,
    packets: Packets,
    /// Those who connect.
    crowd: Vec<IpAddr>,
    listening: Listening,
    /// Some of the connections that are open.
    open: Vec<(Flow, Charge)>,
    random: Random,
    tally: Tally,
}

impl Case<'_> {
    fn connect_and_close(&mut self) {
        for _ in 0..60 + self.random.below(60) {
            let to = self.random.one_of(&self.listening.endpoints);
            let client = self.one_of_the_crowd(to);
            let connection = self.connect(client, to);
            self.open.extend(connection);
            if self.random.once_in(8) && !self.open.is_empty() {
                let one = self.random.below(self.open.len());
                let (flow, charge) = self.open.swap_remove(one);
                self.scene.close(&flow);
                self.model.close(&charge);
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

    /// One connection, established or not as the model says.
    fn connect(&mut self, client: IpAddr, to: SocketAddr) -> Option<(Flow, Charge)> {
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
            return None;
        }
        Some((flow, self.model.establish(client, to)))
    }

    fn try_frames(&mut self) {
        let nobody = self.listening.nobody(&mut self.random);
        let clients = self.clients(nobody);
        for tried in self.frames(&clients, nobody) {
            tried.must_be_right(false);
        }
        for _ in 0..ENDPOINTS {
            let mut to = self.random.one_of(&self.listening.endpoints);
            let mut clients = self.clients(to);
            // Mostly where somebody is refused.
            for _ in 0..10 {
                if clients.iter().any(|client| self.is_refused(*client, to)) {
                    break;
                }
                to = self.random.one_of(&self.listening.endpoints);
                clients = self.clients(to);
            }
            self.frames_to(&clients, to);
        }
    }

    /// Frames for one endpoint. Somebody who is refused there is needed for the interface to refuse
    /// anybody: it does so only for a while after a refusal behind it. All of the frames have to fall
    /// into that while, else it is done again.
    fn frames_to(&mut self, clients: &[IpAddr], to: SocketAddr) {
        let mut refused = clients.iter().filter(|it| self.is_refused(**it, to));
        let Some(primer) = refused.next().copied() else {
            let tried = self.frames(clients, to);
            tried.iter().for_each(|it| it.must_be_right(true));
            return;
        };
        for _ in 0..20 {
            let behind_the_interface = self.connect(primer, to);
            assert!(behind_the_interface.is_none());
            let tried = self.frames(clients, to);
            let flow = self.scene.attempt(primer, to);
            let last = self.one_frame(&flow, Shaped::plain(&flow), false);
            if last.verdict != Verdict::Pass {
                tried.iter().for_each(|it| it.must_be_right(true));
                last.must_be_right(true);
                return;
            }
        }
        panic!("the interface never refuses {primer} at {to}");
    }

    fn frames(&mut self, clients: &[IpAddr], to: SocketAddr) -> Vec<Tried> {
        let refused = clients.iter().filter(|it| self.is_refused(**it, to));
        let refused: Vec<_> = refused.copied().collect();
        let mut tried = Vec::new();
        for _ in 0..FRAMES {
            let some = match refused.is_empty() || self.random.once_in(2) {
                true => clients,
                false => &refused,
            };
            let flow = self.scene.attempt(self.random.one_of(some), to);
            let shaped = shaped(&mut self.random, &flow);
            let again = self.random.once_in(10).then(|| shaped.again());
            tried.push(self.one_frame(&flow, shaped, false));
            if let Some(shaped) = again {
                tried.push(self.one_frame(&flow, shaped, true));
            }
        }
        tried
    }

    /// Has one frame judged, and counts what came of it.
    fn one_frame(&mut self, flow: &Flow, shaped: Shaped, again: bool) -> Tried {
        let (client, to) = (flow.client.ip(), flow.server);
        let decision = self.model.decide(client, to);
        let verdict = self.scene.run(&shaped.bytes);
        let frames = &mut self.tally.frames;
        match shaped.fate {
            Fate::NoAttempt => count(frames, "no attempt"),
            Fate::NotUnderstood(why) => {
                count(frames, "not understood");
                self.packets.count(why);
            }
            Fate::Judged if again => count(frames, "repeated"),
            Fate::Judged if !self.listening.endpoints.contains(&to) => {
                count(frames, "nobody listens");
            }
            Fate::Judged => count_decision(frames, &self.model, client, to),
        }
        if verdict == Verdict::Tx {
            count(frames, "answered with a RST");
        }
        if let Decision::Refused { zone, why, .. } = decision
            && verdict != Verdict::Pass
        {
            self.model.refuse(zone, why, again);
        }
        let what = format!("\"{}\", again: {again}, {flow:?}", shaped.what);
        Tried {
            what,
            fate: shaped.fate,
            decision,
            verdict,
        }
    }

    fn is_refused(&self, client: IpAddr, to: SocketAddr) -> bool {
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

    /// Clients of the family, with and without connections.
    fn clients(&mut self, to: SocketAddr) -> Vec<IpAddr> {
        let mut clients = self.crowd.clone();
        for _ in 0..12 {
            clients.push(stranger(&mut self.random));
            clients.push(filler(self.random.below(600), to.ip()));
        }
        clients.retain(|client| client.is_ipv4() == to.is_ipv4());
        clients
    }
}

/// A frame and what became of it.
struct Tried {
    what: String,
    fate: Fate,
    decision: Decision,
    verdict: Verdict,
}

impl Tried {
    /// `relied`: the interface has seen a refusal at the endpoint a moment ago.
    fn must_be_right(&self, relied: bool) {
        let expected = match (self.fate, self.decision) {
            (Fate::Judged, Decision::Refused { action, .. }) if relied => match action {
                Action::Drop => Verdict::Drop,
                Action::Reset => Verdict::Tx,
            },
            _ => Verdict::Pass,
        };
        let Self {
            what,
            fate,
            decision,
            verdict,
        } = self;
        assert_eq!(*verdict, expected, "{what}, {fate:?}, {decision:?}");
    }
}

/// Prints what is needed to try it again, if something panics.
struct Told<'a>(u64, &'a Policy);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, policy) = self;
            eprintln!(
                "LIMITER_MODEL_SEED={seed:#x} LIMITER_MODEL_POLICIES=1 tries again:\n{policy}"
            );
        }
    }
}
