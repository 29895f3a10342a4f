//! What the program on an interface costs.
//!
//! PROG_TEST_RUN runs it on frames, in turns with an empty program: one sample is the mean of
//! [`PIECES`] runs of each, one right after the other. It refuses a SYN only while a hook at a
//! listener has refused one for the same address and port a moment ago
//! ([`limiter_common::attempt::Epoch`]). So each sample begins with such a SYN, and counts if
//! verdict and counters say that every run has done what it should.

use anyhow::{Context as _, Result, ensure};
use tests::{
    cpu,
    frame::{Frame, ethertype},
    packet::Flow,
    syn_flood::random_u32,
    test_run::{Program, Run},
    xdp::Verdict,
};

use super::{
    client::Client,
    figure::Samples,
    frames::{bare_syn, data, flow, flow_v6, udp},
    keys::{Keys, Who},
    kinds::{Figures, Work},
    pairs::{Pair, Pairs},
    scene::{ANSWERED_PORT, BUSY_PORT, FULL_PORT, Listener, Scene},
};

/// Runs in one sample: a few milliseconds, because what a listener has refused is forgotten within
/// a second.
const PIECES: u32 = 20_000;
/// A sample has so many more pieces than one on a cgroup that a tenth as many is enough.
const FEWER: u32 = 10;

/// Measures under one scenario, with the connections of these keys open.
pub fn measure(
    scene: &Scene,
    client: &mut Client,
    keys: &mut Keys<'_>,
    samples: u32,
) -> Result<Figures> {
    let _listeners = [Listener::open(FULL_PORT)?, Listener::open(ANSWERED_PORT)?];
    let answered = flow(client, keys.next_held().addr(), ANSWERED_PORT);
    let answered = bare_syn(&answered);
    let pairs = Pairs::load(scene.netns(), &answered.bytes())?;
    let mut bench = Bench {
        scene,
        client,
        keys,
        answered,
    };
    let rounds = samples.div_ceil(FEWER);
    let mut all = KINDS.map(|kind| (kind, Samples::default()));
    for round in 0..rounds {
        for (kind, samples) in &mut all {
            // Now the one is first, now the other.
            if let Some((limiter_ns, empty_ns)) = bench.sample(kind, &pairs, round % 2 == 0)? {
                samples.add(limiter_ns, empty_ns);
            }
        }
    }
    let mut figures = Figures::new();
    for (Kind { work, .. }, samples) in all {
        let number = samples.number();
        // The second in which a refusal is remembered ends in some of them.
        ensure!(
            2 * number >= rounds as usize,
            "{work:?}: only in {number} of {rounds} samples did every run do what it should"
        );
        figures.push((work, samples.figure()));
    }
    Ok(figures)
}

/// A kind of work, and how it is measured.
#[derive(Clone, Copy)]
struct Kind {
    work: Work,
    frame: fn(&mut Bench<'_, '_>) -> Frame,
    programs: for<'x> fn(&'x Pairs<'_>) -> &'x Pair,
    expected: Expected,
}

