//! What the server needs from the daemon. The server's own work (bounds, parsing, permissions,
//! streaming) is tested behind a service without a kernel.

use super::{
    refusal::Refusal,
    route::{EventFilter, Holders, Top},
    subscription::Subscription,
};
use crate::{
    api::{
        AuditReport, ConnectionList, Reloaded, ResetCounters, ServerStatus, SetAction, SetDryRun,
        SetExempt, SetLimit, SetLogLevel, Status, ZoneStatus,
    },
    metrics::Snapshot,
};

/// Answers requests that were understood and permitted.
pub trait Service: Send + Sync + 'static {
    /// `GET /status`.
    fn status(&self) -> impl Future<Output = Result<Status, Refusal>> + Send;

    /// `GET /metrics`.
    fn metrics(&self) -> impl Future<Output = Result<Snapshot, Refusal>> + Send;

    /// `GET /zones`, without keys.
    fn zones(&self) -> impl Future<Output = Result<Vec<ZoneStatus>, Refusal>> + Send;

    /// `GET /zones/NAME`, with the keys that stand out.
    fn zone(
        &self,
        name: String,
        top: Top,
    ) -> impl Future<Output = Result<ZoneStatus, Refusal>> + Send;

    /// `GET /connections`.
    fn connections(
        &self,
        wanted: Holders,
    ) -> impl Future<Output = Result<ConnectionList, Refusal>> + Send;

    /// `GET /events`. Every event after the return is in the subscription.
    fn subscribe(
        &self,
        filter: EventFilter,
    ) -> impl Future<Output = Result<Subscription, Refusal>> + Send;

    /// `POST /dry-run`. The servers concerned, as they are now.
    fn set_dry_run(
        &self,
        change: SetDryRun,
    ) -> impl Future<Output = Result<Vec<ServerStatus>, Refusal>> + Send;

    /// `POST /log-level`. The servers concerned, as they are now.
    fn set_log_level(
        &self,
        change: SetLogLevel,
    ) -> impl Future<Output = Result<Vec<ServerStatus>, Refusal>> + Send;

    /// `POST /action`. The servers concerned, as they are now.
    fn set_action(
        &self,
        change: SetAction,
    ) -> impl Future<Output = Result<Vec<ServerStatus>, Refusal>> + Send;

    /// `POST /limit`. The servers concerned, as they are now.
    fn set_limit(
        &self,
        change: SetLimit,
    ) -> impl Future<Output = Result<Vec<ServerStatus>, Refusal>> + Send;

    /// `POST /exempt`. The servers concerned, as they are now.
    fn set_exempt(
        &self,
        change: SetExempt,
    ) -> impl Future<Output = Result<Vec<ServerStatus>, Refusal>> + Send;

    /// `POST /reload`. What is in force now.
    fn reload(&self) -> impl Future<Output = Result<Reloaded, Refusal>> + Send;

    /// `POST /reset`.
    fn reset(&self, reset: ResetCounters) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// `POST /audit`. What a pass of the audit comes to.
    fn audit(&self) -> impl Future<Output = Result<AuditReport, Refusal>> + Send;

    /// `POST /detach`. The daemon stops, and keeps nothing.
    fn detach(&self);
}
