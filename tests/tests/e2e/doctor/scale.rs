//! Many connections.

use std::{fs, time::Instant};

use ::limiter::api::doctor::{DoctorReport, Level};
use tests::{
    Server, World, figures, limiter, peer::Clients, process::Process, settle::PATIENCE,
    usage::Usage,
};

use crate::{SERVER, heavy};

/// No process may have so many descriptors.
const CONNECTIONS: u64 = 50_000;
const PROCESSES: usize = 5;
const MOST_MEMORY_BYTES: u64 = 100 << 20;

/// The most that a process has had (proc_pid_status(5), VmHWM).
fn peak_bytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|it| it.split_ascii_whitespace().next());
    kilobytes.expect("VmHWM").parse::<u64>().expect("a number") << 10
}

#[test]
fn fifty_thousand_connections_are_looked_at_in_bounded_memory() {
    let _heavy = heavy();
    let world = World::new();
    let servers: Vec<_> = (0..PROCESSES)
        .map(|_| Server::start(&world, &[SERVER], &["--reuse-port"]))
        .collect();
    let each = CONNECTIONS as usize / PROCESSES;
    let to = servers[0].address();
    let _clients: Vec<_> = (1..=PROCESSES)
        .map(|network| Clients::open(&world, &format!("127.0.{network}.5"), to, each))
        .collect();
    assert_eq!(world.open_at(8080), CONNECTIONS);

    let mut command = limiter::command();
    command
        .args(["doctor", "--watch", "--json", "--interval", "500ms"])
        .arg("--control")
        .arg(world.control());
    let begun = Instant::now();
    let doctor = Process::start(command, Some(&world.netns), None);
    let reports = 3;
    for _ in 0..reports {
        let line = doctor.stdout().next(PATIENCE).expect("a report");
        let report: DoctorReport = serde_json::from_str(&line).expect("a report");
        let listener = &report.listeners[0];
        assert_eq!(listener.states.established, CONNECTIONS);
        assert_eq!(listener.activity.idle, CONNECTIONS);
        assert_eq!(listener.sockets, PROCESSES as u64);
        assert_eq!(listener.sources.clients, PROCESSES as u64);
        assert_eq!(report.processes.len(), PROCESSES);
        // Half of the descriptors are taken by idle connections.
        assert!(report.verdict.level < Level::Critical, "{report:#?}");
    }
    let memory = peak_bytes(doctor.id());
    assert!(memory < MOST_MEMORY_BYTES, "{memory} bytes");
    let cpu_ms = Usage::of(doctor.id()).cpu_time.as_millis() / reports;
    figures::println(&format!(
        "a report on {CONNECTIONS} connections: {cpu_ms} ms of CPU, {} MiB; {reports} reports 500 ms \
         apart took {} ms",
        memory >> 20,
        begun.elapsed().as_millis()
    ));
}
