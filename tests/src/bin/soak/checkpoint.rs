//! Everybody stands still, and what the limiter counts is compared with what is open.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    thread::sleep,
    time::{Duration, Instant},
};

use limiter::api::{AuditReport, ConnectionList, Status, ZoneAuditReport};
use tests::{figures::println, sockdiag::TcpSocket};

use super::{
    books::{self, Account, Counts},
    course::{Course, clock},
    plan::Key,
};

/// How long what is under way may take to come to rest.
const REST: Duration = Duration::from_secs(20);

impl Course<'_> {
    /// Halts, compares, and lets everybody go on.
    pub fn checkpoint(&mut self) {
        self.halt();
        self.compare();
        let figures = self.crowd.figures();
        println(&format!(
            "{} checkpoint {}: {} accounts, {} connections in the most crowded; {} opened, {} refused, {} violations",
            clock(self.notes.began.elapsed()),
            self.notes.checkpoints,
            self.notes.compared,
            self.notes.most_open,
            figures.opened,
            figures.silent + figures.reset + figures.closed,
            self.notes.violations.len()
        ));
        self.note_summary();
        self.go_on();
    }

    /// While everybody stands still.
    pub fn compare(&mut self) {
        let end = Instant::now() + REST;
        let (sockets, expected, differences) = loop {
            let sockets = books::sockets(self.scene);
            let expected = books::counts(&self.plan, &sockets);
            let (found, mut differences) = self.counted();
            differences.extend(books::differences(&expected, &found));
            if differences.is_empty() || Instant::now() > end {
                break (sockets, expected, differences);
            }
            sleep(Duration::from_millis(20));
        };
        for difference in differences {
            self.notes.violation(&difference);
        }
        for over in self.watch.check(&self.plan, &expected, self.spare) {
            self.notes.violation(&format!("at rest, {over}"));
        }
        self.listed(&sockets);
        self.audited();
        self.notes.checkpoints += 1;
        self.notes.compared += expected.len() as u64;
        let open = sockets
            .iter()
            .filter(|socket| socket.is_connection())
            .count() as u64;
        self.notes.most_open = self.notes.most_open.max(open);
        self.watch.begin(&self.plan, expected);
    }

    /// What the limiter counts, and what is wrong with its books whatever is open.
    fn counted(&self) -> (Counts, Vec<String>) {
        let limiter = self.daemon.limiter();
        let (mut counts, mut wrong) = (Counts::new(), Vec::new());
        let status = limiter.status();
        for zone in &self.plan.zones {
            let all = limiter.top(zone.name, 100_000);
            for key in all.iter().filter(|key| key.connections > 0) {
                let parts = key.parts.clone();
                let account = Account::Key(
                    zone.name,
                    Key {
                        client: parts.remote_addr,
                        server_addr: parts.server_addr,
                        server_port: parts.server_port,
                        server_name: parts.server_name,
                    },
                );
                counts.insert(account, key.connections.into());
            }
            let keys = all.iter().filter(|key| key.connections > 0).count() as u64;
            let sum = all
                .iter()
                .map(|key| u64::from(key.connections))
                .sum::<u64>();
            let Some(found) = status.zones.iter().find(|it| it.zone == zone.name) else {
                wrong.push(format!("there is no zone {}", zone.name));
                continue;
            };
            if (found.keys, found.connections) != (keys, sum) {
                wrong.push(format!(
                    "zone {} does not add up: {keys} keys and {sum} connections of {found:?}",
                    zone.name
                ));
            }
            if (found.evicted, found.drift, found.untracked) != (0, 0, 0) {
                wrong.push(format!(
                    "evicted, drift and untracked of zone {}: {found:?}",
                    zone.name
                ));
            }
        }
        for upstream in &status.upstreams {
            for server in upstream.servers.iter().filter(|it| it.active > 0) {
                counts.insert(Account::Upstream(server.server), server.active);
            }
            if let Some(queue) = upstream.queue.filter(|it| it.queued > 0) {
                wrong.push(format!(
                    "upstream {}: {} wait",
                    upstream.upstream, queue.queued
                ));
            }
        }
        wrong.extend(self.otherwise(&status));
        (counts, wrong)
    }

    /// What is in force and should not be, or the other way round.
    fn otherwise(&self, status: &Status) -> Vec<String> {
        let mut wrong = Vec::new();
        let names: Vec<_> = status.servers.iter().map(|it| it.server.as_str()).collect();
        let expected: Vec<_> = self.plan.servers.iter().map(|it| it.name).collect();
        if names != expected {
            wrong.push(format!("servers {names:?} are in force, not {expected:?}"));
            return wrong;
        }
        for (server, found) in self.plan.servers.iter().zip(&status.servers) {
            let limits = found.limits.iter().map(|it| (it.zone.as_str(), it.limit));
            if !limits.eq(server.limits.iter().copied()) || found.dry_run != server.dry_run {
                wrong.push(format!("{found:?} is in force, not {server:?}"));
            }
        }
        let attached = status.attached.iter().filter(|it| it.kind == "interface");
        let attached = attached
            .filter(|it| !it.programs.is_empty())
            .map(|it| it.target.as_str());
        if !attached
            .clone()
            .eq(self.plan.interfaces.iter().map(|(name, _)| *name))
        {
            let attached: Vec<_> = attached.collect();
            let interfaces = &self.plan.interfaces;
            wrong.push(format!("attached to {attached:?}, not {interfaces:?}"));
        }
        wrong
    }

    /// The audit must find nothing to correct.
    fn audited(&mut self) {
        let text = self.daemon.limiter().cli_ok(&["audit", "--json"]);
        let report: AuditReport = serde_json::from_str(&text).expect("a report in JSON");
        let is_good =
            |it: &ZoneAuditReport| (it.suspected, it.corrected, it.keys_corrected) == (0, 0, 0);
        if report.lost != 0 || !report.zones.iter().all(is_good) {
            self.notes.violation(&format!("the audit finds {report:?}"));
        }
    }

    /// `limiter connections` has to find every one of them, and no others. What is open before and
    /// afterwards was open meanwhile: a segment that was sent again may still close something.
    fn listed(&mut self, before: &[TcpSocket]) {
        const ALL: &[&str] = &["connections", "--json", "-n", "100000"];
        let text = self.daemon.limiter().cli_ok(ALL);
        let list: ConnectionList = serde_json::from_str(&text).expect("connections in JSON");
        let after = books::sockets(self.scene);
        let [before, after] = [before, &after].map(|sockets| {
            let counts = sockets.iter().filter(|socket| {
                let keys = self.plan.keys(socket.local, socket.remote.ip());
                socket.is_connection() && !keys.is_empty()
            });
            counts
                .map(|it| (it.local, it.remote))
                .collect::<BTreeSet<_>>()
        });
        let listed = list.connections.iter().map(|it| {
            let local = SocketAddr::new(it.local_addr, it.local_port);
            (local, SocketAddr::new(it.remote_addr, it.remote_port))
        });
        let listed: BTreeSet<_> = listed.collect();
        let wrong: Vec<_> = listed
            .difference(&before)
            .filter(|it| !after.contains(it))
            .collect();
        let left_out: Vec<_> = before
            .intersection(&after)
            .filter(|it| !listed.contains(it))
            .collect();
        if !wrong.is_empty() || !left_out.is_empty() || list.missing != 0 {
            self.notes.violation(&format!(
                "limiter connections: {} missing, {} not open, such as {:?}, {} left out, such as {:?}",
                list.missing,
                wrong.len(),
                wrong.first(),
                left_out.len(),
                left_out.first()
            ));
        }
    }
}
