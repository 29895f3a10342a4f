//! Servers of upstreams, with their connections.

use super::{
    on_off,
    table::{Side, Table},
};
use crate::{api::UpstreamStatus, time};

/// One line per server, and one per queue.
pub fn upstreams(upstreams: &[UpstreamStatus]) -> String {
    let mut text = servers(upstreams);
    if upstreams.iter().any(|it| it.queue.is_some()) {
        text.push('\n');
        text.push_str(&queues(upstreams));
    }
    text
}

fn queues(upstreams: &[UpstreamStatus]) -> String {
    let mut table = Table::new([
        ("UPSTREAM", Side::Left),
        ("QUEUED", Side::Right),
        ("MAX", Side::Right),
        ("TIMEOUT", Side::Right),
        ("WAITED", Side::Right),
        ("REJECTED", Side::Right),
        ("TIMED OUT", Side::Right),
        ("LONGEST", Side::Right),
    ]);
    for upstream in upstreams {
        let Some(queue) = &upstream.queue else {
            continue;
        };
        table.row([
            upstream.upstream.clone(),
            queue.queued.to_string(),
            queue.max.to_string(),
            time::format(queue.timeout_ms.into()),
            queue.waited.to_string(),
            queue.rejected.to_string(),
            queue.timed_out.to_string(),
            time::format(queue.longest_wait_ms),
        ]);
    }
    table.render()
}

fn servers(upstreams: &[UpstreamStatus]) -> String {
    let mut table = Table::new([
        ("UPSTREAM", Side::Left),
        ("SERVER", Side::Left),
        ("ACTIVE", Side::Right),
        ("MAX", Side::Right),
        ("PASSED", Side::Right),
        ("REJECTED", Side::Right),
        ("DRY RUN", Side::Left),
    ]);
    for upstream in upstreams {
        for server in &upstream.servers {
            let dry_run = match server.rejected_dry_run {
                0 => on_off(upstream.dry_run).to_owned(),
                many => format!("{} ({many} over)", on_off(upstream.dry_run)),
            };
            table.row([
                upstream.upstream.clone(),
                server.server.to_string(),
                server.active.to_string(),
                match server.max_conns {
                    0 => "none".to_owned(),
                    max => max.to_string(),
                },
                server.passed.to_string(),
                server.rejected.to_string(),
                dry_run,
            ]);
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{QueueStatus, UpstreamServerStatus},
        policy::LogLevel,
    };

    #[test]
    fn each_queue_has_a_line() {
        let text = upstreams(&[UpstreamStatus {
            upstream: "backend".to_owned(),
            servers: Vec::new(),
            queue: Some(QueueStatus {
                max: 100,
                timeout_ms: 60_000,
                queued: 3,
                waited: 500,
                rejected: 2,
                timed_out: 1,
                longest_wait_ms: 1_234,
            }),
            dry_run: false,
            log_level: LogLevel::Error,
        }]);
        let last = text.lines().last().map(str::split_whitespace);
        let words: Vec<_> = last.expect("a line").collect();
        assert_eq!(
            words,
            ["backend", "3", "100", "1m", "500", "2", "1", "1s234ms"]
        );
    }

    #[test]
    fn each_server_has_a_line() {
        let server = |server: &str, max_conns| UpstreamServerStatus {
            server: server.parse().expect("literal"),
            max_conns,
            active: 8,
            passed: 100,
            rejected: 3,
            rejected_dry_run: 0,
            untracked: 0,
        };
        let text = upstreams(&[UpstreamStatus {
            upstream: "backend".to_owned(),
            servers: vec![server("10.0.0.5:8080", 8), server("[2001:db8::1]:80", 0)],
            queue: None,
            dry_run: false,
            log_level: LogLevel::Error,
        }]);
        let lines: Vec<_> = text.lines().map(str::split_whitespace).collect();
        let lines: Vec<Vec<_>> = lines.into_iter().map(Iterator::collect).collect();
        assert_eq!(
            lines[1..],
            [
                ["backend", "10.0.0.5:8080", "8", "8", "100", "3", "off"],
                [
                    "backend",
                    "[2001:db8::1]:80",
                    "8",
                    "none",
                    "100",
                    "3",
                    "off"
                ],
            ]
        );
    }
}
