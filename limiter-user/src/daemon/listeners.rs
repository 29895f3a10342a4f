//! Follows the sockets that the servers of the policy listen on: in each network namespace that has
//! one, refused attempts need a socket of ours to be brought to (`limit_conn_action reset`,
//! `close`).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::error;

use super::{service::Daemon, waiting};
use crate::{kernel::NewListeners, policy::Policy};

/// Shortest time between two looks. Services open many sockets at a time.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest time between two looks while there are sockets of ours: nobody tells when the last
/// listener of a namespace is gone, and our socket keeps the namespace.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(1);

/// Follows until dropped.
pub async fn follow(
    daemon: Arc<Daemon>,
    mut listeners: NewListeners,
    policy: watch::Receiver<Arc<Policy>>,
) {
    let mut changes = policy.clone();
    // Dropped with this future.
    let mut targets = JoinSet::new();
    loop {
        for target in daemon.take_targets().await {
            targets.spawn(waiting::serve(target, policy.clone()));
        }
        while targets.try_join_next().is_some() {}
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
            sleep(PAUSE).await;
        }
        if let Err(e) = daemon.follow_listeners().await {
            error!("follow listeners: {e}");
            sleep(RETRY).await;
        }
    }
}
