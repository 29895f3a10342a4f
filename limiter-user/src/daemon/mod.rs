//! What `limiter run` does: enforce a policy, answer on the control socket, report events, stop
//! cleanly.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | wall clock and monotonic clock, passed in |
//! | [`log`] | the `error_log`: levels, lines, a bounded queue to the target |
//! | [`log_lines`] | what servers and zones look like in the log; pure |
//! | [`service`] | the requests of the control socket, carried out |
//! | [`state`] | kernel, policy in force and counters, which change together |
//! | [`change`] | changes to a policy; pure |
//! | [`differences`] | what they have changed since the policy was loaded; pure |
//! | [`books`] | counters since the last reset |
//! | [`one_zone`], [`top`] | the keys of a zone, and those that stand out |
//! | [`holders`], [`key_filter`] | open connections, and which of them are meant |
//! | [`usage`] | what the daemon itself takes of the machine |
//! | [`view`] | a policy in the words of the API; pure |
//! | [`convert`] | from the kernel's event to the API's; pure |
//! | [`refusal_line`] | what a refusal looks like in the log; pure |
//! | [`listeners`] | follows listeners, for actions that need a socket of ours |
//! | [`waiting`] | refused connections that are accepted and closed |
//! | [`feed`] | events: ring → log and subscribers |
//! | [`in_force`] | a policy with the names of what the kernel knows by index; pure |
//! | [`cgroups`], [`interfaces`] | cgroups and network interfaces that come and go |
//! | [`audit`] | counts are compared with the connections that are open |
//! | [`reload`] | the policy is read again |
//! | [`notify`] | what a service manager is told |

use std::{sync::Arc, time::Duration};

use tokio::{signal::unix::Signal, task::JoinHandle, time::timeout};

use self::{
    clock::Clock, in_force::InForce, log::notice, notify::Manager, reload::Source, service::Daemon,
};
use crate::{
    control::{port::Ports, server, socket::ControlSocket},
    kernel::{Adopted, How, Instance, Kernel, KernelError, Started, sock_diag},
    policy::{Metrics, Policy},
};

pub mod audit;
pub mod books;
pub mod cgroups;
pub mod change;
pub mod clock;
pub mod convert;
pub mod differences;
pub mod feed;
pub mod holders;
pub mod in_force;
pub mod interfaces;
pub mod key_filter;
pub mod listeners;
pub mod log;
pub mod log_lines;
pub mod notify;
pub mod one_zone;
pub mod refusal_line;
pub mod reload;
pub mod rooms;
pub mod service;
pub mod state;
pub mod top;
pub mod usage;
pub mod view;
pub mod waiting;

/// Longest wait for work in progress when the daemon stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the daemon is told from outside.
pub struct Signals<Stop> {
    /// Resolves when it is to stop.
    pub stop: Stop,
    /// Comes when the policy is to be read again. None: only requests say so.
    pub reload: Option<Signal>,
}

/// What to enforce, and how it lasts.
pub struct Mission {
    /// The policy to begin with.
    pub policy: Policy,
    /// Reads it again on request.
    pub source: Source,
    /// Name under which the kernel goes on if the daemon is killed. None: it does not.
    pub instance: Option<Instance>,
    /// Whether it also goes on after a clean stop.
    pub keep: bool,
    /// Where counters are served over TCP: open already, because that may take privileges.
    pub ports: Ports,
}

