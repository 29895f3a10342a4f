//! `limiter demo`
//!
//! | file | holds |
//! |---|---|
//! | `story` | what is shown, in which order, and what must come out |
//! | `cast` | what clients, daemon and zone do in it |
//! | `counts` | the numbers that are watched |
//! | `show` | how it is shown |
//! | `stage` | the daemon and the peer, set up and taken down |
//! | `place` | the cgroup and the directory, and those that a killed demo has left |
//! | `peer` | the process with the server and the clients |
//! | `wire` | what the two processes say to each other |

use tokio::signal::unix::{SignalKind, signal};

use self::{place::Place, show::Show, stage::Stage};
use super::{failure::Failure, output};
use crate::kernel;

mod cast;
mod counts;
mod error;
mod peer;
mod place;
mod show;
mod stage;
mod story;
mod wire;

pub(super) use self::{
    error::DemoError,
    peer::{Args as PeerArgs, run as run_peer},
};

/// Show what limiter does, with real connections; needs no configuration
///
/// Everything happens in a network namespace and a cgroup of its own, with a control socket of its
/// own; both are gone when the demo ends. Takes a few seconds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(Args {}: &Args) -> Result<(), Failure> {
    kernel::check_privileges()?;
    // Before the runtime, so that it is dropped after it: the daemon detaches first.
    let mut place = None;
    let shown = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(show_unless_interrupted(&mut place));
    let removed = place.map_or(Ok(()), Place::remove);
    shown?;
    removed?;
    output::text(story::ENDING)
}

async fn show_unless_interrupted(place: &mut Option<Place>) -> Result<(), Failure> {
    // From here on a signal ends the demo, it does not kill it.
    let mut signals = [
        signal(SignalKind::interrupt()).map_err(Failure::Runtime)?,
        signal(SignalKind::terminate()).map_err(Failure::Runtime)?,
        signal(SignalKind::hangup()).map_err(Failure::Runtime)?,
    ];
    let [interrupt, terminate, hangup] = &mut signals;
    let place = place.insert(Place::claim()?);
    tokio::select! {
        shown = set_up_and_play(place) => shown,
        _ = interrupt.recv() => Err(DemoError::Interrupted.into()),
        _ = terminate.recv() => Err(DemoError::Interrupted.into()),
        _ = hangup.recv() => Err(DemoError::Interrupted.into()),
    }
}

async fn set_up_and_play(place: &Place) -> Result<(), Failure> {
    let mut show = Show::new();
    show.text(story::TITLE)?;
    let mut stage = Stage::set_up(place).await?;
    let played = story::play(&mut stage, &mut show).await;
    let taken_down = stage.take_down().await;
    played.and(taken_down)
}
