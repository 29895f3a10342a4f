//! Those who act in the demo: clients, daemon, zone. Each act shows what happened, and fails if that
//! is not what was announced.

use std::{fmt, net::Ipv4Addr, time::Duration};

use limiter_common::counters::KEY_EVENT_INTERVAL_NS;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    counts::Counts,
    error::DemoError,
    show::Show,
    stage::{Stage, unexpected},
    wire::{Answer, Outcome, Request},
};
use crate::{
    api::{EventState, SetDryRun, ZoneStatus},
    commands::failure::Failure,
    control::client::EventLine,
};

/// The only zone of a policy from flags.
const ZONE: &str = "addr";

/// Time to read.
const PAUSE: Duration = Duration::from_millis(400);

/// Longest wait for an event, and for counts to settle.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);
const SETTLE_PAUSE: Duration = Duration::from_millis(10);

/// A key has at most one event in this time. The kernel measures it with a clock that ticks every
/// few milliseconds.
const EVENT_INTERVAL: Duration =
    Duration::from_nanos(KEY_EVENT_INTERVAL_NS).saturating_add(Duration::from_millis(20));

/// The stage, and what has been seen on it.
pub(super) struct Cast<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) show: &'a mut Show,
    last_event: Option<Instant>,
    /// Since the last heading.
    states: Vec<EventState>,
}

impl<'a> Cast<'a> {
    pub(super) fn new(stage: &'a mut Stage, show: &'a mut Show) -> Self {
        Self {
            stage,
            show,
            last_event: None,
            states: Vec::new(),
        }
    }

    pub(super) async fn heading(&mut self, text: &str) -> Result<(), Failure> {
        self.watch_until(Instant::now() + PAUSE).await?;
        self.states.clear();
        self.show.heading(text)
    }

    /// Opens connections: so many must get in, so many must get no answer.
    pub(super) async fn open(
        &mut self,
        from: Ipv4Addr,
        established: u32,
        silent: u32,
    ) -> Result<(), Failure> {
        let count = established + silent;
        self.stage.peer.ask(Request::Open { from, count }).await?;
        let mut seen = (0, 0);
        for _ in 0..count {
            let outcome = match self.answer().await? {
                Answer::Attempt(outcome) => outcome,
                answer => return Err(unexpected(&answer).into()),
            };
            match outcome {
                Outcome::Established => seen.0 += 1,
                Outcome::NoAnswer => seen.1 += 1,
                Outcome::Reset => {}
            }
            self.show.attempt(from, outcome)?;
        }
        self.show.text("")?;
        expect(seen == (established, silent), || {
            format!(
                "of {count} connections {} were established, {} got no answer; \
                 expected: {established}, {silent}",
                seen.0, seen.1
            )
        })
    }

    /// Uses all open connections of a client.
    pub(super) async fn ping(&mut self, from: Ipv4Addr, count: u32) -> Result<(), Failure> {
        self.stage.peer.ask(Request::Ping { from }).await?;
        match self.answer().await? {
            Answer::Alive(alive) => {
                self.say(from, format_args!("{alive} open connections still answer"))?;
                expect(alive == count, || {
                    format!("{alive} open connections answer, not {count}")
                })
            }
            answer => Err(unexpected(&answer).into()),
        }
    }

    pub(super) async fn close(&mut self, from: Ipv4Addr, count: u32) -> Result<(), Failure> {
        let request = Request::Close { from, count };
        self.stage.peer.ask(request).await?;
        match self.answer().await? {
            Answer::Closed(closed) => {
                self.say(from, format_args!("closes {closed}"))?;
                expect(closed == count, || format!("{closed} closed, not {count}"))
            }
            answer => Err(unexpected(&answer).into()),
        }
    }

    /// Also waits until the next refusal may have an event.
    pub(super) async fn set_dry_run(&mut self, on: bool) -> Result<(), Failure> {
        let change = SetDryRun { on, server: None };
        for server in self.stage.daemon.set_dry_run(&change).await? {
            let dry_run = if server.dry_run { "on" } else { "off" };
            self.show
                .fact("limiter", format_args!("dry run is {dry_run}"))?;
        }
        match self.last_event {
            Some(last) => self.watch_until(last + EVENT_INTERVAL).await,
            None => Ok(()),
        }
    }

    /// Waits for an event with this state, unless one came since the last heading.
    pub(super) async fn event(&mut self, state: EventState) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        while !self.states.contains(&state) {
            match timeout_at(deadline, self.stage.events.next()).await {
                Ok(line) => self.see(line?)?,
                Err(_) => expect(false, || format!("no event {state:?} came"))?,
            }
        }
        Ok(())
    }

    /// Shows the counts when they are as expected, or after a while.
    pub(super) async fn counts(&mut self, client: Ipv4Addr, wanted: Counts) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let mut counts = Counts::of(client, &self.zone().await?);
        while counts != wanted && Instant::now() < deadline {
            sleep(SETTLE_PAUSE).await;
            counts = Counts::of(client, &self.zone().await?);
        }
        self.show.fact("zone", format_args!("{client}: {counts}"))?;
        expect(counts == wanted, || {
            format!("the zone has {counts}; expected: {wanted}")
        })
    }

    /// Shows that nobody holds a slot any more.
    pub(super) async fn all_gone(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let mut zone = self.zone().await?;
        while (zone.connections, zone.keys) != (0, 0) && Instant::now() < deadline {
            sleep(SETTLE_PAUSE).await;
            zone = self.zone().await?;
        }
        let left = format!("{} connections, {} keys", zone.connections, zone.keys);
        self.show.fact("zone", &left)?;
        expect((zone.connections, zone.keys) == (0, 0), || {
            format!("the zone still has {left}")
        })
    }

    pub(super) async fn zone(&mut self) -> Result<ZoneStatus, Failure> {
        Ok(self.stage.daemon.zone(ZONE, usize::from(u8::MAX)).await?)
    }

    fn say(&mut self, client: Ipv4Addr, what: impl fmt::Display) -> Result<(), Failure> {
        self.show.fact(&client.to_string(), what)
    }

    /// The peer's next answer. Shows the events that come meanwhile.
    async fn answer(&mut self) -> Result<Answer, Failure> {
        loop {
            let line = tokio::select! {
                // An event is older than the answer that it comes with.
                biased;
                line = self.stage.events.next() => line?,
                answer = self.stage.peer.answer() => return Ok(answer?),
            };
            self.see(line)?;
        }
    }

    async fn watch_until(&mut self, end: Instant) -> Result<(), Failure> {
        while let Ok(line) = timeout_at(end, self.stage.events.next()).await {
            self.see(line?)?;
        }
        Ok(())
    }

    fn see(&mut self, line: Option<EventLine>) -> Result<(), Failure> {
        match line {
            Some(EventLine::Event(event)) => {
                self.last_event = Some(Instant::now());
                self.states.push(event.status);
                self.show.event(&event)
            }
            Some(EventLine::Missed(missed)) => {
                let missed = missed.missed.unwrap_or(0);
                self.show.fact("event", format_args!("missed {missed}"))
            }
            Some(EventLine::HistoryFrom(_)) => Ok(()),
            None => Err(Failure::DaemonStopped),
        }
    }
}

fn expect(fulfilled: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if fulfilled {
        return Ok(());
    }
    Err(DemoError::Unexpected(otherwise()).into())
}
