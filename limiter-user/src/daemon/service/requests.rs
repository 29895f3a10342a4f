//! The requests of the control socket, carried out.

use std::{
    any::Any,
    sync::{Arc, PoisonError},
};

use tokio::{runtime::Handle, sync::Mutex, task::spawn_blocking};
use tracing::error;

use super::Daemon;
use crate::{
    api::{
        AuditReport, ConnectionList, Reloaded, ResetCounters, ServerStatus, SetAction, SetDryRun,
        SetExempt, SetLimit, SetLogLevel, Status, ZoneStatus,
    },
    control::{
        filter::EventFilter,
        refusal::Refusal,
        route::{Holders, Top},
        service::Service,
        subscription::Subscription,
    },
    daemon::{change, state::State},
    metrics::Snapshot,
};

/// What takes long and needs no more of the state: other requests go on meanwhile.
pub(in crate::daemon) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Refusal::internal(format!("request failed: {e}"))))
}

impl Service for Daemon {
    async fn status(&self) -> Result<Status, Refusal> {
        let uptime = self.uptime();
        self.with(move |state| state.status(uptime)).await
    }

    async fn metrics(&self) -> Result<Snapshot, Refusal> {
        let uptime = self.uptime();
        let ready_time_seconds = self.ready_time_seconds;
        let subscribers = self.feed.readers() as u64;
        let waiting = self.waiting.count();
        let snapshot = self.with(move |state| Ok((state.snapshot(uptime)?, state.listeners())));
        let ((snapshot, keys), listeners) = snapshot.await?;
        let audits = *self.audited.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot {
            ready_time_seconds,
            audits,
            waiting,
            subscribers,
            ..snapshot
        };
        let rooms = Arc::clone(&self.rooms);
        let policy = Arc::clone(&self.policy.borrow());
        let now_ns = self.clock.monotonic_ns();
        aside(move || {
            let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
            snapshot.sockets = Some(rooms.read(&listeners, &policy, now_ns));
            keys.read_into(&mut snapshot).map(|()| snapshot)
        })
        .await
    }

    async fn zones(&self) -> Result<Vec<ZoneStatus>, Refusal> {
        self.with(|state| state.zones()).await
    }

    async fn zone(&self, name: String, top: Top) -> Result<ZoneStatus, Refusal> {
        let zone = self.with(move |state| state.zone(&name)).await?;
        aside(move || zone.read(top)).await
    }

    async fn connections(&self, wanted: Holders) -> Result<ConnectionList, Refusal> {
        let zone = wanted.zone.clone();
        let open = self.with(move |state| state.connections(zone.as_deref()));
        let open = open.await?;
        let found = aside(move || open.find()).await?;
        let indices = found.indices().clone();
        let slots = self.with(move |state| state.slots(&indices)).await?;
        let now_ns = self.clock.monotonic_ns();
        aside(move || found.list(&wanted, &slots, now_ns)).await
    }

    async fn subscribe(&self, filter: EventFilter) -> Result<Subscription, Refusal> {
        // A name with a typo would be a silent stream.
        let policy = Arc::clone(&self.policy.borrow());
        if let Some(zone) = &filter.zone {
            change::zone(&policy, zone)?;
        }
        if let Some(server) = &filter.server {
            change::server(&policy, server)?;
        }
        let mut lease: Option<Box<dyn Any + Send>> = None;
        if filter.wants_passed() {
            self.with(State::want_passed).await?;
            lease = Some(Box::new(PassedLease(
                Arc::clone(&self.state),
                Handle::current(),
            )));
        }
        Ok(self.feed.subscribe(filter, lease))
    }

    async fn set_dry_run(&self, set: SetDryRun) -> Result<Vec<ServerStatus>, Refusal> {
        self.change(move |policy| change::set_dry_run(policy, &set))
            .await
    }

    async fn set_log_level(&self, set: SetLogLevel) -> Result<Vec<ServerStatus>, Refusal> {
        self.change(move |policy| change::set_log_level(policy, &set))
            .await
    }

    async fn set_action(&self, set: SetAction) -> Result<Vec<ServerStatus>, Refusal> {
        self.change(move |policy| change::set_action(policy, &set))
            .await
    }

    async fn set_limit(&self, set: SetLimit) -> Result<Vec<ServerStatus>, Refusal> {
        self.change(move |policy| change::set_limit(policy, &set))
            .await
    }

    async fn set_exempt(&self, set: SetExempt) -> Result<Vec<ServerStatus>, Refusal> {
        self.change(move |policy| change::set_exempt(policy, &set))
            .await
    }

    async fn reload(&self) -> Result<Reloaded, Refusal> {
        let source = Arc::clone(&self.source);
        let manager = self.manager.clone();
        let ports = Arc::clone(&self.ports);
        // Read when it is our turn: what is in force at the end was read last.
        self.with(move |state| {
            let _reloading = manager.reloading();
            let fresh = source().map_err(|message| {
                error!("reload: {}; the policy in force stays", message.line);
                Refusal::bad_configuration(message.text)
            })?;
            // Before anything is changed: without its ports the policy is not that of the file.
            let opened = ports.prepare(&fresh.policy.metrics.listen).map_err(|e| {
                error!("reload: {e}; the policy in force stays");
                Refusal::no_port(e.with_hint())
            })?;
            let reloaded = state.reload(fresh)?;
            ports.switch(opened);
            Ok(reloaded)
        })
        .await
    }

    async fn reset(&self, reset: ResetCounters) -> Result<(), Refusal> {
        self.with(move |state| state.reset(reset.zone.as_deref()))
            .await
    }

    async fn audit(&self) -> Result<AuditReport, Refusal> {
        self.audit_now().await
    }

    fn detach(&self) {
        self.detach.send_replace(true);
    }
}

/// A subscriber's interest in passed connections; it ends with the subscription.
struct PassedLease(Arc<Mutex<Option<State>>>, Handle);

impl Drop for PassedLease {
    fn drop(&mut self) {
        let state = Arc::clone(&self.0);
        self.1.spawn(async move {
            let mut state = state.lock_owned().await;
            // One map write: no need for a thread of its own.
            if let Some(Err(e)) = state.as_mut().map(State::release_passed) {
                error!("{e}");
            }
        });
    }
}
