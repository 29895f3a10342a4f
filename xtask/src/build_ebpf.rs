//! Builds the eBPF object that limiter-user embeds.
//!
//! The object is committed, together with a record of the sources and tools it was made from, so
//! that `cargo build` needs stable Rust and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, SectionData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    command::{repository, run},
    toolchain::{BPF_LINKER_VERSION, RUST_VERSION, Toolchain},
};

/// Arguments of `cargo xtask build-ebpf`.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing: fail if the committed object is not what the sources give
    #[arg(long)]
    check: bool,
    /// With --check: compare the record of the sources only, do not rebuild
    #[arg(long, requires = "check")]
    sources_only: bool,
}

const OBJECT: &str = "limiter-user/src/kernel/object/limiter.bpf.o";
const RECORD: &str = "limiter-user/src/kernel/object/limiter.bpf.json";
/// Everything that the object is made from.
const SOURCES: [&str; 6] = [
    "limiter-common/Cargo.toml",
    "limiter-common/src",
    "limiter-ebpf/Cargo.toml",
    "limiter-ebpf/Cargo.lock",
    "limiter-ebpf/src",
    "xtask/src/build_ebpf.rs",
];

/// What the committed object was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    rustc: String,
    bpf_linker: String,
    object_sha256: String,
    sources_sha256: BTreeMap<String, String>,
}

/// Builds the object, or checks it.
pub fn run_task(args: &Args) -> Result<()> {
    let root = repository();
    if args.check {
        check_record(&root)?;
        if args.sources_only {
            return Ok(());
        }
    }
    let built = build(&root)?;
    if args.check {
        let committed = read(&root.join(OBJECT))?;
        if built != committed {
            bail!(
                "{OBJECT} ({}) is not what its sources give ({}); \
                 run `cargo xtask build-ebpf` and commit the result",
                sha256(&committed),
                sha256(&built)
            );
        }
        eprintln!("{OBJECT}: rebuilt, byte for byte the same");
        return Ok(());
    }
    let record = Record {
        rustc: RUST_VERSION.to_owned(),
        bpf_linker: BPF_LINKER_VERSION.to_owned(),
        object_sha256: sha256(&built),
        sources_sha256: hash_sources(&root)?,
    };
    write(&root.join(OBJECT), &built)?;
    let mut json = serde_json::to_vec_pretty(&record).context("write the record")?;
    json.push(b'\n');
    write(&root.join(RECORD), &json)?;
    eprintln!("{OBJECT}: {} bytes", built.len());
    Ok(())
}

/// Compares object and sources with the record.
fn check_record(root: &Path) -> Result<()> {
    let record: Record = serde_json::from_slice(&read(&root.join(RECORD))?)
        .with_context(|| format!("read {RECORD}"))?;
    let committed = sha256(&read(&root.join(OBJECT))?);
    if committed != record.object_sha256 {
        bail!("{OBJECT} is not the object that {RECORD} describes");
    }
    let now = hash_sources(root)?;
    let changed: Vec<_> = now
        .iter()
        .filter(|(path, hash)| record.sources_sha256.get(*path) != Some(hash))
        .map(|(path, _)| path.as_str())
        .chain(
            record
                .sources_sha256
                .keys()
                .filter(|path| !now.contains_key(*path))
                .map(String::as_str),
        )
        .collect();
    if !changed.is_empty() {
        bail!(
            "{OBJECT} is older than its sources (changed: {}); \
             run `cargo xtask build-ebpf` and commit the result",
            changed.join(", ")
        );
    }
    eprintln!("{OBJECT}: agrees with its sources");
    Ok(())
}

fn build(root: &Path) -> Result<Vec<u8>> {
    let toolchain = Toolchain::prepare()?;
    let target = root.join("target/ebpf");
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Or else LLVM clears memory with calls of a loop over bytes, not with wide stores.
        "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
        // Atomics with fetch and compare-and-exchange.
        "-Ctarget-cpu=v3".to_owned(),
        format!("-Clinker={}", toolchain.bpf_linker.display()),
        // The object must not depend on where it was built.
        format!("--remap-path-prefix={}=limiter", root.display()),
        format!("--remap-path-prefix={}=cargo", cargo_home()?.display()),
        format!("--remap-path-prefix={}=rust", toolchain.sysroot.display()),
    ];
    run(Command::new("cargo")
        .current_dir(root.join("limiter-ebpf"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .args(["build", "--quiet", "--locked", "--release"])
        .args(["-Z", "build-std=core", "--target", "bpfel-unknown-none"]))?;
    strip(&read(&target.join("bpfel-unknown-none/release/limiter"))?)
}

/// Keeps what the loader and the verifier's messages need: programs, maps, relocations, BTF.
fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(elf).context("read the object")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        if name.starts_with(b".debug") || name.starts_with(b".rel.debug") {
            section.delete = true;
        }
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections and symbols in one table, the builder wants two.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder.write(&mut stripped).context("write the object")?;
    Ok(stripped)
}

fn hash_sources(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let mut pending: Vec<PathBuf> = SOURCES.iter().map(|path| root.join(path)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path).with_context(|| format!("list {}", path.display()))? {
                pending.push(entry?.path());
            }
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path);
            hashes.insert(name.display().to_string(), sha256(&read(&path)?));
        }
    }
    Ok(hashes)
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cargo"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
