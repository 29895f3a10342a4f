//! What stands out in the states of a listener's connections.

use crate::api::doctor::{ActivityReport, SourcesReport, StateReport};

/// What a surplus in a state means.
pub(super) fn remarks(
    states: &StateReport,
    activity: &ActivityReport,
    sources: &SourcesReport,
) -> Vec<String> {
    const MANY: u64 = 50;
    let is_surplus = |count: u64| count >= MANY && count * 4 >= sources.connections;
    let mut remarks = Vec::new();
    for (name, count, meaning) in [
        (
            "SYN_RECV",
            states.syn_recv,
            "handshakes that clients do not end, or a full accept queue",
        ),
        (
            "CLOSE_WAIT",
            states.close_wait,
            "the clients have closed, the application has not",
        ),
        (
            "FIN_WAIT1",
            states.fin_wait1,
            "the server has closed, and clients do not acknowledge: they are gone, or take nothing",
        ),
        (
            "FIN_WAIT2",
            states.fin_wait2,
            "the server has closed, the clients have not",
        ),
        (
            "LAST_ACK",
            states.last_ack,
            "both have closed, and clients do not acknowledge the last word",
        ),
    ] {
        if is_surplus(count) {
            remarks.push(format!("{count} in {name}: {meaning}"));
        }
    }
    if states.time_wait >= MANY && states.time_wait > 4 * sources.connections {
        remarks.push(format!(
            "{} in TIME_WAIT: many short connections have ended; they take no descriptor and do no harm",
            states.time_wait
        ));
    }
    let accepted = activity.accepted();
    if sources.clients == 1 && accepted >= MANY {
        remarks.push(
            "one address holds everything: if it is a proxy, the clients are behind it".to_owned(),
        );
    }
    remarks
}
