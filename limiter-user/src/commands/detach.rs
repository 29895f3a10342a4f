//! `limiter detach`

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{failure::Failure, place::Place};
use crate::{
    control::client::Client,
    kernel::{Instance, pins},
};

/// Longest wait for the daemon to end.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Have nothing limited any more: stop the daemon, remove what one has left in the kernel
///
/// After `limiter run --keep`, or when the daemon was killed, the kernel goes on counting and
/// refusing. This detaches the programs and removes the maps. If the daemon runs, it is told to stop
/// before, and keeps nothing, also with `--keep`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, place: &Place) -> Result<(), Failure> {
    let socket = place.socket(None);
    let instance = place.instance(&socket)?;
    let had_daemon = pins::has_daemon(&instance) && stop(&Client::new(socket), &instance).await?;
    // Also what a daemon has left that could not end in time.
    if pins::detach(&instance)? || had_daemon {
        eprintln!("instance {instance}: detached, nothing is limited any more");
        return Ok(());
    }
    eprintln!("instance {instance}: nothing is attached");
    let others: Vec<_> = pins::instances().iter().map(Instance::to_string).collect();
    if !others.is_empty() {
        eprintln!(
            "instances that are attached, with a daemon or without: {} (--instance NAME)",
            others.join(", ")
        );
    }
    Ok(())
}

/// Has the daemon end. `false`: nobody answers there.
async fn stop(daemon: &Client, instance: &Instance) -> Result<bool, Failure> {
    match daemon.detach().await.map_err(Failure::from) {
        Err(failure) if failure.is_no_daemon() => return Ok(false),
        told => told?,
    }
    let begin = Instant::now();
    while pins::has_daemon(instance) && begin.elapsed() < PATIENCE {
        sleep(LOOK_AGAIN).await;
    }
    Ok(true)
}
