//! What the dependencies are, where they come from, and what is known against them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cargo_tool::CargoTool,
    command::{repository, run},
};

/// Arguments of `cargo xtask supply-chain`.
#[derive(clap::Args)]
pub struct Args {
    /// Look up known weaknesses only, and fail if their database cannot be reached
    #[arg(long)]
    advisories: bool,
}

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    // Nothing of it runs long enough to be worth the time that optimizing takes.
    options: &["--debug", "--no-default-features"],
};

/// What has dependencies of its own.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "limiter-ebpf/Cargo.toml", "fuzz/Cargo.toml"];

/// Checks what `deny.toml` says.
pub fn run_task(args: &Args) -> Result<()> {
    let root = repository();
    let tool = CARGO_DENY.prepare()?;
    for manifest in MANIFESTS {
        let check = |what: &[&str]| check(&tool, &root, manifest, what);
        if args.advisories {
            check(&["advisories"]).context(
                "look up known weaknesses: what is found stands above; if it is that the database of \
                 RustSec cannot be reached, run this where it can",
            )?;
        } else {
            check(&["licenses", "bans", "sources"])?;
        }
    }
    if !args.advisories {
        eprintln!(
            "licences, versions and sources are as deny.toml wants them. Known weaknesses are NOT looked \
             up here, because that wants a network: cargo xtask supply-chain --advisories"
        );
    }
    Ok(())
}

fn check(tool: &PathBuf, root: &Path, manifest: &str, what: &[&str]) -> Result<()> {
    run(Command::new(tool)
        .current_dir(root)
        .args(["--locked", "--log-level=error", "--manifest-path", manifest])
        .arg("--config")
        .arg(root.join("deny.toml"))
        .args(["check", "--hide-inclusion-graph"])
        .args(what))
}
