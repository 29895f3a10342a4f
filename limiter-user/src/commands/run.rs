//! `limiter run`

use std::{path::PathBuf, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    failure::Failure,
    place::Place,
    policy_source::{self, ACTIONS, Flags},
};
use crate::{
    control::{port::Ports, socket::Claim},
    daemon::{
        self, Mission, Signals,
        clock::SystemClock,
        log::{self, Log, Reopener},
        notify::Manager,
    },
    kernel,
};

/// Enforce a policy until SIGINT or SIGTERM
///
/// The policy comes from a file or from flags; without both, from /etc/limiter/limiter.conf. Prints
/// `ready` on standard error once everything is enforced. SIGHUP has it read again, as `limiter
/// reload` does. SIGUSR1 has the log file opened anew.
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
    let from_files = args.config.is_some() || args.flags.is_empty();
    let (policy, source) = policy_source::choose(args.config, args.flags)?;
    let path = place.socket(policy.control.clone());
    let instance = place.instance(&path)?;
    // Before the kernel is touched: a second daemon must not disturb the first.
    let claim = Claim::take(&path, &policy.grant)?;
    let ports = Ports::open(&policy.metrics.listen)?;
    let log = Log::open(&policy.error_log)?;
    // What a thread may do, it passes on to those that it starts. So this comes before the first.
    let kept = kernel::give_up_privileges(from_files)?;
    // Written out last of all, when everybody who logs is gone.
    let log = log.install()?;
    tracing::info!("keeps of its capabilities: {}", kept.join(", "));
    let mission = Mission {
        policy,
        source,
        instance: Some(instance),
        keep: args.keep,
        ports,
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(enforce(mission, claim, log.reopener()))
}

async fn enforce(mission: Mission, claim: Claim, log: Reopener) -> Result<(), Failure> {
    // From here on a signal is a clean stop, also one that comes before everything is up.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let reload = Some(signal(SignalKind::hangup()).map_err(Failure::Runtime)?);
    let reopen = signal(SignalKind::user_defined1()).map_err(Failure::Runtime)?;
    tokio::spawn(log::reopen_on(reopen, log));
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let socket = claim.listen()?;
    let signals = Signals { stop, reload };
    let clock = Arc::new(SystemClock);
    let manager = Manager::from_environment();
    daemon::run(mission, socket, clock, signals, manager, || {
        eprintln!("ready");
    })
    .await?;
    Ok(())
}
