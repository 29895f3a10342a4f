//! What happens to the limiter while the load goes on: one thing after another, at random.

use std::{thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use tests::process::{Output, run};

use super::{
    course::Course,
    plan::{ACTIONS, NETWORKS, changed, network},
};

impl Course<'_> {
    /// The next thing.
    pub fn next(&mut self) {
        match self.random.below(40) {
            0..=7 => self.reload(),
            8 | 9 => self.bad_reload(),
            10..=12 => self.dry_run(),
            13 | 14 => self.action(),
            15..=17 => self.limit(),
            18 | 19 => self.exempt(),
            20 | 21 => self.restart(),
            22..=24 => self.kill(),
            25..=27 => {
                let what = self.scene.flap(&mut self.random);
                self.notes.event(what, "");
            }
            28..=31 => self.ask(),
            32..=34 => {
                let what = self.readers.change(&mut self.random);
                self.notes.event(what, "");
            }
            35 | 36 => {
                self.notes.event("a process of clients is killed", "");
                self.crowd.kill_one(&mut self.random);
            }
            37 | 38 => {
                let what = self.servers.disturb(&mut self.random);
                self.notes.event(what, "");
            }
            _ => {
                self.notes.event("counters are reset", "");
                self.must(&["reset"]);
            }
        }
        if !self.daemon.runs() {
            self.notes.violation("the daemon has ended by itself");
            self.daemon.end(Signal::SIGKILL);
            self.begin();
        }
    }

    fn reload(&mut self) {
        let plan = changed(&self.file, &mut self.random);
        self.notes.event("reload", "");
        self.daemon.write(&plan.text());
        self.file = plan.clone();
        if self.must(&["reload"]) {
            self.in_force(plan);
        }
    }

    /// With a configuration that has a mistake: it must change nothing.
    fn bad_reload(&mut self) {
        const MISTAKES: [&str; 5] = [
            "limit_conn nowhere 5;\n",
            "server { listen 8080; limit_conn addr 0; }\n",
            "limit_conn_zone $binary_remote_addr zone=addr:1m;\n",
            "server { listen 99999; }\n",
            "upstream backend { server 127.0.0.1:9001\n",
        ];
        let mistake = self.random.one_of(&MISTAKES);
        self.notes.event("reload of a bad configuration", mistake);
        self.daemon.write(&(self.file.text() + mistake));
        let output = self.daemon.limiter().cli(&["reload"]);
        if output.code != Some(2) {
            let what = format!("a reload with {mistake:?} ends with {:?}", output.code);
            self.notes.violation(&what);
        }
        self.daemon.write(&self.file.text());
    }

    fn dry_run(&mut self) {
        let is_dry = self.plan.dry_run || self.plan.servers.iter().any(|it| it.dry_run);
        let (word, on) = if is_dry { ("off", false) } else { ("on", true) };
        let mut plan = self.plan.clone();
        let mut arguments = vec!["dry-run", word];
        // Off it goes everywhere.
        if on && self.random.once_in(2) {
            let which = self.random.below(plan.servers.len());
            plan.servers[which].dry_run = on;
            arguments.extend(["--server", plan.servers[which].name]);
        } else {
            plan.servers.iter_mut().for_each(|it| it.dry_run = on);
            plan.dry_run = on;
        }
        self.notes
            .event("dry run is switched", &arguments.join(" "));
        if self.must(&arguments) {
            self.in_force(plan);
        }
    }

    fn action(&mut self) {
        let action = self.random.one_of(&ACTIONS);
        self.notes.event("another action", action);
        let arguments: Vec<_> = std::iter::once("action").chain(action.split(' ')).collect();
        if self.must(&arguments) {
            self.plan
                .servers
                .iter_mut()
                .for_each(|it| it.action = action);
        }
    }

    fn limit(&mut self) {
        let mut plan = self.plan.clone();
        let which = self.random.below(plan.servers.len());
        let server = &mut plan.servers[which];
        let limit = self.random.below(server.limits.len());
        let (zone, number) = &mut server.limits[limit];
        *number = 3 + u32::try_from(self.random.below(60)).expect("a small number");
        let number = number.to_string();
        let arguments = ["limit", *zone, &number, "--server", server.name];
        self.notes.event("another limit", &arguments.join(" "));
        if self.must(&arguments) {
            self.in_force(plan);
        }
    }

    fn exempt(&mut self) {
        let text = self.random.one_of(&NETWORKS);
        let mut plan = self.plan.clone();
        let has = |it: &super::plan::Server| it.exempt.contains(&network(text));
        let word = if plan.servers.iter().any(has) {
            plan.servers
                .iter_mut()
                .for_each(|it| it.exempt.retain(|it| *it != network(text)));
            "remove"
        } else {
            plan.servers
                .iter_mut()
                .for_each(|it| it.exempt.push(network(text)));
            "add"
        };
        self.notes.event(
            "a network is exempt, or no longer",
            &format!("{word} {text}"),
        );
        if self.must(&["exempt", word, text]) {
            self.in_force(plan);
        }
    }

    /// It ends cleanly, and another one begins.
    fn restart(&mut self) {
        let kind = if self.keeps {
            "restart with --keep"
        } else {
            "restart without --keep"
        };
        self.notes.event(kind, "");
        if !self.daemon.end(Signal::SIGTERM) {
            self.notes
                .violation("a daemon that was stopped calls it a failure");
        }
        self.begin();
    }

    /// It is killed, and after a while another one begins.
    fn kill(&mut self) {
        let pause = self.random.below(1_000) as u64;
        self.notes
            .event("the daemon is killed", &format!("for {pause} ms"));
        self.daemon.end(Signal::SIGKILL);
        sleep(Duration::from_millis(pause));
        self.keeps = true;
        self.begin();
    }

    /// A daemon begins, with what is in the file.
    pub fn begin(&mut self) {
        // Nobody destroyed what was established in a lost race meanwhile, and now it counts.
        let was_kept = self.keeps;
        self.keeps = !self.random.once_in(4);
        self.daemon.start(self.keeps);
        let plan = self.file.clone();
        if was_kept && plan == self.plan {
            self.spare += 1;
            self.look();
            self.spare -= 1;
        }
        self.in_force(plan);
    }

    /// A command that only reads.
    fn ask(&mut self) {
        const COMMANDS: [&[&str]; 6] = [
            &["audit"],
            &["status"],
            &["zones"],
            &["zones", "addr", "--top", "20"],
            &["connections", "-n", "100"],
            &["doctor", "--interval", "300ms"],
        ];
        let arguments = self.random.one_of(&COMMANDS);
        self.notes
            .event("a command that reads", &arguments.join(" "));
        let mut command = tests::limiter::command();
        command.args(arguments).arg("--json").arg("--control");
        command.arg(self.daemon.limiter().control());
        let output = run(command, Some(&self.scene.world.netns));
        // Those of the doctor are a verdict, and 3 is none.
        let most = if arguments[0] == "doctor" { 2 } else { 0 };
        if !output.code.is_some_and(|code| (0..=most).contains(&code)) {
            self.failed(arguments, &output);
        }
    }

    /// A command that must succeed; whether it did.
    fn must(&mut self, arguments: &[&str]) -> bool {
        let output = self.daemon.limiter().cli(arguments);
        if output.code != Some(0) {
            self.failed(arguments, &output);
        }
        output.code == Some(0)
    }

    fn failed(&mut self, arguments: &[&str], output: &Output) {
        let (code, said) = (output.code, output.stderr.trim());
        let what = format!("limiter {} ends with {code:?}: {said}", arguments.join(" "));
        self.notes.violation(&what);
    }
}
