//! All tests: those of the crates, then end to end on this machine's kernel.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    command::{output, repository, run},
    other_versions,
};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Passed on to the end-to-end tests: a part of a test's name, or options of the test harness
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Turns on a switch of the end-to-end tests (tests/src/interface.rs): limiters are attached to
/// network interfaces as well.
const OVER_INTERFACES: &str = "LIMITER_TEST_INTERFACE";

/// Other settings of theirs (tests/tests/e2e/model.rs).
const PASSED_ON: [&str; 2] = ["LIMITER_MODEL_SEED", "LIMITER_MODEL_RUNS"];

/// Modules of the end-to-end tests in which no packet is limited, or which choose the interfaces by
/// themselves.
const ONCE: &[&str] = &[
    "audit",
    "bad_config",
    "bad_place",
    "changes",
    "command_line",
    "control_socket",
    "demo",
    "doctor",
    "guard",
    "harness",
    "harness_xdp",
    "import",
    "interface",
    "interface_changes",
    "interface_flood",
    "interface_life",
    "interface_refusal",
    "life::two_sets",
    "life::upgrade",
    "logging",
    "metrics",
    "model",
    "old_kernel",
    "packaging",
    "privileges",
    "same_words",
    "soak",
    "top",
    "upstream",
    "xdp_table",
];

/// Runs the tests, those of traffic twice: the limits have to hold in the same way whether or not
/// an interface refuses as well. Those that need root are run through sudo if we are not.
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
    let tests = build_end_to_end()?;
    for test in &tests {
        if wants_other_versions(test, args)? {
            let directory = test.executable.ancestors().nth(2);
            other_versions::build_into(directory.context("find where cargo puts binaries")?)?;
        }
    }
    let in_tests = |mut command: Command| {
        run(command
            .current_dir(root.join("tests"))
            .args(&args.arguments))
    };
    for test in &tests {
        in_tests(as_root(&test.executable, "")?)?;
    }
    for test in tests.iter().filter(|test| test.name == "e2e") {
        eprintln!("the same over network interfaces");
        let mut command = as_root(&test.executable, "1")?;
        for module in ONCE {
            command.args(["--skip", &format!("{module}::")]);
        }
        in_tests(command)?;
    }
    Ok(())
}

/// An executable of tests.
pub struct Test {
    /// Of cargo's target.
    pub name: String,
    /// Where it is.
    pub executable: PathBuf,
}

/// Whether a test is to run that needs them: they take minutes to build the first time.
fn wants_other_versions(test: &Test, args: &Args) -> Result<bool> {
    let list = output(
        Command::new(&test.executable)
            .args(&args.arguments)
            .arg("--list"),
    )?;
    Ok(list
        .lines()
        .any(|line| line.starts_with(other_versions::NEEDED_BY)))
}

/// Builds the test executables and reads from cargo's messages where they are.
pub fn build_end_to_end() -> Result<Vec<Test>> {
    let messages = output(Command::new("cargo").current_dir(repository()).args([
        "test",
        "-p",
        "tests",
        "--no-run",
        "--locked",
        "--message-format=json",
    ]))?;
    let mut tests = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("read cargo's messages")?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        if let (true, Some(path)) = (is_test, message["executable"].as_str()) {
            tests.push(Test {
                name: message["target"]["name"].as_str().unwrap_or("").to_owned(),
                executable: path.into(),
            });
        }
    }
    Ok(tests)
}

fn as_root(executable: &Path, over_interfaces: &str) -> Result<Command> {
    let user = output(Command::new("id").arg("-u"))?;
    if user == "0" {
        let mut command = Command::new(executable);
        command.env(OVER_INTERFACES, over_interfaces);
        return Ok(command);
    }
    eprintln!("the end-to-end tests load eBPF programs: sudo");
    let mut command = Command::new("sudo");
    // sudo drops what it does not know.
    command
        .arg("env")
        .arg(format!("{OVER_INTERFACES}={over_interfaces}"))
        .args(PASSED_ON.iter().filter_map(|name| {
            let value = std::env::var(name).ok()?;
            Some(format!("{name}={value}"))
        }))
        .arg(executable);
    Ok(command)
}
