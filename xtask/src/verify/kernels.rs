//! The kernels, out of Debian's packages: the image and the modules that the tests need.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;

use crate::debian::Suite;

/// A kernel that can be asked for.
pub struct Choice {
    name: &'static str,
    /// Whose newest kernel it is.
    suite: &'static str,
}

const CHOICES: [Choice; 3] = [
    Choice {
        name: "6.1",
        suite: "bookworm",
    },
    Choice {
        name: "6.12",
        suite: "trixie",
    },
    Choice {
        name: "newest",
        suite: "trixie-backports",
    },
];

/// What the command line takes.
pub fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(CHOICES.map(|choice| choice.name))
}

/// Those with these names; all, if there is no name.
pub fn chosen(names: &[String]) -> impl Iterator<Item = &'static Choice> {
    CHOICES
        .iter()
        .filter(|choice| names.is_empty() || names.iter().any(|name| name == choice.name))
}

/// A kernel that is there.
pub struct Kernel {
    /// What it is asked for with.
    pub name: &'static str,
    /// As uname(1) says, `6.1.0-50-cloud-amd64`.
    pub release: String,
    /// The first two numbers of its version.
    pub version: (u32, u32),
    /// What boots.
    pub image: PathBuf,
    /// Its modules, and a list of those that are built in.
    pub modules: PathBuf,
}

/// Depends on the image of the suite's kernel for virtual machines: a few drivers, and boots at once.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// How the packages begin that have the image and its modules. Later versions have a package for each.
const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

impl Kernel {
    /// Downloads it, unless it is there.
    pub fn prepare(choice: &Choice, place: &Path, update: bool) -> Result<Self> {
        let directory = place.join("kernels").join(choice.name);
        let unpacked = directory.join("unpacked");
        if update || !unpacked.exists() {
            eprintln!("Linux {}: fetching Debian's package", choice.name);
            let fresh = directory.join("fresh");
            remove(&fresh)?;
            let suite = Suite::fetch(choice.suite, &directory.join("apt"))?;
            let mut packages = suite.depends(PACKAGE)?;
            packages.retain(|name| PARTS.iter().any(|part| name.starts_with(part)));
            suite.unpack(&packages, &fresh)?;
            // Complete, or not there.
            remove(&unpacked)?;
            fs::rename(&fresh, &unpacked).with_context(|| format!("rename {}", fresh.display()))?;
        }
        find(choice.name, &unpacked)
            .with_context(|| format!("look for a kernel in {}", unpacked.display()))
    }
}

fn remove(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))
}

fn find(name: &'static str, unpacked: &Path) -> Result<Kernel> {
    let releases = ["usr/lib/modules", "lib/modules"].map(|path| unpacked.join(path));
    let modules = releases
        .iter()
        .filter_map(|path| fs::read_dir(path).ok())
        .flatten()
        .find_map(|entry| Some(entry.ok()?.path()))
        .context("find its modules")?;
    let release = modules
        .file_name()
        .and_then(|name| name.to_str())
        .context("read its release")?
        .to_owned();
    let images = [
        unpacked.join(format!("boot/vmlinuz-{release}")),
        modules.join("vmlinuz"),
    ];
    let image = images.into_iter().find(|path| path.exists());
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|number| number.parse().ok());
    let version = numbers.next().zip(numbers.next());
    Ok(Kernel {
        name,
        version: version.with_context(|| format!("read the version {release}"))?,
        release,
        image: image.context("find its image")?,
        modules,
    })
}
