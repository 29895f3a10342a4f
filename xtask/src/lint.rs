//! Everything that is checked without running anything: format, clippy, documentation.

use std::process::Command;

use anyhow::Result;

use crate::{
    build_ebpf::cargo_for_ebpf,
    command::{repository, run},
    toolchain::Toolchain,
};

/// Checks the workspace, then the programs on the BPF target.
pub fn run_task() -> Result<()> {
    let root = repository();
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(&root).args(arguments);
        command
    };
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    for apart in ["limiter-ebpf", "fuzz"] {
        run(cargo(&["fmt", "--check"]).current_dir(root.join(apart)))?;
    }
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-Dwarnings",
    ]))?;
    let toolchain = Toolchain::prepare()?;
    run(cargo_for_ebpf(&root, &toolchain, "clippy")?.args(["--", "-Dwarnings"]))?;
    run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-Dwarnings"))
}
