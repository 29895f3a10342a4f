//! What the machine has: one archive in memory, made anew for each run.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{emulator::Emulator, kernels::Kernel};
use crate::command::{output, run};

/// Modules that the tests want, in the order in which they are loaded.
const MODULES: [&str; 4] = ["inet_diag", "tcp_diag", "veth", "tun"];

/// Beside the tests: what they start.
const PROGRAMS: [&str; 2] = ["limiter", "peer"];

/// The first process.
const INIT: &str = include_str!("init.sh");

/// Writes the archive for a kernel and some tests. Returns where it is.
pub fn build(
    kernel: &Kernel,
    emulator: &Emulator,
    e2e: &Path,
    tests: &[String],
    place: &Path,
) -> Result<PathBuf> {
    let scratch = tempfile::tempdir_in(place).context("make a directory for the machine")?;
    let root = scratch.path();
    for directory in [
        "bin", "dev", "limiter", "modules", "proc", "sys", "tmp", "run",
    ] {
        let path = root.join(directory);
        fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
    }
    copy(&emulator.busybox(), &root.join("bin/busybox"))?;
    write(
        &root.join("limiter/tests"),
        (tests.join("\n") + "\n").as_bytes(),
    )?;
    write(&root.join("init"), INIT.as_bytes())?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))
        .context("make init executable")?;
    programs(e2e, root)?;
    modules(kernel, emulator, root)?;
    let image = place.join(format!("{}.image", kernel.name));
    let archive = "find . | \"$1\" cpio -o -H newc > \"$2\"";
    run(Command::new("sh")
        .current_dir(root)
        .args(["-e", "-c", archive, "archive"])
        .args([&emulator.busybox(), &image]))?;
    Ok(image)
}

/// The tests, what they start, and the libraries of both.
fn programs(e2e: &Path, root: &Path) -> Result<()> {
    let built = e2e
        .ancestors()
        .nth(2)
        .context("find where cargo puts binaries")?;
    let mut programs = vec![("e2e", e2e.to_owned())];
    programs.extend(PROGRAMS.map(|name| (name, built.join(name))));
    let mut libraries = BTreeSet::new();
    for (name, path) in programs {
        let to = root.join("limiter").join(name);
        // Lines of backtraces would be nice to have, and take ten times the memory.
        run(Command::new("strip").arg("-o").arg(&to).arg(&path))?;
        let list = output(Command::new("ldd").arg(&path))?;
        let paths = list.split_whitespace().filter(|word| word.starts_with('/'));
        libraries.extend(paths.map(PathBuf::from));
    }
    for library in &libraries {
        let inside = library.strip_prefix("/").context("read ldd's list")?;
        copy(library, &root.join(inside))?;
    }
    Ok(())
}

fn modules(kernel: &Kernel, emulator: &Emulator, root: &Path) -> Result<()> {
    // Not every version's packages have the list.
    let list = fs::read_to_string(kernel.modules.join("modules.builtin"));
    let built_in = list.unwrap_or_default();
    let all = output(
        Command::new("find")
            .arg(&kernel.modules)
            .args(["-name", "*.ko*"]),
    )?;
    for (number, name) in MODULES.iter().enumerate() {
        let file = format!("/{name}.ko");
        let to = root.join(format!("modules/{number}-{name}.ko"));
        let from = all
            .lines()
            .find(|path| path.trim_end_matches(".xz").ends_with(&file));
        match from {
            Some(path) if path.ends_with(".xz") => {
                run(Command::new("sh")
                    .args(["-e", "-c", "\"$1\" xz -dc < \"$2\" > \"$3\"", "unpack"])
                    .args([&emulator.busybox(), Path::new(path), &to]))?;
            }
            Some(path) => copy(Path::new(path), &to)?,
            None if built_in.lines().any(|line| line.ends_with(&file)) => {}
            None => bail!("Debian's Linux {} has no module {name}", kernel.release),
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent)
        .and_then(|()| fs::copy(from, to))
        .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
