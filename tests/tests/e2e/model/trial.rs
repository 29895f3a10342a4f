//! Frames for one policy, and what the program on the interface says of them.

use std::net::{IpAddr, SocketAddr};

use tests::{packet::Flow, xdp::Verdict};

use super::{
    case::Case,
    frames::{Fate, Shaped, shaped},
    hosts::{filler, stranger},
    policy::Action,
    reference::Decision,
    tally::{count, count_decision},
};

/// Frames for one endpoint.
const FRAMES: usize = 30;
/// Endpoints that frames are for, in one round, besides one at which nobody listens.
const ENDPOINTS: usize = 6;

impl Case<'_> {
    /// Frames for several endpoints.
    pub fn try_frames(&mut self) {
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
            let is_established = self.connect(primer, to);
            assert!(!is_established, "refused behind the interface");
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
