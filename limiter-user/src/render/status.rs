//! The daemon's state.

use super::{duration, servers::servers, zones::zones};
use crate::api::Status;

/// The daemon, what is attached where, servers, zones.
pub fn status(status: &Status) -> String {
    let mut text = format!(
        "limiter {}, pid {}, up {}\n",
        status.version,
        status.pid,
        duration(status.uptime_s)
    );
    for attached in &status.attached {
        text.push_str(&format!(
            "attached to {} {}: {}\n",
            attached.kind,
            attached.target,
            attached.programs.join(", ")
        ));
    }
    let events = &status.events;
    text.push_str(&format!(
        "events: {} sent, {} lost, {} suppressed\n\n",
        events.sent, events.lost, events.suppressed
    ));
    text.push_str(&servers(&status.servers));
    text.push('\n');
    text.push_str(&zones(&status.zones));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Attached, EventStatus};

    #[test]
    fn the_head_says_who_runs_where() {
        let text = status(&Status {
            version: "0.1.0".to_owned(),
            pid: 4711,
            uptime_s: 61,
            attached: vec![Attached {
                kind: "cgroup".to_owned(),
                target: "/sys/fs/cgroup".to_owned(),
                programs: vec!["limiter_count".to_owned(), "limiter_enforce".to_owned()],
                mode: None,
                waiting: None,
            }],
            servers: Vec::new(),
            zones: Vec::new(),
            events: EventStatus {
                sent: 3,
                lost: 0,
                suppressed: 42,
            },
        });
        let head = "limiter 0.1.0, pid 4711, up 1 min 1 s\n\
             attached to cgroup /sys/fs/cgroup: limiter_count, limiter_enforce\n\
             events: 3 sent, 0 lost, 42 suppressed\n\nSERVER";
        assert!(text.starts_with(head), "{text}");
    }
}