const KINDS: [Kind; 10] = [
    Kind {
        work: Work::XdpDataV4,
        frame: |bench| data(&bench.flow(Who::Live, FULL_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpDataV6,
        frame: |_| data(&flow_v6()),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpDataVlan,
        frame: |bench| data(&bench.flow(Who::Live, FULL_PORT)).tag(ethertype::VLAN, 5),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpUdp,
        frame: |bench| udp(&bench.flow(Who::Live, FULL_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpSynPassed,
        frame: |bench| Frame::syn(&bench.flow(Who::Live, BUSY_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpSynPassedNewKey,
        frame: |bench| Frame::syn(&bench.flow(Who::New, BUSY_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpSynPassedBesideRefusals,
        frame: |bench| Frame::syn(&bench.flow(Who::New, FULL_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::Passed,
    },
    Kind {
        work: Work::XdpSynRefusedAgain,
        frame: |bench| Frame::syn(&bench.flow(Who::Live, FULL_PORT)),
        programs: |pairs| &pairs.plain,
        expected: Expected::RefusedAgain,
    },
    Kind {
        work: Work::XdpSynRefused,
        frame: |bench| Frame::syn(&bench.flow(Who::Live, FULL_PORT)),
        programs: |pairs| &pairs.renewed,
        expected: Expected::Refused,
    },
    Kind {
        work: Work::XdpSynAnswered,
        // The first run takes its sequence number from there.
        frame: |bench| {
            let syn = bench.answered.clone();
            syn.segment(|tcp| tcp.acknowledgement = random_u32())
        },
        programs: |pairs| &pairs.restored,
        expected: Expected::Answered,
    },
];

/// What every run of a sample should do.
#[derive(Clone, Copy)]
enum Expected {
    /// Let the frame pass.
    Passed,
    /// Refuse an attempt that was refused before; the first run may be the one that was before.
    RefusedAgain,
    /// Refuse a new attempt.
    Refused,
    /// Refuse a new attempt with an answer.
    Answered,
}

impl Expected {
    fn is(self, seen: Seen) -> bool {
        let Seen {
            verdict,
            new,
            again,
        } = seen;
        let pieces = u64::from(PIECES);
        match self {
            Self::Passed => (verdict, new, again) == (Verdict::Pass, 0, 0),
            Self::RefusedAgain => verdict == Verdict::Drop && new <= 1 && new + again == pieces,
            Self::Refused => (verdict, new, again) == (Verdict::Drop, pieces, 0),
            Self::Answered => (verdict, new, again) == (Verdict::Tx, pieces, 0),
        }
    }
}

/// What the runs of a sample did.
#[derive(Clone, Copy)]
struct Seen {
    /// Of the last run.
    verdict: Verdict,
    /// Refusals of new attempts.
    new: u64,
    /// Refusals of attempts that were refused before.
    again: u64,
}

struct Bench<'a, 'b> {
    scene: &'a Scene,
    client: &'a mut Client,
    keys: &'a mut Keys<'b>,
    /// The SYN that [`Pairs::restored`] restores.
    answered: Frame,
}

impl Bench<'_, '_> {
    /// What one run of the limiter's program costs, and one of the empty program. None if not every
    /// run did what it should.
    fn sample(
        &mut self,
        kind: &Kind,
        pairs: &Pairs<'_>,
        is_empty_first: bool,
    ) -> Result<Option<(f64, f64)>> {
        let frame = (kind.frame)(self).bytes();
        let Pair { limiter, empty, .. } = (kind.programs)(pairs);
        let mut empty_ns = None;
        if is_empty_first {
            empty_ns = Some(timed(empty, &frame)?.1);
        }
        for port in [FULL_PORT, ANSWERED_PORT] {
            let addr = self.keys.next_held().addr();
            let peer = self.client.peer(addr);
            self.client.syn(peer, port);
        }
        let before = self.scene.counters()?;
        let (verdict, limiter_ns) = timed(limiter, &frame)?;
        let after = self.scene.counters()?;
        let empty_ns = match empty_ns {
            Some(ns) => ns,
            None => timed(empty, &frame)?.1,
        };
        let seen = Seen {
            verdict,
            new: after.rejected - before.rejected,
            again: after.syn_retransmits - before.syn_retransmits,
        };
        Ok(kind.expected.is(seen).then_some((limiter_ns, empty_ns)))
    }

    /// A new attempt, or what follows one.
    fn flow(&mut self, who: Who, port: u16) -> Flow {
        let addr = self.keys.next_addr(who);
        flow(self.client, addr, port)
    }
}

/// What one of [`PIECES`] runs takes, nanoseconds, and the verdict of the last one.
///
/// By the clock of this thread's time on a CPU: the kernel's own figure for the same runs has no
/// fractions of a nanosecond. What the system call itself takes is less than one of them.
fn timed(program: &Program, frame: &[u8]) -> Result<(Verdict, f64)> {
    let run = Run {
        frame,
        ingress: None,
        repeat: PIECES,
    };
    let before = cpu::own_time();
    let outcome = program.run(run).context("run an XDP program")?;
    let time = cpu::own_time() - before;
    Ok((outcome.verdict, time.as_nanos() as f64 / f64::from(PIECES)))
}
