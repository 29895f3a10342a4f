//! What building the eBPF object needs beyond stable Rust: the sources of the standard library and
//! bpf-linker. Both are found or set up here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    command::{output, repository, run},
    debian::Suite,
};

/// The compiler that the committed object was built with. Another one gives other bytes.
pub const RUST_VERSION: &str = "1.95.0";

/// Its default build uses the LLVM of the compiler.
pub const BPF_LINKER_VERSION: &str = "0.10.3";

/// A complete toolchain.
pub struct Toolchain {
    /// Path of bpf-linker.
    pub bpf_linker: PathBuf,
    /// Directory of the compiler.
    pub sysroot: PathBuf,
}

impl Toolchain {
    /// Finds the toolchain and sets up what is missing.
    pub fn prepare() -> Result<Self> {
        let version = output(Command::new("rustc").arg("--version"))?;
        if !version.starts_with(&format!("rustc {RUST_VERSION} ")) {
            bail!(
                "the eBPF object is built with rustc {RUST_VERSION}, found {version}; \
                 install that version (`rustup toolchain install {RUST_VERSION}`)"
            );
        }
        let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?);
        prepare_standard_library(&sysroot)?;
        Ok(Self {
            bpf_linker: prepare_bpf_linker()?,
            sysroot,
        })
    }
}

fn prepare_standard_library(sysroot: &Path) -> Result<()> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if library.join("Cargo.lock").exists() {
        return Ok(());
    }
    let rustup = run(Command::new("rustup").args(["component", "add", "rust-src"]));
    if library.join("Cargo.lock").exists() {
        return Ok(());
    }
    eprintln!(
        "rustup has not installed rust-src ({}); trying Debian's package",
        rustup
            .err()
            .map_or("no error".to_owned(), |e| e.to_string())
    );
    let scratch = tempfile::tempdir().context("make a temporary directory")?;
    unpack_debian_source(scratch.path())?;
    let unpacked = scratch
        .path()
        .join(format!("unpacked/usr/src/rustc-{RUST_VERSION}/library"));
    let parent = library.parent().context("the library has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    run(Command::new("cp").arg("-r").arg(&unpacked).arg(parent))
}

/// Unpacks Debian's `rust-src` of exactly our version. It is in the backports of the release after
/// the one that this machine may run.
fn unpack_debian_source(into: &Path) -> Result<()> {
    let suite = Suite::fetch("trixie-backports", into)?;
    let versions = suite.versions("rust-src")?;
    let version = versions
        .iter()
        .find(|version| version.starts_with(RUST_VERSION))
        .with_context(|| {
            format!(
                "find rust-src {RUST_VERSION} among: {}",
                versions.join(", ")
            )
        })?;
    suite.unpack(&[format!("rust-src={version}")], &into.join("unpacked"))
}

fn prepare_bpf_linker() -> Result<PathBuf> {
    let root = repository().join("target/tools");
    let own = root.join("bin/bpf-linker");
    for candidate in [PathBuf::from("bpf-linker"), own.clone()] {
        if output(Command::new(&candidate).arg("--version"))
            .is_ok_and(|version| version == format!("bpf-linker {BPF_LINKER_VERSION}"))
        {
            return Ok(candidate);
        }
    }
    run(Command::new("cargo")
        .args(["install", "--locked", "--version", BPF_LINKER_VERSION])
        .arg("--root")
        .arg(&root)
        .arg("bpf-linker"))?;
    Ok(own)
}
