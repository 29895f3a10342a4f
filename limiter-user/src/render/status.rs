//! The daemon's state.

use super::{duration, servers::servers, zones::with_upstreams};
use crate::api::{Attached, PacketStatus, Status};

/// The daemon, what is attached where, servers, zones.
pub fn status(status: &Status) -> String {
    let mut text = format!(
        "limiter {}, pid {}, up {}\n",
        status.version,
        status.pid,
        duration(status.uptime_s)
    );
    for attached in &status.attached {
        text.push_str(&attachment(attached));
    }
    if let Some(place) = &status.pinned {
        text.push_str(&format!("pinned at {place}\n"));
    }
    let events = &status.events;
    text.push_str(&format!(
        "events: {} sent, {} lost, {} suppressed\n",
        events.sent, events.lost, events.suppressed
    ));
    text.push_str(&packets(&status.packets));
    text.push('\n');
    text.push_str(&servers(&status.servers));
    text.push('\n');
    text.push_str(&with_upstreams(&status.zones, &status.upstreams));
    text
}

fn attachment(attached: &Attached) -> String {
    let Attached { kind, target, .. } = attached;
    if let Some(why) = &attached.waiting {
        return format!("waiting for {kind} {target}: {why}\n");
    }
    let programs = attached.programs.join(", ");
    let mode = attached.mode.map_or(String::new(), |it| format!(" ({it})"));
    format!("attached to {kind} {target}: {programs}{mode}\n")
}

/// Nothing unless there were some: without interfaces there are hardly any.
fn packets(packets: &PacketStatus) -> String {
    let counts = [
        (packets.not_ip, "not IP"),
        (packets.not_tcp, "not TCP"),
        (packets.fragment, "fragments"),
        (packets.truncated, "truncated"),
        (packets.too_many_tags, "with too many VLAN tags"),
        (
            packets.too_many_extensions,
            "with too many extension headers",
        ),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    if counts.is_empty() {
        return String::new();
    }
    format!("packets let pass unread: {}\n", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::EventStatus, policy::XdpMode};

    fn interface(mode: Option<XdpMode>, waiting: Option<&str>) -> Attached {
        let programs: &[_] = if mode.is_some() {
            &["limiter_xdp"]
        } else {
            &[]
        };
        Attached {
            kind: "interface".to_owned(),
            target: "eth0".to_owned(),
            programs: programs.iter().map(ToString::to_string).collect(),
            mode,
            waiting: waiting.map(str::to_owned),
        }
    }

    #[test]
    fn an_interface_shows_its_mode_or_what_it_waits_for() {
        assert_eq!(
            attachment(&interface(Some(XdpMode::Native), None)),
            "attached to interface eth0: limiter_xdp (native)\n"
        );
        assert_eq!(
            attachment(&interface(None, Some("no such interface"))),
            "waiting for interface eth0: no such interface\n"
        );
    }

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
            pinned: Some("/sys/fs/bpf/limiter/default".to_owned()),
            servers: Vec::new(),
            zones: Vec::new(),
            upstreams: Vec::new(),
            events: EventStatus {
                sent: 3,
                lost: 0,
                suppressed: 42,
            },
            packets: PacketStatus {
                not_ip: 7,
                fragment: 1,
                ..PacketStatus::default()
            },
        });
        let head = "limiter 0.1.0, pid 4711, up 1 min 1 s\n\
             attached to cgroup /sys/fs/cgroup: limiter_count, limiter_enforce\n\
             pinned at /sys/fs/bpf/limiter/default\n\
             events: 3 sent, 0 lost, 42 suppressed\n\
             packets let pass unread: 7 not IP, 1 fragments\n\nSERVER";
        assert!(text.starts_with(head), "{text}");
    }
}
