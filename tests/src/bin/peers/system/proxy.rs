//! Proxies that stand in front of the server.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tests::{debian, process::Process, settle::poll};

use super::{Rules, debian_command, fill};
use crate::scene::{BACKENDS, FIRST_PORT, LAST_SERVED, SERVER, Scene};

/// Starts one and waits until it listens, and its workers are there. They are killed with the cgroup of the
/// scene: a master that is killed leaves them behind.
pub(super) fn start(scene: &Scene, command: Command) -> Result<Process> {
    let name = format!("{:?}", command.get_program());
    let mut process = Process::start(command, Some(&scene.world.netns), Some(&scene.world.cgroup));
    let begin = Instant::now();
    let listens = poll(Duration::from_secs(20), || {
        // Both have a master, whose children do the work.
        let works = !children(process.id()).is_empty() && scene.listens(FIRST_PORT);
        process.ended().is_some() || works
    });
    ensure!(
        listens && process.ended().is_none(),
        "{name} does not listen after {:?}: {}",
        begin.elapsed(),
        process.stderr().text()
    );
    Ok(process)
}

/// Children of a process; those of a proxy are its workers.
pub(super) fn children(id: u32) -> Vec<u32> {
    let path = format!("/proc/{id}/task/{id}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().flat_map(str::parse).collect()
}

/// Writes what it is told, and how to start it.
pub(super) fn nginx_command(scene: &Scene, rules: Rules) -> Result<Command> {
    let directory = scene.world.path("nginx");
    fs::create_dir_all(&directory).context("make a directory for nginx")?;
    let listen = (FIRST_PORT..=LAST_SERVED)
        .map(|port| format!("        listen {SERVER}:{port} backlog=16384;\n"));
    let servers = BACKENDS.map(|port| format!("        server 127.0.0.1:{port} max_fails=0;\n"));
    let text = fill(include_str!("../setup/nginx.conf"), rules)
        .replace("MODULE", &nginx_module().display().to_string())
        .replace("DIRECTORY", &directory.display().to_string())
        .replace("WORKERS", &rules.workers.to_string())
        .replace("SIZE", &rules.zone_size())
        .replace("SERVERS", &servers.concat())
        .replace("LISTEN", &listen.collect::<String>());
    let file = directory.join("nginx.conf");
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    let mut command = debian_command("nginx", "nginx");
    command.arg("-p").arg(directory).arg("-c").arg(file);
    command.args(["-e", "stderr"]);
    Ok(command)
}

fn nginx_module() -> PathBuf {
    debian::file(
        "/usr/lib/nginx/modules/ngx_stream_module.so",
        "libnginx-mod-stream",
    )
}

/// Likewise.
pub(super) fn haproxy_command(scene: &Scene, rules: Rules) -> Result<Command> {
    let directory = scene.world.path("haproxy");
    fs::create_dir_all(&directory).context("make a directory for HAProxy")?;
    let servers = BACKENDS.map(|port| format!("    server s{port} 127.0.0.1:{port}\n"));
    let text = fill(include_str!("../setup/haproxy.cfg"), rules)
        .replace("DIRECTORY", &directory.display().to_string())
        .replace("THREADS", &rules.workers.to_string())
        .replace("SERVERS", &servers.concat());
    let file = directory.join("haproxy.cfg");
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    let mut command = debian_command("haproxy", "haproxy");
    command.arg("-W").arg("-db").arg("-f").arg(file);
    Ok(command)
}
