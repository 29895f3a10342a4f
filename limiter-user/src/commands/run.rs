//! `limiter run`

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    failure::Failure,
    place::Place,
    policy_source::{self, ACTIONS, Flags},
};
use crate::{
    control::socket::ControlSocket,
    daemon::{self, Mission, Signals, clock::SystemClock, log},
};

/// Enforce a policy until SIGINT or SIGTERM
///
/// The policy comes from a file or from flags; without both, from /etc/limiter/limiter.conf. Prints
/// `ready` on standard error once everything is enforced. SIGHUP has it read again, as `limiter
/// reload` does.
#[derive(Debug, clap::Args)]
#[command(after_long_help = ACTIONS)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "Flags")]
    config: Option<PathBuf>,
    /// Have the kernel go on with the policy when the daemon stops
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(args: Args, place: &Place) -> Result<(), Failure> {
    let (policy, source) = policy_source::choose(args.config, args.flags)?;
    let path = place.socket(policy.control.clone());
    let instance = place.instance(&path)?;
    // Written out last of all, when everybody who logs is gone.
    let _log = log::install(&policy.error_log)?;
    let mission = Mission {
        policy,
        source,
        instance: Some(instance),
        keep: args.keep,
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(enforce(mission, &path))
}

async fn enforce(mission: Mission, path: &Path) -> Result<(), Failure> {
    // From here on a signal is a clean stop, also one that comes before everything is up.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let reload = Some(signal(SignalKind::hangup()).map_err(Failure::Runtime)?);
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    // Before the kernel is touched: a second daemon must not disturb the first.
    let socket = ControlSocket::claim(path)?;
    let signals = Signals { stop, reload };
    let clock = Arc::new(SystemClock);
    daemon::run(mission, socket, clock, signals, || {
        eprintln!("ready");
    })
    .await?;
    Ok(())
}
