//! qemu, without hardware's help: what can be had everywhere.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{kernels::Kernel, results::Results};
use crate::{command::output, debian::unpack_with_libraries};

const QEMU: &str = "qemu-system-x86_64";
const PACKAGES: [&str; 2] = ["qemu-system-x86", "busybox-static"];

/// One thread for all processors of a machine: with more, qemu 7.2 runs code that a kernel is about to change
/// on another processor, and the kernel dies of it now and then.
const ACCELERATOR: &str = "tcg,thread=single";

/// A processor of which the emulation is simple. Without `cx16`, because qemu 7.2 returns other flags
/// from cmpxchg16b than a processor does, and kernels since 6.12 allocate memory with it.
const PROCESSOR: &str = "Nehalem,cx16=off";

/// Of the kernel. If it fails it ends, and so does qemu. Kernels since 7.0 allocate the storage of sockets
/// in a way that wants `cx16` or this check (mm/slub.c, `kmalloc_nolock_noprof`); without both, no connection
/// has storage, and none is counted. The kernel tries whether its timer ticks while it waits (`timer_irq_works`
/// in arch/x86/kernel/apic/io_apic.c), and panics if qemu is not given a processor in that moment.
const OPTIONS: &str = "console=ttyS0 panic=-1 slab_debug=F no_timer_check";

/// Races between CPUs are among what is tested.
const CPUS: &str = "2";
const MEMORY: &str = "2048";

/// qemu, and what else of Debian's packages is needed, unpacked.
pub struct Emulator {
    unpacked: PathBuf,
}

impl Emulator {
    /// Downloads it, unless it is there.
    pub fn prepare(unpacked: &Path, update: bool) -> Result<Self> {
        let emulator = Self {
            unpacked: unpacked.to_owned(),
        };
        if update || !emulator.busybox().exists() || emulator.qemu().is_err() {
            eprintln!("fetching qemu and busybox");
            unpack_with_libraries(&PACKAGES, unpacked)?;
            emulator.qemu()?;
        }
        Ok(emulator)
    }

    /// The programs of the guest, and some of ours. Linked with nothing.
    pub fn busybox(&self) -> PathBuf {
        self.unpacked.join("bin/busybox")
    }

    /// Boots a kernel and waits until its tests are over, or the time is.
    pub fn run(
        &self,
        kernel: &Kernel,
        image: &Path,
        tests: &[String],
        limit: Duration,
    ) -> Result<Results> {
        let console = image.with_extension("console");
        let mut command = self.qemu()?;
        command
            .args(["-machine", "q35", "-accel", ACCELERATOR, "-cpu", PROCESSOR])
            .args(["-smp", CPUS, "-m", MEMORY])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(image)
            .args(["-append", OPTIONS])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut qemu = command.spawn().context("start qemu")?;
        let said = qemu.stdout.take().context("read from qemu")?;
        let (lines, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let end = Instant::now() + limit;
        let mut results = Results::new(kernel, tests.to_vec(), console);
        let out_of_time = loop {
            match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    results.line(&line);
                    eprintln!("{}, {} s: {line}", kernel.name, results.seconds());
                }
                Err(error) => break error == mpsc::RecvTimeoutError::Timeout,
            }
        };
        if out_of_time {
            results.out_of_time(limit);
            qemu.kill().context("end qemu")?;
        }
        qemu.wait().context("wait for qemu")?;
        Ok(results)
    }

    /// The one that is installed, else the one that was unpacked.
    fn qemu(&self) -> Result<Command> {
        let version = |command: &mut Command| output(command.arg("--version"));
        if version(&mut Command::new(QEMU)).is_ok() {
            return Ok(Command::new(QEMU));
        }
        let own = || {
            let mut command = Command::new(self.unpacked.join("usr/bin").join(QEMU));
            command.env("LD_LIBRARY_PATH", libraries(&self.unpacked));
            for place in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(self.unpacked.join(place));
            }
            command
        };
        version(&mut own()).context("start qemu out of Debian's package")?;
        Ok(own())
    }
}

/// Directories with libraries of packages that were unpacked.
fn libraries(unpacked: &Path) -> String {
    let parents = ["usr/lib", "lib"].map(|parent| unpacked.join(parent));
    let directories: Vec<String> = parents
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
        .filter(|path| path.ends_with("-linux-gnu"))
        .collect();
    directories.join(":")
}
