//! The kinds of work that are measured.
//!
//! A kind of work is told from others by what is sent between two readings. `cgroup_skb` runs once
//! a packet, so a window that holds packets of one kind gives their cost. `sock_ops` runs for many
//! operations of a socket, most of which are none of the limiter's business; there is no way to
//! time one operation, so:
//!
//! - a window of SYNs that are not completed holds only operations that do nothing for us: it gives
//!   the cost of such an operation;
//! - a window of whole handshakes holds one establishment each. What is left after the time of the
//!   other runs, each as long as an operation that does nothing, is the time of the establishments;
//! - likewise a window of closes.

use anyhow::{Result, ensure};

use super::{
    bpf::Stats,
    client::Client,
    figure::{Figure, Samples, mean_ns},
    keys::{Keys, Who},
    kinds::{Figures, Work},
    runs::{Pair, Reading},
    scene::{BUSY_PORT, FULL_PORT, Listener, Scene},
};

/// Pieces of work in one sample: few, so that the median leaves out what an interrupt has hit.
const PIECES: u32 = 32;

/// Measures under one scenario.
pub struct Bench<'a, 'b> {
    scene: &'a Scene,
    client: &'a mut Client,
    keys: &'a mut Keys<'b>,
    samples: u32,
    _stats: Stats,
}

impl<'a, 'b> Bench<'a, 'b> {
    /// With the connections of these keys open.
    pub fn new(
        scene: &'a Scene,
        client: &'a mut Client,
        keys: &'a mut Keys<'b>,
        samples: u32,
    ) -> Result<Self> {
        Ok(Self {
            scene,
            client,
            keys,
            samples,
            _stats: Stats::enable()?,
        })
    }

    /// Every kind of work.
    pub fn all(mut self) -> Result<Figures> {
        let mut figures = vec![
            (Work::Packet, self.packets()?),
            (Work::SynRefused, self.refused()?),
        ];
        let live = self.half_open(Who::Live)?;
        let new = self.half_open(Who::New)?;
        figures.extend([
            (Work::SynPassed, live.syn),
            (Work::SynPassedNewKey, new.syn),
            (Work::ResetAtListener, live.reset),
        ]);
        let live = self.whole(Who::Live, &live)?;
        let new = self.whole(Who::New, &new)?;
        figures.extend([
            (Work::AckPassed, live.ack),
            (Work::Establishment, live.establishment),
            (Work::EstablishmentNewKey, new.establishment),
            (Work::Close, live.close),
            (Work::CloseLastOfKey, new.close),
            (Work::OtherOperation, live.other_operation),
        ]);
        Ok(figures)
    }

    /// Packets of established connections.
    fn packets(&mut self) -> Result<Figure> {
        let mut samples = Samples::default();
        for _ in 0..self.samples {
            let window = self.window(|bench| {
                let connection = bench.keys.next_held();
                bench.client.ack(&connection);
                Ok(())
            })?;
            samples.add(each(window.enforce, PIECES)?, mean_ns(window.enforce.empty));
        }
        Ok(samples.figure())
    }

    /// SYNs that are refused, each an attempt of its own.
    fn refused(&mut self) -> Result<Figure> {
        let listener = Listener::open(FULL_PORT)?;
        let before = self.scene.counters()?.rejected;
        let mut samples = Samples::default();
        for _ in 0..self.samples {
            let window = self.window(|bench| {
                let addr = bench.keys.next_addr(Who::Live);
                let peer = bench.client.peer(addr);
                bench.client.syn(peer, FULL_PORT);
                Ok(())
            })?;
            samples.add(each(window.enforce, PIECES)?, mean_ns(window.enforce.empty));
        }
        let refused = self.scene.counters()?.rejected - before;
        let sent = u64::from(self.samples) * u64::from(PIECES);
        ensure!(refused == sent, "{refused} of {sent} SYNs were refused");
        drop(listener);
        Ok(samples.figure())
    }

