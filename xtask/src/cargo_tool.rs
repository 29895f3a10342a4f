//! Subcommands of cargo that somebody else has written, each in one version.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::command::{output, repository, run};

/// Installed into `target/tools` if it is not there in this version.
pub struct CargoTool {
    /// Of the package and of the binary.
    pub name: &'static str,
    /// The version that is wanted.
    pub version: &'static str,
    /// For `cargo install`.
    pub options: &'static [&'static str],
}

impl CargoTool {
    /// Returns where it is.
    pub fn prepare(&self) -> Result<PathBuf> {
        let tools = repository().join("target/tools");
        let own = tools.join("bin").join(self.name);
        for candidate in [PathBuf::from(self.name), own.clone()] {
            if self.is_wanted_version(&candidate) {
                return Ok(candidate);
            }
        }
        run(Command::new("cargo")
            .args(["install", "--locked", "--version", self.version])
            .args(self.options)
            .arg("--root")
            .arg(&tools)
            .arg(self.name))?;
        Ok(own)
    }

    /// Some want the name that cargo would call them by.
    fn is_wanted_version(&self, candidate: &PathBuf) -> bool {
        let subcommand = self.name.trim_start_matches("cargo-");
        [&["--version"][..], &[subcommand, "--version"]]
            .iter()
            .filter_map(|arguments| output(Command::new(candidate).args(*arguments)).ok())
            .any(|said| said.ends_with(self.version))
    }
}
