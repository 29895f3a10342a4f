//! Debian's packages, of any suite, without installing them. apt does the work, with lists of its own
//! beside those of the machine: so it is apt that checks signatures and hashes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command::{output, run};

/// Who signs Debian's suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of the mirror that the machine uses.
pub struct Suite {
    name: String,
    /// Its lists of packages.
    directory: PathBuf,
}

impl Suite {
    /// Fetches the suite's lists into a directory.
    pub fn fetch(name: &str, directory: &Path) -> Result<Self> {
        let lists = directory.join("lists/partial");
        fs::create_dir_all(&lists).with_context(|| format!("create {}", lists.display()))?;
        let list = directory.join("sources.list");
        let line = format!("deb [signed-by={KEYRING}] {} {name} main\n", mirror()?);
        fs::write(&list, line).with_context(|| format!("write {}", list.display()))?;
        let suite = Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
        };
        // Without this, apt takes a mirror that it does not reach for a warning.
        run(suite.apt("apt-get").args(["update", "--error-on=any"]))
            .with_context(|| format!("fetch the packages of Debian's suite {name}: is the mirror of this machine's apt sources within reach?"))?;
        Ok(suite)
    }

    /// The versions of a package that the suite has, the newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = output(self.apt("apt-cache").args(["madison", package]))?;
        Ok(table
            .lines()
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect())
    }

    /// What a package depends on, and what that depends on: names of packages.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let tree = output(self.apt("apt-cache").args([
            "depends",
            "--recurse",
            "--important",
            "--no-pre-depends",
            package,
        ]))?;
        // A package stands at the beginning of its line, what it depends on behind it.
        let name = |line: &str| (!line.starts_with([' ', '<'])).then(|| line.to_owned());
        Ok(tree.lines().filter_map(name).collect())
    }

    /// Downloads packages, `NAME` or `NAME=VERSION`, and unpacks them into a directory.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        download_and_unpack(self.apt("apt-get"), packages, into)
            .with_context(|| format!("of Debian's suite {}", self.name))
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        let place = |name: &str| self.directory.join(name).display().to_string();
        apt.arg("-qq")
            .arg(format!("-oDir::Etc::SourceList={}", place("sources.list")))
            .arg("-oDir::Etc::SourceParts=-")
            .arg(format!("-oDir::State::Lists={}", place("lists")))
            .arg("-oAcquire::Languages=none")
            .arg("-oAPT::Sandbox::User=root");
        apt
    }
}

/// Downloads packages of the machine's own release, with those that they need and the machine does not
/// have, and unpacks them into a directory.
pub fn unpack_with_libraries(packages: &[&str], into: &Path) -> Result<()> {
    let missing = || {
        let plan = output(
            Command::new("apt-get")
                .args(["install", "--simulate", "--no-install-recommends"])
                .args(packages),
        )?;
        let name = |line: &str| Some(line.strip_prefix("Inst ")?.split(' ').next()?.to_owned());
        anyhow::Ok(plan.lines().filter_map(name).collect::<Vec<_>>())
    };
    let attempt = || download_and_unpack(Command::new("apt-get"), &missing()?, into);
    attempt()
        .or_else(|_| {
            run(Command::new("apt-get").arg("update"))?;
            attempt()
        })
        .with_context(|| {
            format!(
                "get {} from Debian: is this machine a Debian, and its mirror within reach?",
                packages.join(", ")
            )
        })
}

fn download_and_unpack(mut apt: Command, packages: &[String], into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    let scratch = tempfile::tempdir_in(into).context("make a temporary directory")?;
    run(apt
        .current_dir(scratch.path())
        .arg("download")
        .args(packages))?;
    let list = |directory: &Path| fs::read_dir(directory).context("list what apt has downloaded");
    for entry in list(scratch.path())? {
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(entry?.path())
            .arg(into))?;
    }
    Ok(())
}

/// Where the machine gets its own packages.
fn mirror() -> Result<String> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(SITE)",
        "Created-By: Packages",
    ]))?;
    let site = targets
        .lines()
        .find_map(|line| line.strip_prefix("Debian "));
    let Some(site) = site else {
        // apt tells what it has lists of.
        bail!("find a Debian mirror in the sources of apt: run `apt-get update` on a Debian first");
    };
    Ok(site.to_owned())
}
