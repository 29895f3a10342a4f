//! All that is told of the state at one moment.

use std::time::Duration;

use super::{State, failed};
use crate::{
    api::{EventStatus, Status, TopBy, UpstreamStatus},
    control::{refusal::Refusal, route::Top},
    daemon::{log::notice, log_lines::summary, one_zone::OneZone, usage, view},
    kernel::{ListenerReader, Stopwatch},
    metrics::{Audits, ProgramRuns, Snapshot},
};

/// The keys that metrics tell of, to be read while the daemon does something else.
pub struct WantedKeys {
    /// None: nothing is told of keys.
    zones: Vec<OneZone>,
    most: usize,
}

impl WantedKeys {
    /// Reads them, and puts them into the snapshot.
    pub fn read_into(self, snapshot: &mut Snapshot) -> Result<(), Refusal> {
        let top = Top {
            keys: self.most,
            by: TopBy::Connections,
        };
        // Both are in the order of the policy.
        for (known, zone) in snapshot.status.zones.iter_mut().zip(self.zones) {
            *known = zone.read(top)?;
        }
        Ok(())
    }
}

impl State {
    /// `GET /status`.
    pub fn status(&self, uptime: Duration) -> Result<Status, Refusal> {
        let events = self.event_counters()?;
        let packets = self.packet_counters()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: uptime.as_secs(),
            attached: self.attached(),
            pinned: self.pinned_at().map(|path| path.display().to_string()),
            servers: self.servers(),
            zones: self.zones()?,
            upstreams: self.upstreams()?,
            events: EventStatus {
                sent: events.sent,
                lost: events.lost,
                suppressed: events.suppressed,
            },
            packets: view::packets(&packets),
        })
    }

    /// What is counted of upstreams.
    fn upstreams(&self) -> Result<Vec<UpstreamStatus>, Refusal> {
        let counted = self.kernel.read_upstreams().map_err(failed)?;
        Ok(view::upstreams(&self.policy(), &counted))
    }

    /// What metrics tell of the kernel and of this process. The rest is as if nobody were there. Keys
    /// are read later.
    pub fn snapshot(&self, uptime: Duration) -> Result<(Snapshot, WantedKeys), Refusal> {
        let policy = self.policy();
        let most = usize::from(policy.metrics.top);
        let zones = policy.zones.iter().filter(|_| most > 0);
        let zones: Result<_, _> = zones.map(|zone| self.zone(&zone.name)).collect();
        let keys = WantedKeys {
            zones: zones?,
            most,
        };
        let snapshot = Snapshot {
            status: self.status(uptime)?,
            ready_time_seconds: 0.0,
            waiting: 0,
            subscribers: 0,
            audits: Audits::default(),
            programs: self.program_runs()?,
            sockets: None,
            usage: usage::read().ok(),
        };
        Ok((snapshot, keys))
    }

    /// The way to the sockets that listen in the attached cgroups.
    pub fn listeners(&self) -> ListenerReader {
        self.kernel.listeners()
    }

    /// If they are measured.
    fn program_runs(&self) -> Result<Option<Vec<ProgramRuns>>, Refusal> {
        if self.stopwatch.is_none() {
            return Ok(None);
        }
        let runs = self.kernel.program_runs().map_err(failed)?;
        let runs = runs.into_iter().map(|(program, runs)| ProgramRuns {
            program,
            count: runs.count,
            seconds: Duration::from_nanos(runs.time_ns).as_secs_f64(),
        });
        Ok(Some(runs.collect()))
    }

    /// Says what was seen.
    pub fn log_summary(&self) {
        match self.zones() {
            Ok(zones) => zones.iter().for_each(|zone| notice!("{}", summary(zone))),
            Err(refusal) => tracing::warn!("{refusal}"),
        }
        match self.kernel.read_event_counters() {
            Ok(events) => notice!(
                "events: sent {}, lost {}, suppressed {}",
                events.sent,
                events.lost,
                events.suppressed
            ),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// Has the kernel measure runs, or not, as the policy says.
    pub(super) fn measure(&mut self) {
        if !self.policy().metrics.run_time {
            self.stopwatch = None;
        } else if self.stopwatch.is_none() {
            match Stopwatch::start() {
                Ok(stopwatch) => self.stopwatch = Some(stopwatch),
                Err(error) => tracing::warn!("{error}: there are no metrics of run times"),
            }
        }
    }
}
