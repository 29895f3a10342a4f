//! Follows the sockets that the servers of the policy listen on: in each network namespace that has
//! one, refused attempts need a socket of ours to be brought to (`limit_conn_action reset`,
//! `close`).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tracing::error;

use super::{in_force::InForce, service::Daemon, waiting};
use crate::kernel::NewListeners;

/// Shortest time between two looks. Services open many sockets at a time.
const PAUSE: Duration = Duration::from_millis(50);
/// How much longer than a look the pause after it is, at the least: a look goes through every
/// process, and whoever may listen may have us look as often as he likes.
const PAUSE_PER_LOOK: u32 = 4;
/// Longest time between two looks while there are sockets of ours: nobody tells when the last
/// listener of a namespace is gone, and our socket keeps the namespace.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(1);

/// Follows until dropped.
pub async fn follow(
    daemon: Arc<Daemon>,
    mut listeners: NewListeners,
    policy: watch::Receiver<Arc<InForce>>,
) {
    let mut changes = policy.clone();
    // Dropped with this future.
    let mut targets = JoinSet::new();
    let mut pause = PAUSE;
    loop {
        serve_new(&daemon, &policy, &mut targets).await;
        let news = async {
            tokio::select! {
                result = listeners.wait() => if let Err(e) = result {
                    error!("follow listeners: {e}");
                    sleep(RETRY).await;
                },
                // A changed policy may have brought new targets.
                _ = changes.changed() => {}
            }
        };
        if timeout(SWEEP, news).await.is_ok() {
            serve_new(&daemon, &policy, &mut targets).await;
            sleep(pause).await;
        }
        let start = Instant::now();
        let look = daemon.follow_listeners().await;
        pause = PAUSE.max(start.elapsed() * PAUSE_PER_LOOK);
        if let Err(e) = look {
            error!("follow listeners: {e}");
            sleep(RETRY).await;
        }
    }
}

async fn serve_new(
    daemon: &Daemon,
    policy: &watch::Receiver<Arc<InForce>>,
    targets: &mut JoinSet<()>,
) {
    for target in daemon.take_targets().await {
        targets.spawn(waiting::serve(target, policy.clone(), daemon.waiting()));
    }
    while targets.try_join_next().is_some() {}
}
