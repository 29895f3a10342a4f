//! The report, in Markdown.

use std::{
    fmt::Write as _,
    sync::{PoisonError, atomic::Ordering::Relaxed},
    thread::available_parallelism,
    time::Duration,
};

use tests::outgoing::Ends;

use super::{
    clients::Figures,
    course::{Course, Notes, clock},
    daemon::Sample,
};

/// Figures of the load and of the daemon.
#[derive(Clone)]
pub struct Summary {
    time: Duration,
    clients: Figures,
    outgoing: Ends,
    mixed: u64,
    killed: u64,
    half_open: u64,
    reset: u64,
    begin: Sample,
    most: Sample,
    end: Sample,
    cpu_time: Duration,
    lives: u64,
    said: Vec<(String, u64)>,
}

impl Course<'_> {
    /// Writes down how it stands, for the case that it does not get further.
    pub fn note_summary(&mut self) {
        self.daemon.look();
        let load = self.load;
        let said = self.daemon.said.iter();
        self.notes.summary = Some(Summary {
            time: self.notes.began.elapsed(),
            clients: self.crowd.figures(),
            outgoing: load
                .ends
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            mixed: load.mixed.load(Relaxed),
            killed: load.killed.load(Relaxed),
            half_open: load.half_open.load(Relaxed),
            reset: load.reset.load(Relaxed),
            begin: self.daemon.begin,
            most: self.daemon.most,
            end: self.daemon.last,
            cpu_time: self.daemon.cpu_time(),
            lives: self.daemon.lives,
            said: said.map(|(line, count)| (line.clone(), *count)).collect(),
        });
    }
}

/// All that there is to say.
pub fn report(notes: &Notes, seed: u64) -> String {
    let mut text = String::from("# Soak\n\nPrinted by `cargo xtask soak`.\n\n");
    let verdict = match notes.violations.len() {
        0 => "no violations".to_owned(),
        count => format!("**{count} violations**"),
    };
    let cpus = available_parallelism().map_or(1, usize::from);
    let kernel = nix::sys::utsname::uname();
    let kernel = kernel.map(|it| it.release().to_string_lossy().into_owned());
    let kernel = kernel.unwrap_or_else(|_| "an unknown release".to_owned());
    let time = notes
        .summary
        .as_ref()
        .map_or(notes.began.elapsed(), |it| it.time);
    let _ = writeln!(
        text,
        "{} minutes, {verdict}. Linux {kernel}, {cpus} CPUs, seed {seed}.\n",
        clock(time)
    );
    let _ = writeln!(
        text,
        "{} checkpoints, at which {} counts of keys and of upstream servers were compared with the open sockets, up to \
         {} connections at a time; {} looks in between for more than a limit allows.\n",
        notes.checkpoints, notes.compared, notes.most_open, notes.looks
    );
    match &notes.summary {
        Some(summary) => summary.write(&mut text),
        None => text += "It ended before the first checkpoint.\n\n",
    }
    text += "## What happened meanwhile\n\n| | times |\n| --- | ---: |\n";
    for (kind, count) in &notes.events {
        let _ = writeln!(text, "| {kind} | {count} |");
    }
    text += "\n## Violations\n\n";
    if notes.violations.is_empty() {
        text += "None.\n";
    }
    for violation in &notes.violations {
        let _ = writeln!(text, "- {violation}");
    }
    text
}

impl Summary {
    fn write(&self, text: &mut String) {
        let clients = self.clients;
        text.push_str("## Load\n\n| | |\n| --- | ---: |\n");
        for (what, count) in [
            ("connections that clients opened", clients.opened),
            ("attempts refused by silence", clients.silent),
            ("attempts refused by a RST", clients.reset),
            ("attempts accepted and closed", clients.closed),
            (
                "attempts that failed otherwise (no link, no server)",
                clients.failed,
            ),
            ("SYNs of which nobody ever said more", self.half_open),
            ("handshakes completed and reset at once", self.reset),
            ("outgoing connects with every way to fail", self.mixed),
            ("connecting processes killed", self.killed),
        ] {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        for (end, count) in &self.outgoing {
            let _ = writeln!(text, "| other outgoing connects: {end} | {count} |");
        }
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        let all = [self.begin, self.most, self.end];
        let [memory, maps] = [
            all.map(|it| mib(it.memory_bytes)),
            all.map(|it| mib(it.maps_bytes)),
        ];
        let descriptors = all.map(|it| it.descriptors.to_string());
        let cpu = self.cpu_time.as_secs_f64() / self.time.as_secs_f64();
        let _ = writeln!(
            text,
            "\n## The daemon\n\n{} of them, one after the other, took {:.1} % of a CPU{}.\n\n\
             | | at the beginning | at the most | at the end |\n| --- | ---: | ---: | ---: |",
            self.lives,
            cpu * 100.0,
            if cfg!(debug_assertions) {
                ", built without optimization"
            } else {
                ""
            }
        );
        for (what, figures) in [
            ("memory, MiB", memory),
            ("memory of its maps in the kernel, MiB", maps),
            ("descriptors", descriptors),
        ] {
            let _ = writeln!(text, "| {what} | {} |", figures.join(" | "));
        }
        if !self.said.is_empty() {
            text.push_str("\nWhat they logged, numbers left out. (Listeners of other network namespaces are told of, too.)\n\n| times | |\n| ---: | --- |\n");
        }
        for (line, count) in &self.said {
            let _ = writeln!(text, "| {count} | `{line}` |");
        }
        text.push('\n');
    }
}
