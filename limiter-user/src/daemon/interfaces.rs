//! Network interfaces that come and go while the daemon runs.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::{error, warn};

use super::{log::notice, service::Daemon};
use crate::kernel::{Attachment, InterfaceWatch, Place, interface_names};

/// Pause after a failure, before all is looked at again.
const RETRY: Duration = Duration::from_secs(1);
/// Interfaces that a message names at the most.
const MAX_NAMES: usize = 20;

/// Follows the interfaces until dropped.
pub async fn run(mut watch: InterfaceWatch, daemon: Arc<Daemon>) {
    loop {
        if let Err(e) = watch.changed().await {
            error!("{e}");
            sleep(RETRY).await;
        }
        while let Err(e) = daemon.refresh_interfaces().await {
            error!("{e}");
            sleep(RETRY).await;
        }
    }
}

/// Says what is attached to a place, or why nothing is.
pub fn log_attachment(attachment: &Attachment) {
    match &attachment.waiting {
        Some(why) => warn!("waiting for {}: {why}", attachment.place),
        None => notice!("{}", attached_line(attachment)),
    }
}

/// Says which interfaces there are if one is missing: it may be a typing error.
pub fn log_present(attached: &[Attachment]) {
    let missing = attached
        .iter()
        .any(|it| it.waiting.is_some() && matches!(it.place, Place::Interface(_)));
    if missing {
        warn!("interfaces that are there: {}", some_of(&interface_names()));
    }
}

fn attached_line(attachment: &Attachment) -> String {
    let programs = attachment.programs.join(", ");
    let mut line = format!("attached to {}: {programs}", attachment.place);
    if let Some(mode) = attachment.mode {
        line.push_str(&format!(", {mode} mode"));
    }
    if let Some(why) = &attachment.fallback {
        line.push_str(&format!(" (native mode: {why})"));
    }
    line
}

fn some_of(names: &[String]) -> String {
    let mut text = names[..names.len().min(MAX_NAMES)].join(", ");
    if names.len() > MAX_NAMES {
        text.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::XdpMode;

    #[test]
    fn a_fallback_says_why() {
        let attachment = Attachment {
            place: Place::Interface("lo".to_owned()),
            programs: vec!["limiter_xdp"],
            mode: Some(XdpMode::Generic),
            fallback: Some("loopback has none".to_owned()),
            waiting: None,
        };
        assert_eq!(
            attached_line(&attachment),
            "attached to interface lo: limiter_xdp, generic mode (native mode: loopback has none)"
        );
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<_> = (0..MAX_NAMES + 3).map(|n| format!("v{n}")).collect();
        assert_eq!(some_of(&names[..2]), "v0, v1");
        assert!(some_of(&names).ends_with(", v19 and 3 more"));
    }
}
