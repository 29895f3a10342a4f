//! Counts are audited, now and then and on request.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    log::notice,
    service::{Daemon, requests::aside},
    state::{State, failed},
};
pub use crate::metrics::Audits;
use crate::{
    api::{AuditReport, ZoneAuditReport},
    control::refusal::Refusal,
    kernel::{AuditPass, Audited, Counted},
};

/// Between two passes.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often a pass is begun again that proves nothing.
const TRIES: usize = 5;

/// Audits until dropped.
pub async fn run(daemon: Arc<Daemon>) {
    let mut last_failure = String::new();
    loop {
        sleep(INTERVAL).await;
        let failure = match daemon.audit_now().await {
            Ok(_) => String::new(),
            Err(refusal) => refusal.to_string(),
        };
        // Once is enough.
        if failure != last_failure && !failure.is_empty() {
            tracing::error!("audit: {failure}");
        }
        last_failure = failure;
    }
}

impl Daemon {
    /// One pass. Requests are answered meanwhile.
    pub async fn audit_now(&self) -> Result<AuditReport, Refusal> {
        let _alone = self.audits.lock().await;
        let began_ns = self.clock.monotonic_ns();
        for again in (0..TRIES).rev() {
            let pass = self.with(State::begin_audit).await?;
            let (pass, counted) = aside(move || {
                let counted = pass.run();
                Ok((pass, counted))
            })
            .await?;
            let end = move |state: &mut State| match counted {
                Ok(counted) => state.end_audit(&pass, Some(counted)),
                Err(error) => {
                    // The programs have no part in it.
                    state.end_audit(&pass, None)?;
                    Err(failed(error))
                }
            };
            // Changed policies are waited for; a collision, for which others have to be quicker than a walk
            // over one connection, is not worth an error.
            let report = match self.with(end).await? {
                None => continue,
                Some((_, true)) if again > 0 => continue,
                Some((report, _)) => report,
            };
            let took = self.clock.monotonic_ns().saturating_sub(began_ns);
            let took = Duration::from_nanos(took);
            let mut audits = self.audited.lock().unwrap_or_else(PoisonError::into_inner);
            audits.count += 1;
            audits.last_seconds = took.as_secs_f64();
            return Ok(AuditReport {
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                ..report
            });
        }
        Err(Refusal::unavailable("the policy changes all the time"))
    }
}

impl State {
    fn begin_audit(&mut self) -> Result<AuditPass, Refusal> {
        self.kernel_mut().begin_audit().map_err(failed)
    }

    /// None: the policy has changed. Whether the pass has collided is told, too.
    fn end_audit(
        &mut self,
        pass: &AuditPass,
        counted: Option<Counted>,
    ) -> Result<Option<(AuditReport, bool)>, Refusal> {
        let audited = self.kernel_mut().end_audit(pass, counted).map_err(failed)?;
        Ok(audited.map(|audited| (self.report(&audited), audited.has_collided)))
    }

    fn report(&self, audited: &Audited) -> AuditReport {
        let policy = self.policy();
        let zones = policy.zones.iter().zip(&audited.zones);
        for (zone, audit) in zones.clone() {
            if audit.corrected > 0 {
                tracing::warn!(
                    "zone {:?}: the audit has corrected counts of connections by {}",
                    zone.name,
                    audit.corrected
                );
            }
            if audit.slots_corrected > 0 && audit.corrected == 0 {
                tracing::warn!(
                    "zone {:?}: the audit has corrected the number of connections by {}",
                    zone.name,
                    audit.slots_corrected
                );
            }
            if audit.live_corrected > 0 || audit.entries_corrected > 0 {
                tracing::warn!(
                    "zone {:?}: the audit has corrected the number of keys by {}, of those in use by {}",
                    zone.name,
                    audit.entries_corrected,
                    audit.live_corrected
                );
            }
        }
        if audited.lost > 0 {
            notice!(
                "the keys of {} slots were gone, and were counted again",
                audited.lost
            );
        }
        AuditReport {
            duration_ms: 0,
            lost: audited.lost,
            zones: zones
                .map(|(zone, audit)| ZoneAuditReport {
                    zone: zone.name.clone(),
                    keys: audit.count.keys,
                    connections: audit.count.connections,
                    recount: audit.count.recount,
                    suspected: audit.suspected,
                    corrected: audit.corrected,
                    keys_corrected: audit.live_corrected,
                })
                .collect(),
        }
    }
}
