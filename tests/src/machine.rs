//! A Debian that runs beside this one: its own files, processes and systemd, in the cgroup and the
//! network namespace of a [`World`]. Nothing that is installed or started in it is left behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{Output, Process, run},
    settle,
    settle::{PATIENCE, poll},
    world::World,
};

mod root;

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, which takes all processes of the machine with it.
    process: Process,
    /// The first process of the machine, as seen from here.
    init: u32,
    cgroup: PathBuf,
    /// Where the machine's files are mounted, in its own mount namespace.
    mount: PathBuf,
}

impl Machine {
    /// Starts one, with `files` copied into its `/root`, and waits until it has booted.
    ///
    /// # Panics
    /// If its packages cannot be had, or it does not boot.
    pub fn boot(world: &World, files: &[&Path]) -> Self {
        let mount = world.path("machine");
        fs::create_dir(&mount).expect("make a directory for the machine");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation=private", "--cgroup", "--pid"])
            .args(["--fork", "--kill-child=SIGKILL", "sh", "-e", "-c", BOOT])
            .arg("boot")
            .args([&root::prepared(), &mount])
            .args(files);
        let process = Process::start(command, Some(&world.netns), Some(&world.cgroup));
        let mut machine = Self {
            init: 0,
            cgroup: world.cgroup.path().to_owned(),
            mount,
            process,
        };
        settle("the machine has a first process", true, || {
            machine.init = machine.first_process().unwrap_or(0);
            machine.init != 0
        });
        let state = || {
            let is_running = ["systemctl", "is-system-running"];
            machine.run(&is_running).stdout.trim().to_owned()
        };
        // Some units find hardware missing, and are not about us.
        let up = poll(PATIENCE, || {
            ["running", "degraded"].contains(&state().as_str())
        });
        assert!(
            up,
            "the machine does not boot: {}",
            machine.process.stderr().text()
        );
        machine
    }

    /// Runs a program in it.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--pid", "--cgroup", "--net", "--root", "--wd"])
            .args(words)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(command, None)
    }

    /// Runs a program in it that has to succeed. Returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(
            output.code,
            Some(0),
            "{words:?}: {}{}",
            output.stdout,
            output.stderr
        );
        output.stdout
    }

    /// Runs a script of the shell in it, which has to succeed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-e", "-c", script])
    }

    /// What its systemd says about a property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let value = self.ok(&["systemctl", "show", "--value", "--property", name, unit]);
        value.trim().to_owned()
    }

    fn first_process(&self) -> Option<u32> {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        let init = children.split_whitespace().next()?.parse().ok()?;
        // Until then it is the shell that mounts, outside.
        let name = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
        (name.trim() == "systemd").then_some(init)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The machine's processes end with their first one, and its mounts with them.
        let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        let _ = poll(PATIENCE, || self.process.ended().is_some());
        let gone = poll(PATIENCE, || remove_below(&self.cgroup));
        if !gone {
            eprintln!("cgroups below {} stay behind", self.cgroup.display());
        }
        let _ = fs::remove_dir(&self.mount);
    }
}

/// Removes the cgroups below one; false if some are still there.
fn remove_below(cgroup: &Path) -> bool {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return true;
    };
    let mut all = true;
    for path in entries.flatten().map(|entry| entry.path()) {
        all &= !path.is_dir() || remove_below(&path) && fs::remove_dir(&path).is_ok();
    }
    all
}

/// Arguments: the root to begin with, which is not changed; where to mount; files to copy.
const BOOT: &str = r#"
root=$1 machine=$2; shift 2
mount -t tmpfs machine "$machine"
mkdir "$machine/changes" "$machine/work" "$machine/root"
mount -t overlay -o "lowerdir=$root,upperdir=$machine/changes,workdir=$machine/work" machine "$machine/root"
for file; do cp "$file" "$machine/root/root/"; done
cd "$machine/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir old
pivot_root . old
exec chroot . sh -c '
    umount --lazy /old && rmdir /old
    container=test exec /lib/systemd/systemd --system --unit=multi-user.target \
        --log-target=journal --show-status=false'
"#;
