//! What the demo shows, in which order, and what must come out.
//!
//! Headings say what is about to happen. Everything below a heading is what did happen: how the
//! clients' attempts ended, events of the control socket, counts of the zone. What differs from
//! what was announced ends the demo.

use std::net::Ipv4Addr;

use super::{
    cast::Cast,
    counts::Counts,
    show::Show,
    stage::{LIMIT, Stage},
    wire::SERVER,
};
use crate::{api::EventState, commands::failure::Failure, render};

pub(super) const TITLE: &str =
    "Real connections, limited in the kernel; in a network namespace and a cgroup of their own.\n";

pub(super) const ENDING: &str = "
Nothing is attached any more; server, network namespace and cgroup are gone.

Next:
   sudo limiter run --listen 443 --limit 20   limit this host's port 443 to 20 per client address
   sudo limiter events                        in another terminal: who is being refused, live
   README.md                                  the rest
";

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Connections that the first client opens beyond the limit.
const MORE: u32 = 5;
/// Connections of the second client.
const FEW: u32 = 3;

/// Connections within the limit, from step 4 on.
const PASSED: u32 = LIMIT + FEW + 1;

pub(super) async fn play(stage: &mut Stage, show: &mut Show) -> Result<(), Failure> {
    let mut cast = Cast::new(stage, show);
    server_with_a_limit(&mut cast)?;
    too_many(&mut cast).await?;
    somebody_else(&mut cast).await?;
    one_goes_one_comes(&mut cast).await?;
    dry_run(&mut cast).await?;
    enforced_again(&mut cast).await?;
    everybody_goes(&mut cast).await
}

fn server_with_a_limit(cast: &mut Cast<'_>) -> Result<(), Failure> {
    let Cast { stage, show, .. } = cast;
    show.heading(&format!(
        "1. A TCP server; every client address may have {LIMIT} connections."
    ))?;
    let process = stage.peer.id();
    show.fact("server", format_args!("{SERVER}, process {process}"))?;
    show.fact("limit", format_args!("as by `{}`", stage.command))
}

async fn too_many(cast: &mut Cast<'_>) -> Result<(), Failure> {
    let all = LIMIT + MORE;
    cast.heading(&format!("2. One client opens {all}: {MORE} get no answer."))
        .await?;
    cast.open(FIRST, LIMIT, MORE).await?;
    cast.event(EventState::Rejected).await?;
    let counts = Counts {
        connections: LIMIT,
        passed: LIMIT,
        rejected: MORE,
        rejected_dry_run: 0,
    };
    cast.counts(FIRST, counts).await
}

async fn somebody_else(cast: &mut Cast<'_>) -> Result<(), Failure> {
    cast.heading("3. Another client is not affected.").await?;
    cast.open(SECOND, FEW, 0).await?;
    let counts = Counts {
        connections: FEW,
        passed: LIMIT + FEW,
        rejected: MORE,
        rejected_dry_run: 0,
    };
    cast.counts(SECOND, counts).await
}

async fn one_goes_one_comes(cast: &mut Cast<'_>) -> Result<(), Failure> {
    cast.heading("4. A connection closes; the next one gets in.")
        .await?;
    cast.close(FIRST, 1).await?;
    let counts = Counts {
        connections: LIMIT - 1,
        passed: LIMIT + FEW,
        rejected: MORE,
        rejected_dry_run: 0,
    };
    cast.counts(FIRST, counts).await?;
    cast.open(FIRST, 1, 0).await?;
    let counts = Counts {
        connections: LIMIT,
        passed: PASSED,
        ..counts
    };
    cast.counts(FIRST, counts).await
}

async fn dry_run(cast: &mut Cast<'_>) -> Result<(), Failure> {
    cast.heading("5. Dry run: counted and reported, but nobody is refused.")
        .await?;
    cast.set_dry_run(true).await?;
    cast.open(FIRST, MORE, 0).await?;
    cast.event(EventState::RejectedDryRun).await?;
    let counts = Counts {
        connections: LIMIT + MORE,
        passed: PASSED,
        rejected: MORE,
        rejected_dry_run: MORE,
    };
    cast.counts(FIRST, counts).await
}

async fn enforced_again(cast: &mut Cast<'_>) -> Result<(), Failure> {
    cast.heading("6. Dry run off: the next one is refused; those that are open stay.")
        .await?;
    cast.set_dry_run(false).await?;
    cast.open(FIRST, 0, 1).await?;
    cast.event(EventState::Rejected).await?;
    cast.ping(FIRST, LIMIT + MORE).await?;
    let counts = Counts {
        connections: LIMIT + MORE,
        passed: PASSED,
        rejected: MORE + 1,
        rejected_dry_run: MORE,
    };
    cast.counts(FIRST, counts).await
}

async fn everybody_goes(cast: &mut Cast<'_>) -> Result<(), Failure> {
    cast.heading("7. `limiter zones addr`; then everybody closes.")
        .await?;
    let zone = render::zones::zone(&cast.zone().await?);
    cast.show.block(&zone)?;
    cast.close(FIRST, LIMIT + MORE).await?;
    cast.close(SECOND, FEW).await?;
    cast.all_gone().await
}
