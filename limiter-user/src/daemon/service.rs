//! The running daemon. One request at a time has the kernel's side, on a thread that may block.

pub(super) mod requests;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    audit::Audits, books, clock::Clock, in_force::InForce, notify::Manager, reload::Source,
    rooms::Rooms, state::State, waiting::Waiting,
};
use crate::{
    api::ServerStatus,
    control::{
        feed::Feed,
        port::{Port, Ports},
        refusal::Refusal,
    },
    kernel::{KernelError, Started, Target},
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
    pub(super) clock: Arc<dyn Clock>,
    ready_ns: u64,
    /// Whether somebody wants nothing to be in force any more.
    detach: watch::Sender<bool>,
    ready_time_seconds: f64,
    ports: Arc<Ports>,
    waiting: Waiting,
    rooms: Arc<std::sync::Mutex<Rooms>>,
    /// One at a time.
    pub(super) audits: Mutex<()>,
    pub(super) audited: std::sync::Mutex<Audits>,
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
            rooms: Arc::default(),
            audits: Mutex::default(),
            audited: std::sync::Mutex::default(),
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

    pub(super) async fn with<T: Send + 'static>(
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