    /// SYNs that pass, and RSTs that end the half-open handshakes.
    fn half_open(&mut self, who: Who) -> Result<HalfOpen> {
        let listener = Listener::open(BUSY_PORT)?;
        let (mut syn, mut reset) = (Samples::default(), Samples::default());
        let mut operation = Samples::default();
        for _ in 0..self.samples {
            let mut half_open = Vec::new();
            let window = self.window(|bench| {
                let addr = bench.keys.next_addr(who);
                let peer = bench.client.peer(addr);
                half_open.push(bench.client.syn(peer, BUSY_PORT));
                Ok(())
            })?;
            syn.add(each(window.enforce, PIECES)?, mean_ns(window.enforce.empty));
            operation.add(mean_ns(window.count.limiter), mean_ns(window.count.empty));
            self.client.discard_answers();
            let window = self.window(|bench| {
                if let Some(connection) = half_open.pop() {
                    bench.client.reset(&connection);
                }
                Ok(())
            })?;
            reset.add(each(window.enforce, PIECES)?, mean_ns(window.enforce.empty));
        }
        ensure!(listener.drain() == 0, "a half-open handshake was completed");
        Ok(HalfOpen {
            syn: syn.figure(),
            reset: reset.figure(),
            operation: operation.figure(),
        })
    }

    /// Handshakes that are completed, and closes.
    fn whole(&mut self, who: Who, half_open: &HalfOpen) -> Result<Whole> {
        let listener = Listener::open(BUSY_PORT)?;
        let before = self.scene.counters()?;
        let (mut ack, mut establishment) = (Samples::default(), Samples::default());
        let mut close = Samples::default();
        for _ in 0..self.samples {
            let mut open = Vec::new();
            let window = self.window(|bench| {
                let addr = bench.keys.next_addr(who);
                let peer = bench.client.peer(addr);
                open.push(bench.client.connect(peer, BUSY_PORT)?);
                Ok(())
            })?;
            let pair = each(window.enforce, 2 * PIECES)?;
            ack.add(
                2.0 * pair - half_open.syn.measured_ns,
                mean_ns(window.enforce.empty),
            );
            establishment.add(
                half_open.without_other_operations(window.count),
                mean_ns(window.count.empty),
            );
            let window = self.window(|bench| {
                if let Some(connection) = open.pop() {
                    bench.client.reset(&connection);
                }
                Ok(())
            })?;
            close.add(
                half_open.without_other_operations(window.count),
                mean_ns(window.count.empty),
            );
            let drained = listener.drain();
            ensure!(drained == PIECES as usize, "{drained} were established");
        }
        let after = self.scene.counters()?;
        let sent = u64::from(self.samples) * u64::from(PIECES);
        let (opened, closed) = (after.opened - before.opened, after.closed - before.closed);
        ensure!(
            opened == sent && closed == sent && after.evicted == 0,
            "of {sent} connections {opened} were counted and {closed} given back"
        );
        Ok(Whole {
            ack: ack.figure(),
            establishment: establishment.figure(),
            close: close.figure(),
            other_operation: half_open.operation,
        })
    }

    /// What the programs do during some pieces of work.
    fn window(&mut self, mut piece: impl FnMut(&mut Self) -> Result<()>) -> Result<Reading> {
        let before = self.scene.read()?;
        for _ in 0..PIECES {
            piece(self)?;
        }
        Ok(self.scene.read()? - before)
    }
}

struct HalfOpen {
    syn: Figure,
    reset: Figure,
    /// An operation of `sock_ops` that does nothing for us.
    operation: Figure,
}

impl HalfOpen {
    /// Time of the one operation of each piece that does something.
    fn without_other_operations(&self, count: Pair) -> f64 {
        let others = count.limiter.number as f64 - f64::from(PIECES);
        (count.limiter.time_ns as f64 - others * self.operation.measured_ns) / f64::from(PIECES)
    }
}

struct Whole {
    ack: Figure,
    establishment: Figure,
    close: Figure,
    other_operation: Figure,
}

/// Mean time of a run, if there were exactly as many as there should be.
fn each(pair: Pair, number: u32) -> Result<f64> {
    ensure!(
        pair.limiter.number == u64::from(number),
        "the program ran {} times for {number} packets",
        pair.limiter.number
    );
    Ok(mean_ns(pair.limiter))
}
