//! Packages. The pages and completions in them are written by the very binary that is packed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::{
    cargo_tool::CargoTool,
    command::{output, repository, run},
};

/// Arguments of `cargo xtask package`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    package: Package,
}

#[derive(Subcommand)]
enum Package {
    /// A Debian package of this machine's architecture, in target/debian
    Deb {
        /// The profile that limiter is built with
        #[arg(long, default_value = "release")]
        profile: String,
        /// Where to put the package, a file or a directory
        #[arg(long, value_name = "PATH", default_value = "target/debian")]
        output: PathBuf,
    },
}

const CARGO_DEB: CargoTool = CargoTool {
    name: "cargo-deb",
    version: "3.8.0",
    // Its default features are a C library for what xz(1) does as well.
    options: &["--no-default-features"],
};

const CARGO_CYCLONEDX: CargoTool = CargoTool {
    name: "cargo-cyclonedx",
    version: "0.5.9",
    options: &["--debug"],
};

/// Builds one package, and prints where it is.
pub fn run_task(args: &Args) -> Result<()> {
    let Package::Deb { profile, output } = &args.package;
    let root = repository();
    check_changelog(&root)?;
    let limiter = build(&root, profile)?;
    write_documents(&limiter, &root.join("target/package"))?;
    prepare_dpkg_dev()?;
    write_bill_of_materials(&root, &root.join("target/package"))?;
    let cargo_deb = CARGO_DEB.prepare()?;
    run(Command::new(cargo_deb)
        .current_dir(&root)
        .args(["--package", "limiter-user", "--no-build", "--strip"])
        // It warns of every file that cargo has not made.
        .arg("--quiet")
        .args(["--profile", profile])
        .arg("--output")
        .arg(output))
}

/// The version of the package is that of the crate; Debian's changelog has to know it.
fn check_changelog(root: &Path) -> Result<()> {
    const CHANGELOG: &str = "packaging/debian/changelog";
    let text =
        fs::read_to_string(root.join(CHANGELOG)).with_context(|| format!("read {CHANGELOG}"))?;
    let version = env!("CARGO_PKG_VERSION");
    let begins = format!("limiter ({version}-1) ");
    if !text.starts_with(&begins) {
        bail!("{CHANGELOG} does not begin with \"{begins}\": write an entry for version {version}");
    }
    Ok(())
}

/// Builds the binary. Returns where cargo has put it.
fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let messages = output(Command::new("cargo").current_dir(root).args([
        "build",
        "--locked",
        "--package=limiter-user",
        "--bin=limiter",
        "--message-format=json-render-diagnostics",
        "--profile",
        profile,
    ]))?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.context("find the binary in cargo's messages")
}

/// Manual pages and completions.
fn write_documents(limiter: &Path, into: &Path) -> Result<()> {
    // What a command left there that no longer exists must not be packed.
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("remove {}", into.display()))?;
    }
    let (man, completions) = (into.join("man"), into.join("completions"));
    for directory in [&man, &completions] {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    run(Command::new(limiter).arg("man").arg(&man))?;
    for (shell, name) in [
        ("bash", "limiter"),
        ("zsh", "_limiter"),
        ("fish", "limiter.fish"),
    ] {
        let script = output(Command::new(limiter).args(["completions", shell]))?;
        let path = completions.join(name);
        fs::write(&path, script + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// cargo-deb asks `dpkg-shlibdeps` what the binary depends on, `strip` and `xz`, which come with it.
fn prepare_dpkg_dev() -> Result<()> {
    if output(Command::new("dpkg-shlibdeps").arg("--version")).is_ok() {
        return Ok(());
    }
    let install = ["install", "--yes", "--no-install-recommends", "dpkg-dev"];
    run(Command::new("apt-get").args(install))
        .or_else(|_| {
            run(Command::new("apt-get").arg("update"))?;
            run(Command::new("apt-get").args(install))
        })
        .context("install dpkg-dev, which building a Debian package needs")
}

/// What the binary is made of, in CycloneDX.
fn write_bill_of_materials(root: &Path, into: &Path) -> Result<()> {
    const NAME: &str = "limiter.cdx";
    let tool = CARGO_CYCLONEDX.prepare()?;
    run(Command::new(tool)
        .current_dir(root)
        // Without a date of its own, the same sources give the same file.
        .env("SOURCE_DATE_EPOCH", "0")
        .args(["cyclonedx", "--manifest-path", "limiter-user/Cargo.toml"])
        .args(["--format", "json", "--spec-version", "1.5", "--quiet"])
        .args(["--target", "all", "--override-filename", NAME]))?;
    // It writes one beside the manifest of each crate of the workspace.
    let file = format!("{NAME}.json");
    let written = |member: &str| root.join(member).join(&file);
    let text = fs::read_to_string(written("limiter-user")).context("read the bill of materials")?;
    for member in ["limiter-common", "limiter-user", "tests", "xtask"] {
        let path = written(member);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    // Where it was built is nobody's concern, and must not change the file.
    let here = format!("file://{}", root.display());
    let to = into.join(&file);
    fs::write(&to, text.replace(&here, "file:///limiter"))
        .with_context(|| format!("write {}", to.display()))
}
