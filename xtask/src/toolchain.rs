//! What building the eBPF object needs beyond stable Rust: the sources of the standard library and
//! bpf-linker. Both are found or set up here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command::{output, repository, run};

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
    let package = download_debian_source(scratch.path())?;
    run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(&package)
        .arg(scratch.path().join("unpacked")))?;
    let unpacked = scratch
        .path()
        .join(format!("unpacked/usr/src/rustc-{RUST_VERSION}/library"));
    let parent = library.parent().context("the library has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    run(Command::new("cp").arg("-r").arg(&unpacked).arg(parent))
}

/// Downloads Debian's `rust-src` of exactly our version. It is in the backports of the release after
/// the one that this machine may run, so apt gets a source list of its own, on the same mirror.
fn download_debian_source(into: &Path) -> Result<PathBuf> {
    let mirror = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(SITE)",
        "Created-By: Packages",
    ]))?
    .lines()
    .find_map(|line| line.strip_prefix("Debian "))
    .context("find a Debian mirror in the sources of apt")?
    .to_owned();
    let list = into.join("sources.list");
    fs::write(
        &list,
        format!(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
             {mirror} trixie-backports main\n"
        ),
    )
    .with_context(|| format!("write {}", list.display()))?;
    let lists = into.join("lists/partial");
    fs::create_dir_all(&lists).with_context(|| format!("create {}", lists.display()))?;
    let apt = |program: &str| {
        let mut apt = Command::new(program);
        apt.current_dir(into)
            .arg("-qq")
            .arg(format!("-oDir::Etc::SourceList={}", list.display()))
            .arg("-oDir::Etc::SourceParts=-")
            .arg(format!(
                "-oDir::State::Lists={}",
                into.join("lists").display()
            ))
            .arg("-oAPT::Sandbox::User=root");
        apt
    };
    run(apt("apt-get").arg("update"))?;
    let versions = output(apt("apt-cache").args(["madison", "rust-src"]))?;
    let version = versions
        .split('|')
        .map(str::trim)
        .find(|field| field.starts_with(RUST_VERSION))
        .with_context(|| format!("find rust-src {RUST_VERSION} among: {versions}"))?
        .to_owned();
    run(apt("apt-get")
        .arg("download")
        .arg(format!("rust-src={version}")))?;
    fs::read_dir(into)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("find the package that apt has downloaded")
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