/// Enforces a policy, and serves `socket` until it is to stop, then detaches everything unless it is
/// to be kept. `ready` is called, and `manager` is told, once everything is enforced and the socket
/// answers.
pub async fn run(
    mission: Mission,
    socket: ControlSocket,
    clock: Arc<dyn Clock>,
    signals: Signals<impl Future<Output = ()>>,
    manager: Manager,
    ready: impl FnOnce(),
) -> Result<(), KernelError> {
    let Mission {
        policy,
        source,
        instance,
        keep,
        ports,
    } = mission;
    let mut started = Kernel::start(&policy, instance.as_ref())?;
    let kernel = &mut started.kernel;
    let mut events = kernel.take_events()?;
    let housekeeping = tokio::spawn(kernel.take_housekeeping()?);
    let new_listeners = kernel.take_new_listeners()?;
    let watch = kernel.take_interface_watch()?;
    let cgroup_watch = kernel.watch_cgroups();
    let in_force = InForce::new(policy.clone(), kernel.indices());
    announce(&policy, &started);
    log_ports(&policy.metrics);

    let feed = feed::begin(&mut events, &in_force, &*clock);
    let daemon = Arc::new(Daemon::new(
        started,
        policy,
        source,
        manager.clone(),
        Arc::clone(&feed),
        Arc::clone(&clock),
        ports,
    ));
    let events = tokio::spawn(feed::run(events, daemon.policy(), feed, clock));
    let listeners = tokio::spawn(listeners::follow(
        Arc::clone(&daemon),
        new_listeners,
        daemon.policy(),
    ));
    let interfaces = tokio::spawn(interfaces::run(watch, Arc::clone(&daemon)));
    let cgroups = cgroup_watch.map(|watch| tokio::spawn(cgroups::run(watch, Arc::clone(&daemon))));

    let audits = tokio::spawn(audit::run(Arc::clone(&daemon)));

    let reloads = signals
        .reload
        .map(|signal| tokio::spawn(reload::on_signal(signal, Arc::clone(&daemon))));

    // From here on there is something to be kept.
    daemon.keep(true).await;
    ready();
    manager.ready();
    let watchdog = tokio::spawn(keep_alive(manager.clone(), Arc::clone(&daemon)));
    let ports = tokio::spawn(server::serve_ports(daemon.ports(), Arc::clone(&daemon)));
    let guard = socket.guard();
    let stop = async {
        tokio::select! {
            () = signals.stop => {}
            () = daemon.to_be_detached() => {}
        }
    };
    server::serve(socket.listener(), guard, Arc::clone(&daemon), stop).await;
    let keep = keep && !daemon.is_to_be_detached();

    manager.stopping();
    end(watchdog).await;
    end(ports).await;
    notice!("stopping");
    if let Some(reloads) = reloads {
        end(reloads).await;
    }
    end(events).await;
    end(housekeeping).await;
    end(listeners).await;
    end(interfaces).await;
    end(audits).await;
    if let Some(cgroups) = cgroups {
        end(cgroups).await;
    }
    match timeout(STOP_TIMEOUT, daemon.stop()).await {
        Ok(Some(mut state)) => {
            state.log_summary();
            let is_kept = keep && state.pinned_at().is_some();
            state.keep(keep);
            // Detaches. Only then is the socket's path free for the next daemon.
            drop(state);
            if is_kept {
                notice!("stopped, the kernel goes on with the policy in force");
            } else {
                notice!("stopped, nothing is limited any more");
            }
        }
        // Something holds the kernel side for seconds.
        Ok(None) | Err(_) => tracing::warn!(
            "stopped in the middle of a request; what is pinned stays, `limiter detach` removes it"
        ),
    }
    drop(socket);
    Ok(())
}

fn announce(policy: &Policy, started: &Started) {
    notice!(
        "limiter {}, pid {}, servers: {}, zones: {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        policy.servers.len(),
        policy.zones.len()
    );
    match &started.how {
        How::Fresh => {}
        How::TakenOver => notice!("took over what another daemon has left, with all its counts"),
        How::InPlace { why, carried } => {
            let counters = if *carried {
                "counters of zones go on, those of single keys begin at zero"
            } else {
                "counters begin at zero"
            };
            notice!(
                "took the place of what another daemon has left, which could not be taken over: \
                 {why}. Connections were counted anew, {counters}"
            );
        }
    }
    if let Some(place) = started.kernel.pinned_at() {
        notice!("pinned at {}", place.display());
    }
    let attached = started.kernel.attached();
    attached.iter().for_each(interfaces::log_attachment);
    interfaces::log_present(&attached);
    for server in policy.servers.iter().filter(|server| server.dry_run) {
        notice!("server {:?}: dry run, nobody is refused", server.name);
    }
    for upstream in policy.upstreams.iter().filter(|it| it.dry_run) {
        notice!("upstream {:?}: dry run, nobody is refused", upstream.name);
    }
    if started.how == How::TakenOver {
        let Adopted { connections, .. } = started.applied.adopted;
        notice!("open connections: {connections}");
    } else {
        log_adopted(&started.applied.adopted);
    }
    match sock_diag::can_destroy() {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "the kernel cannot close connections (it was built without CONFIG_INET_DIAG_DESTROY): \
             excess connections, which a lost race lets in, stay open and are not counted"
        ),
        Err(e) => tracing::warn!("find out whether the kernel can close connections: {e}"),
    }
}

fn log_ports(metrics: &Metrics) {
    for address in &metrics.listen {
        notice!("metrics at http://{address}/metrics");
    }
}

/// Says what was found open, and what is not covered.
fn log_adopted(adopted: &Adopted) {
    if adopted.connections > 0 {
        notice!(
            "adopted {} connections that were open before",
            adopted.connections
        );
    }
    if adopted.outgoing > 0 {
        notice!(
            "adopted {} connections to upstreams that were open before",
            adopted.outgoing
        );
    }
    let missed = adopted.missed + adopted.outgoing_missed;
    if missed > 0 {
        tracing::warn!(
            "{} connections that were open before are not counted: they were closed meanwhile, or \
             the kernel is older than Linux 6.12 and cannot adopt connections",
            missed
        );
    }
    for listener in &adopted.outside {
        tracing::warn!(
            "{listener} listens outside of the cgroups named: it is not limited \
             (what counts is the cgroup in which a listener was created)"
        );
    }
}

async fn keep_alive(manager: Manager, daemon: Arc<Daemon>) {
    let answers = || {
        let daemon = Arc::clone(&daemon);
        async move { daemon.answers().await }
    };
    manager.keep_alive(answers).await;
}

async fn end(task: JoinHandle<()>) {
    task.abort();
    // Aborted, or a panic that the runtime has reported already.
    let _ = task.await;
}
