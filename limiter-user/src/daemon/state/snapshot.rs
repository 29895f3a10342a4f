//! All that is told of the state at one moment.

use std::time::Duration;

use super::{State, failed};
use crate::{
    api::{EventStatus, Status},
    control::refusal::Refusal,
    daemon::{log::notice, log_lines::summary, usage, view},
    kernel::Stopwatch,
    metrics::{ProgramRuns, Snapshot},
};

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
            events: EventStatus {
                sent: events.sent,
                lost: events.lost,
                suppressed: events.suppressed,
            },
            packets: view::packets(&packets),
        })
    }

    /// What metrics tell of the kernel and of this process. The rest is as if nobody were there.
    pub fn snapshot(&self, uptime: Duration) -> Result<Snapshot, Refusal> {
        let mut status = self.status(uptime)?;
        let policy = self.policy();
        let top = usize::from(policy.metrics.top);
        if top > 0 {
            let zones = policy.zones.iter();
            let zones: Result<_, _> = zones.map(|zone| self.zone(&zone.name, top)).collect();
            status.zones = zones?;
        }
        Ok(Snapshot {
            status,
            ready_time_seconds: 0.0,
            waiting: 0,
            subscribers: 0,
            programs: self.program_runs()?,
            usage: usage::read().ok(),
        })
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
