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
//! | [`view`] | a policy in the words of the API; pure |
//! | [`convert`] | from the kernel's event to the API's; pure |
//! | [`refusal_line`] | what a refusal looks like in the log; pure |
//! | [`listeners`] | follows listeners, for actions that need a socket of ours |
//! | [`waiting`] | refused connections that are accepted and closed |
//! | [`feed`] | events: ring → log and subscribers |
//! | [`in_force`] | a policy with the names of what the kernel knows by index; pure |
//! | [`interfaces`] | network interfaces that come and go |
//! | [`reload`] | the policy is read again |
//! | [`notify`] | what a service manager is told |

use std::{sync::Arc, time::Duration};

use tokio::{signal::unix::Signal, sync::broadcast, task::JoinHandle, time::timeout};

use self::{clock::Clock, log::notice, notify::Manager, reload::Source, service::Daemon};
use crate::{
    control::{server, socket::ControlSocket},
    kernel::{Adopted, Kernel, KernelError, sock_diag},
    policy::Policy,
};

pub mod books;
pub mod change;
pub mod clock;
pub mod convert;
pub mod differences;
pub mod feed;
pub mod in_force;
pub mod interfaces;
pub mod listeners;
pub mod log;
pub mod log_lines;
pub mod notify;
pub mod refusal_line;
pub mod reload;
pub mod service;
pub mod state;
pub mod view;
pub mod waiting;

/// Events that wait for slow subscribers; shared by all of them.
const FEED_CAPACITY: usize = 8 * 1024;

/// Longest wait for work in progress when the daemon stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the daemon is told from outside.
pub struct Signals<Stop> {
    /// Resolves when it is to stop.
    pub stop: Stop,
    /// Comes when the policy is to be read again. None: only requests say so.
    pub reload: Option<Signal>,
}

/// Enforces `policy`, which `source` reads again on request, and serves `socket` until it is to
/// stop, then detaches everything. `ready` is called, and `manager` is told, once everything is
/// enforced and the socket answers.
pub async fn run(
    policy: Policy,
    socket: ControlSocket,
    clock: Arc<dyn Clock>,
    signals: Signals<impl Future<Output = ()>>,
    source: Source,
    manager: Manager,
    ready: impl FnOnce(),
) -> Result<(), KernelError> {
    let (mut kernel, adopted) = Kernel::start(&policy)?;
    let events = kernel.take_events()?;
    let housekeeping = tokio::spawn(kernel.take_housekeeping()?);
    let new_listeners = kernel.take_new_listeners()?;
    let watch = kernel.take_interface_watch()?;
    announce(&policy, &kernel, &adopted);

    let (feed, _) = broadcast::channel(FEED_CAPACITY);
    let daemon = Arc::new(Daemon::new(
        kernel,
        policy,
        source,
        manager.clone(),
        feed.clone(),
        Arc::clone(&clock),
    ));
    let events = tokio::spawn(feed::run(events, daemon.policy(), feed, clock));
    let listeners = tokio::spawn(listeners::follow(
        Arc::clone(&daemon),
        new_listeners,
        daemon.policy(),
    ));
    let interfaces = tokio::spawn(interfaces::run(watch, Arc::clone(&daemon)));

    let reloads = signals
        .reload
        .map(|signal| tokio::spawn(reload::on_signal(signal, Arc::clone(&daemon))));

    ready();
    manager.ready();
    let watchdog = tokio::spawn(keep_alive(manager.clone(), Arc::clone(&daemon)));
    let guard = socket.guard();
    server::serve(socket.listener(), guard, Arc::clone(&daemon), signals.stop).await;

    manager.stopping();
    end(watchdog).await;
    notice!("stopping");
    if let Some(reloads) = reloads {
        end(reloads).await;
    }
    end(events).await;
    end(housekeeping).await;
    end(listeners).await;
    end(interfaces).await;
    match timeout(STOP_TIMEOUT, daemon.stop()).await {
        Ok(Some(state)) => {
            state.log_summary();
            // Detaches. Only then is the socket's path free for the next daemon.
            drop(state);
            notice!("stopped, nothing is limited any more");
        }
        // Something holds the kernel side for seconds; the kernel detaches when the process ends.
        Ok(None) | Err(_) => tracing::warn!("stopped in the middle of a request"),
    }
    drop(socket);
    Ok(())
}

fn announce(policy: &Policy, kernel: &Kernel, adopted: &Adopted) {
    notice!(
        "limiter {}, pid {}, servers: {}, zones: {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        policy.servers.len(),
        policy.zones.len()
    );
    let attached = kernel.attached();
    attached.iter().for_each(interfaces::log_attachment);
    interfaces::log_present(&attached);
    for server in policy.servers.iter().filter(|server| server.dry_run) {
        notice!("server {:?}: dry run, nobody is refused", server.name);
    }
    log_adopted(adopted);
    match sock_diag::can_destroy() {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "the kernel cannot close connections (it was built without CONFIG_INET_DIAG_DESTROY): \
             excess connections, which a lost race lets in, stay open and are not counted"
        ),
        Err(e) => tracing::warn!("find out whether the kernel can close connections: {e}"),
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
    if adopted.missed > 0 {
        tracing::warn!(
            "{} connections that were open before are not counted: they were closed meanwhile, or \
             the kernel is older than Linux 6.12 and cannot adopt connections",
            adopted.missed
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
