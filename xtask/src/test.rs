//! All tests: those of the crates, then end to end on this machine's kernel.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::command::{output, repository, run};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Passed on to the end-to-end tests: a part of a test's name, or options of the test harness
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs the tests. Those that need root are run through sudo if we are not.
pub fn run_task(args: &Args) -> Result<()> {
    let root = repository();
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(&root).args(arguments);
        command
    };
    run(&mut cargo(&["build", "--workspace", "--locked"]))?;
    run(&mut cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "tests",
        "--locked",
    ]))?;
    for executable in end_to_end(&mut cargo(&[
        "test",
        "-p",
        "tests",
        "--no-run",
        "--locked",
        "--message-format=json",
    ]))? {
        run(as_root(&executable)?
            .current_dir(root.join("tests"))
            .args(&args.arguments))?;
    }
    Ok(())
}

/// Builds the test executables and reads from cargo's messages where they are.
fn end_to_end(build: &mut Command) -> Result<Vec<PathBuf>> {
    let messages = output(build)?;
    let mut executables = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("read cargo's messages")?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        if let (true, Some(path)) = (is_test, message["executable"].as_str()) {
            executables.push(path.into());
        }
    }
    Ok(executables)
}

fn as_root(executable: &PathBuf) -> Result<Command> {
    let user = output(Command::new("id").arg("-u"))?;
    if user == "0" {
        return Ok(Command::new(executable));
    }
    eprintln!("the end-to-end tests load eBPF programs: sudo");
    let mut command = Command::new("sudo");
    command.arg(executable);
    Ok(command)
}
