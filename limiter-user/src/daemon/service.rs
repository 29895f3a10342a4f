//! The requests of the control socket, carried out. One at a time has the kernel's side, on a
//! thread that may block.

use std::{any::Any, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::timeout,
};
use tracing::error;

use super::{
    books, change, clock::Clock, in_force::InForce, notify::Manager, reload::Source, state::State,
    waiting::Waiting,
};
use crate::{
    api::{
        ConnectionList, Reloaded, ResetCounters, ServerStatus, SetAction, SetDryRun, SetExempt,
        SetLimit, SetLogLevel, Status, ZoneStatus,
    },
    control::{
        feed::Feed,
        filter::EventFilter,
        port::{Port, Ports},
        refusal::Refusal,
        route::{Holders, Top},
        service::Service,
        subscription::Subscription,
    },
    kernel::{KernelError, Started, Target},
    metrics::Snapshot,
    policy::Policy,
};

/// Longest wait for the requests before.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(20);

/// The running daemon.
pub struct Daemon {
    /// Empty once the daemon stops.
    state: Arc<Mutex<Option<State>>>,
    policy: watch::Receiver<Arc<InForce>>,
    source: Source,
    manager: Manager,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    ready_ns: u64,
    /// Whether somebody wants nothing to be in force any more.
    detach: watch::Sender<bool>,
    ready_time_seconds: f64,
    ports: Arc<Ports>,
    waiting: Waiting,
}

impl Daemon {
    /// Takes a kernel that enforces `policy`.
    pub fn new(
        started: Started,
        policy: Policy,
        source: Source,
        manager: Manager,
        feed: Arc<Feed>,
        clock: Arc<dyn Clock>,
        ports: Ports,
    ) -> Self {
        let Started {
            kernel,
            applied,
            books,
            ..
        } = started;
        let books = books::from_json(&books);
        let (state, policy) = State::new(kernel, policy, &applied, &books);
        let ready_ns = clock.monotonic_ns();
        let ready_time_seconds = clock.wall().as_duration().as_secs_f64();
        Self {
            state: Arc::new(Mutex::new(Some(state))),
            policy,
            source,
            manager,
            feed,
            clock,
            ready_ns,
            detach: watch::Sender::new(false),
            ready_time_seconds,
            ports: Arc::new(ports),
            waiting: Waiting::default(),
        }
    }

    /// Where counters are served over TCP, and its changes.
    pub fn ports(&self) -> watch::Receiver<Vec<Arc<Port>>> {
        self.ports.follow()
    }

    /// How many refused connections wait to be closed.
    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// The policy in force, and its changes.
    pub fn policy(&self) -> watch::Receiver<Arc<InForce>> {
        self.policy.clone()
    }

    /// Sockets that refused attempts are brought to, and that nobody serves yet.
    pub async fn take_targets(&self) -> Vec<Target> {
        let mut state = self.state.lock().await;
        state.as_mut().map(State::take_targets).unwrap_or_default()
    }

    /// Looks again where the servers listen, if that matters.
    pub async fn follow_listeners(&self) -> Result<(), Refusal> {
        self.with(State::follow_listeners).await
    }

    /// The kernel goes on counting and refusing if the process ends from here on, or does not.
    pub async fn keep(&self, keep: bool) {
        if let Some(state) = self.state.lock().await.as_mut() {
            state.keep(keep);
        }
    }

    /// Waits until somebody wants the daemon to stop and to keep nothing.
    pub async fn to_be_detached(&self) {
        // Fails if the sender is gone, which is ours.
        let _ = self.detach.subscribe().wait_for(|detach| *detach).await;
    }

    /// Whether it was that.
    pub fn is_to_be_detached(&self) -> bool {
        *self.detach.borrow()
    }

    /// Takes the state away: requests that come later are refused.
    pub async fn stop(&self) -> Option<State> {
        self.state.lock().await.take()
    }

    /// Looks at the interfaces of the policy again.
    pub async fn refresh_interfaces(&self) -> Result<(), KernelError> {
        let refreshed = self.look(State::refresh_interfaces).await;
        refreshed.unwrap_or(Ok(()))
    }

    /// Looks at the cgroups of the policy again.
    pub async fn refresh_cgroups(&self) {
        self.look(State::refresh_cgroups).await;
    }

    /// Does not give up when requests are slow: there may be no further notice of a change. Nothing
    /// happens once the daemon stops.
    async fn look<T: Send + 'static>(&self, look: fn(&mut State) -> T) -> Option<T> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let looked = spawn_blocking(move || state.as_mut().map(look));
        // A panic that the runtime has reported already.
        looked.await.unwrap_or_default()
    }

    /// Whether a request would be carried out.
    pub async fn answers(&self) -> bool {
        self.with(|_| Ok(())).await.is_ok()
    }

    fn uptime(&self) -> Duration {
        let now_ns = self.clock.monotonic_ns();
        Duration::from_nanos(now_ns.saturating_sub(self.ready_ns))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let queue = Arc::clone(&self.state).lock_owned();
        let mut state = timeout(QUEUE_TIMEOUT, queue)
            .await
            .map_err(|_| Refusal::unavailable("the daemon is busy"))?;
        let done = spawn_blocking(move || match state.as_mut() {
            Some(state) => work(state),
            None => Err(Refusal::unavailable("the daemon is stopping")),
        });
        done.await
            .unwrap_or_else(|e| Err(Refusal::internal(format!("request failed: {e}"))))
    }

    async fn change(
        &self,
        edit: impl FnOnce(&mut Policy) -> Result<Vec<usize>, Refusal> + Send + 'static,
    ) -> Result<Vec<ServerStatus>, Refusal> {
        self.with(|state| state.change(edit)).await
    }
}

/// What takes long and needs no more of the state: other requests go on meanwhile.
async fn aside<T: Send + 'static>(
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
        let snapshot = self.with(move |state| state.snapshot(uptime));
        let (snapshot, keys) = snapshot.await?;
        let mut snapshot = Snapshot {
            ready_time_seconds,
            waiting,
            subscribers,
            ..snapshot
        };
        aside(move || keys.read_into(&mut snapshot).map(|()| snapshot)).await
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
