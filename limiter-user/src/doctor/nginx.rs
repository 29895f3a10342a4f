//! nginx: its workers, for how many clients its configuration has room, and what it says of itself.
//!
//! The configuration is read from its files, not from `nginx -T`: that would run somebody's program
//! with our rights, and opens and makes files as nginx would.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::processes;
use crate::{
    api::doctor::{ListenerReport, NginxReport, ProcessReport, StubStatus, WorkerRole},
    config::grammar::Directive,
    import,
};

pub mod stub_status;

/// ngx_event.c, DEFAULT_CONNECTIONS
const DEFAULT_WORKER_CONNECTIONS: u64 = 512;
/// Where packages have it.
const DEFAULT_FILES: [&str; 2] = ["/etc/nginx/nginx.conf", "/etc/angie/angie.conf"];

/// Every nginx among the processes that have the listeners. What could not be read goes to `unseen`.
pub fn look(
    processes: &[ProcessReport],
    listeners: &[ListenerReport],
    unseen: &mut Vec<String>,
) -> Vec<NginxReport> {
    let masters = processes
        .iter()
        .filter(|it| it.role == Some(WorkerRole::Master));
    let reports = masters.map(|master| {
        let children = processes::children(master.pid);
        let has = |role| {
            let of_it = processes.iter().filter(|it| children.contains(&it.pid));
            of_it.filter(|it| it.role == Some(role)).count() as u64
        };
        let own = listeners.iter().filter(|it| it.pids.contains(&master.pid));
        let clients = own.map(|it| it.states.established).sum();
        let mut report = NginxReport {
            pid: master.pid,
            workers: has(WorkerRole::Worker),
            old_workers: has(WorkerRole::OldWorker),
            clients,
            ..NginxReport::default()
        };
        match configuration(master.pid) {
            Ok(tree) => Room::of(&tree).fill(&mut report),
            Err(why) => unseen.push(format!(
                "the configuration of nginx (process {}): {why}",
                master.pid
            )),
        }
        report
    });
    reports.collect()
}

/// Has a report tell what nginx says of itself, which knows its clients better.
pub fn tell(report: &mut NginxReport, status: StubStatus) {
    report.clients = status.active;
    report.stub_status = Some(status);
    report.used_percent = percent(report.clients, report.capacity);
}

fn percent(clients: u64, capacity: Option<u64>) -> Option<u64> {
    (clients * 100).checked_div(capacity?)
}

fn configuration(pid: u32) -> Result<Vec<Directive>, String> {
    let title = processes::title(pid).ok_or("the process is gone")?;
    let path = file(&title);
    let path = path.ok_or("which file it is cannot be told from the arguments of the process")?;
    // What is there under the same name is another file. Who may not know asks for the one here.
    let mounts = |of: &str| fs::read_link(format!("/proc/{of}/ns/mnt")).ok();
    let theirs = mounts(&pid.to_string());
    if theirs.is_some() && theirs != mounts("self") {
        return Err("it is in a container, with files of its own".to_owned());
    }
    // A process may call itself anything.
    let named = path.display().to_string().escape_debug().to_string();
    import::directives(&path).map_err(|why| format!("{named}: {why}"))
}

/// The file that a master was started with: `-c FILE`, relative to the prefix, `-p DIRECTORY`.
fn file(title: &str) -> Option<PathBuf> {
    let mut words = title.split(' ');
    let (mut file, mut prefix) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "-c" => file = words.next(),
            "-p" => prefix = words.next(),
            _ => {}
        }
    }
    let file = match (prefix, file) {
        (None, None) => {
            return DEFAULT_FILES
                .iter()
                .map(PathBuf::from)
                .find(|it| it.exists());
        }
        (Some(prefix), file) => Path::new(prefix).join(file.unwrap_or("conf/nginx.conf")),
        (None, Some(file)) => PathBuf::from(file),
    };
    file.is_absolute().then_some(file)
}

