//! Cgroups that come and go while the daemon runs.

use std::sync::Arc;

use tracing::error;

use super::service::Daemon;
use crate::kernel::CgroupWatch;

/// Follows the cgroups until dropped.
pub async fn run(mut watch: CgroupWatch, daemon: Arc<Daemon>) {
    loop {
        if let Err(e) = watch.changed().await {
            error!("{e}; they are looked at once a second all the same");
        }
        daemon.refresh_cgroups().await;
    }
}
