//! Versions of limiter that lay out their maps in another way, for the tests of an upgrade: what one
//! version has left in the kernel, another one finds.
//!
//! Each is made from a copy of the sources with a few words replaced, with programs and daemon of its
//! own. The copies and what is built from them stay, so only what has changed is built again.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    build_ebpf::cargo_for_ebpf,
    command::{repository, run},
    toolchain::Toolchain,
};

/// The tests that need them.
pub const NEEDED_BY: &str = "life::upgrade::";

/// One version, and what it has otherwise.
struct Version {
    /// Of the binary, after `limiter-`.
    name: &'static str,
    replacements: &'static [Replacement],
}

/// In a file, a text that stands in it once, and what stands there instead.
type Replacement = (&'static str, &'static str, &'static str);

const ENTRY: &str = "limiter-common/src/entry.rs";
const TOKEN: &str = "limiter-common/src/token.rs";
const COUNTERS: &str = "limiter-common/src/counters.rs";

const VERSIONS: [Version; 2] = [
    // Fields more in the middle of values. The counters are as they were.
    Version {
        name: "longer",
        replacements: &[
            (
                ENTRY,
                "    pub entries: u64,\n",
                "    pub entries: u64,\n    /// Of another version.\n    pub added: u64,\n",
            ),
            (
                ENTRY,
                "size_of::<ZoneState>() == 80",
                "size_of::<ZoneState>() == 88",
            ),
            (
                TOKEN,
                "    pub opened_ns: u64,\n",
                "    pub opened_ns: u64,\n    /// Of another version.\n    pub added: u64,\n",
            ),
            (
                TOKEN,
                "size_of::<Token>() == 56",
                "size_of::<Token>() == 64",
            ),
            (
                TOKEN,
                "72 + size_of::<Token>() <= 256",
                "64 + size_of::<Token>() <= 256",
            ),
        ],
    },
    // Every size is the same, and nothing means the same.
    Version {
        name: "swapped",
        replacements: &[
            (ENTRY, "    pub occupancy: u64,\n", "    pub moved: u64,\n"),
            (
                ENTRY,
                "    pub refusals: u64,\n",
                "    pub occupancy: u64,\n",
            ),
            (ENTRY, "    pub moved: u64,\n", "    pub refusals: u64,\n"),
            (COUNTERS, "    pub passed: u64,\n", "    pub moved: u64,\n"),
            (
                COUNTERS,
                "    pub rejected: u64,\n",
                "    pub passed: u64,\n",
            ),
            (
                COUNTERS,
                "    pub moved: u64,\n",
                "    pub rejected: u64,\n",
            ),
        ],
    },
];

/// What a copy has of the repository.
const COPIED: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "limiter-common",
    "limiter-ebpf",
    "limiter-user",
    "tests",
    "xtask",
];

const MANIFEST: &str = "Cargo.toml";
/// Of the workspace, as they stand in Cargo.lock.
const CRATES: [&str; 4] = ["limiter-common", "limiter-user", "tests", "xtask"];
const OBJECT: &str = "limiter-user/src/kernel/object/limiter.bpf.o";

/// Builds every version, and puts the binaries, `limiter-NAME`, into a directory.
pub fn build_into(directory: &Path) -> Result<()> {
    let root = repository();
    let place = root.join("target/other-versions");
    let toolchain = Toolchain::prepare()?;
    for version in &VERSIONS {
        let copy = place.join(version.name);
        copy_sources(&root, &copy, version)?;
        run(&mut cargo_for_ebpf(&copy, &toolchain, "build")?)?;
        write_if_changed(
            &copy.join(OBJECT),
            &read(&copy.join("target/ebpf/bpfel-unknown-none/release/limiter"))?,
        )?;
        let built = place.join("built");
        run(Command::new("cargo")
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", &built)
            .args(["build", "--quiet", "--locked", "--package", "limiter-user"]))?;
        let name = format!("limiter-{}", version.name);
        let (from, to) = (built.join("debug/limiter"), directory.join(name));
        // In place of the old one, which may be running.
        let fresh = to.with_extension("new");
        fs::copy(&from, &fresh)
            .and_then(|_| fs::rename(&fresh, &to))
            .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Brings a copy up to date. Files that have not changed keep their times, or else cargo would build
/// everything again.
fn copy_sources(root: &Path, copy: &Path, version: &Version) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for part in COPIED {
        wanted.extend(files(root, Path::new(part))?);
    }
    for path in &wanted {
        let mut bytes = read(&root.join(path))?;
        for (_, from, to) in version
            .replacements
            .iter()
            .filter(|(file, ..)| path == Path::new(file))
        {
            let text = String::from_utf8(bytes).context("read a source")?;
            if text.matches(from).count() != 1 {
                bail!(
                    "{} does not have {from:?} once: xtask/src/other_versions.rs has to follow it",
                    path.display()
                );
            }
            bytes = text.replace(from, to).into_bytes();
        }
        if path.file_name().is_some_and(|name| name == "Cargo.lock") || path == Path::new(MANIFEST)
        {
            let text = String::from_utf8(bytes).context("read a manifest")?;
            bytes = with_version(text, version.name).into_bytes();
        }
        // It has one of its own.
        if path != Path::new(OBJECT) {
            write_if_changed(&copy.join(path), &bytes)?;
        }
    }
    for part in COPIED {
        for path in files(copy, Path::new(part))? {
            if !wanted.contains(&path) {
                fs::remove_file(copy.join(&path))
                    .with_context(|| format!("remove {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Gives the crates of the workspace a version of their own. Without it, cargo would take crates of two
/// copies for the same one, and use what it has built of the other.
fn with_version(mut text: String, name: &str) -> String {
    const OURS: &str = env!("CARGO_PKG_VERSION");
    for before in ["[workspace.package]".to_owned()]
        .into_iter()
        .chain(CRATES.map(|name| format!("name = \"{name}\"")))
    {
        let line = |version: &str| format!("{before}\nversion = \"{version}\"\n");
        text = text.replace(&line(OURS), &line(&format!("{OURS}-{name}")));
    }
    text
}

/// The files below a path, relative to the root.
fn files(root: &Path, path: &Path) -> Result<Vec<PathBuf>> {
    let whole = root.join(path);
    if whole.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !whole.is_dir() || path.file_name().is_some_and(|name| name == "target") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&whole).with_context(|| format!("list {}", whole.display()))? {
        found.extend(files(root, &path.join(entry?.file_name()))?);
    }
    Ok(found)
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("write {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