/// For how many clients a configuration has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    worker_connections: u64,
    /// None: as many as CPUs.
    worker_processes: Option<u64>,
    proxies: bool,
}

impl Room {
    fn of(tree: &[Directive]) -> Self {
        let mut room = Self {
            worker_connections: DEFAULT_WORKER_CONNECTIONS,
            worker_processes: Some(1),
            proxies: false,
        };
        room.read(tree);
        room
    }

    fn read(&mut self, tree: &[Directive]) {
        for directive in tree {
            let word = directive.arguments.first().map(|it| it.value.as_str());
            match directive.name.value.as_str() {
                "worker_connections" => {
                    if let Some(number) = word.and_then(|it| it.parse().ok()) {
                        self.worker_connections = number;
                    }
                }
                "worker_processes" => self.worker_processes = word.and_then(|it| it.parse().ok()),
                "proxy_pass" | "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "grpc_pass"
                | "memcached_pass" => self.proxies = true,
                _ => {}
            }
            if let Some(block) = &directive.block {
                self.read(&block.directives);
            }
        }
    }

    /// The workers that there are say more than `worker_processes auto`.
    fn fill(&self, report: &mut NginxReport) {
        let workers = match (report.workers, self.worker_processes) {
            (0, Some(configured)) => configured,
            (running, _) => running,
        };
        let each = if self.proxies { 2 } else { 1 };
        report.worker_connections = Some(self.worker_connections);
        report.proxies = Some(self.proxies);
        report.capacity = Some(workers.saturating_mul(self.worker_connections) / each);
        report.used_percent = percent(report.clients, report.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_a_master_name_its_file() {
        let master = "nginx: master process";
        for (arguments, path) in [
            ("/usr/sbin/nginx -c /x/nginx.conf", Some("/x/nginx.conf")),
            ("nginx -p /srv -c etc/n.conf", Some("/srv/etc/n.conf")),
            ("nginx -p /srv -c /x/nginx.conf", Some("/x/nginx.conf")),
            ("nginx -p /srv", Some("/srv/conf/nginx.conf")),
            ("nginx -c nginx.conf", None),
        ] {
            let found = file(&format!("{master} {arguments}"));
            assert_eq!(found.as_deref(), path.map(Path::new), "{arguments}");
        }
    }

    #[test]
    fn what_a_process_claims_to_be_its_file_is_neither_waited_for_nor_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("secret");
        fs::write(&secret, "secret } {").expect("write");
        let why = import::directives(&secret).expect_err("no configuration");
        assert!(why.contains("grammar") && !why.contains("secret"), "{why}");
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("make a pipe");
        let why = import::directives(&pipe).expect_err("no file");
        assert_eq!(why, "it is no regular file");
    }

    #[test]
    fn whoever_proxies_needs_two_connections_a_client() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nginx.conf");
        let room = |text: &str| {
            fs::write(&path, text).expect("write");
            Room::of(&import::directives(&path).expect("a configuration"))
        };
        let plain = room("worker_processes 4; events { worker_connections 100; } http { }");
        assert_eq!(
            plain,
            Room {
                worker_connections: 100,
                worker_processes: Some(4),
                proxies: false
            }
        );
        fs::write(directory.path().join("pass"), "fastcgi_pass unix:/x;").expect("write");
        let proxy = room(
            "worker_processes auto; events { } http { server { location / { include pass; } } }",
        );
        assert_eq!((proxy.worker_processes, proxy.proxies), (None, true));
        assert_eq!(proxy.worker_connections, 512);

        let mut report = NginxReport {
            workers: 3,
            clients: 700,
            ..NginxReport::default()
        };
        proxy.fill(&mut report);
        assert_eq!(
            (report.capacity, report.used_percent),
            (Some(768), Some(91))
        );
        report.workers = 0;
        plain.fill(&mut report);
        assert_eq!(report.capacity, Some(400));
    }
}
