//! `limiter detach`

use super::{failure::Failure, place::Place};
use crate::kernel::{Instance, pins};

/// Remove what a daemon has left in the kernel
///
/// After `limiter run --keep`, or when the daemon was killed, the kernel goes on counting and
/// refusing. This detaches the programs and removes the maps. A daemon that runs has to be stopped
/// instead.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args, place: &Place) -> Result<(), Failure> {
    let instance = place.instance(&place.socket(None))?;
    if pins::detach(&instance)? {
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
