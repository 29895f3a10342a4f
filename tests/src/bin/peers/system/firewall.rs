//! Rules of the kernel's own firewall.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::{netns::NetNs, process};

use super::{Refusal, Rules, debian_command, fill};
use crate::scene::Scene;

/// The rules of nftables.
pub(super) fn nftables_text(rules: Rules) -> String {
    let verdict = match rules.refusal {
        Refusal::Drop => "drop",
        Refusal::Reset => "reject with tcp reset",
    };
    fill(include_str!("../setup/nftables.nft"), rules).replace("VERDICT", verdict)
}

/// Loads a ruleset in the namespace of the servers.
pub fn nft(scene: &Scene, text: &str) -> Result<()> {
    nft_in(&scene.world.netns, scene, text)
}

/// Loads a ruleset in another one; the file is written where those of the scene are.
pub fn nft_in(netns: &NetNs, scene: &Scene, text: &str) -> Result<()> {
    let file = scene.world.write("ruleset.nft", text);
    let mut command = debian_command("nft", "nftables");
    command.arg("-f").arg(file);
    must_run(command, netns)
}

/// Puts the rules of iptables in force, in place of those that are.
pub(super) fn iptables(scene: &Scene, rules: Rules) -> Result<()> {
    let text = fill(include_str!("../setup/iptables.rules"), rules);
    let file = scene.world.write("iptables.rules", &text);
    let mut command = debian_command("iptables-nft-restore", "iptables");
    command.arg(file);
    must_run(command, &scene.world.netns)
}

fn must_run(command: Command, netns: &NetNs) -> Result<()> {
    let name = format!("{command:?}");
    let output = process::run(command, Some(netns));
    ensure!(output.code == Some(0), "{name}: {}", output.stderr);
    Ok(())
}
