//! `upstream`: `max_conns` and `queue`.

use super::{
    note::{Note, Places},
    scene::Kind,
};
use crate::{
    config::grammar::{Directive, Word, shown},
    policy::Queue,
    render::words::word,
    time,
};

/// What to say about a group of servers; nothing if it limits nothing.
pub(super) fn note(upstream: &Directive, kind: Kind, places: &Places) -> Option<Note> {
    let lines = || {
        let block = upstream.block.iter();
        block.flat_map(|block| &block.directives)
    };
    let servers: Vec<String> = lines()
        .filter(|line| line.name.value == "server")
        .filter_map(|line| server(line, kind))
        .collect();
    let queue = lines()
        .find(|line| line.name.value == "queue")
        .and_then(queue);
    if servers.is_empty() && queue.is_none() {
        return None;
    }
    let mut text = format!(
        "{}: limiter caps these connections in the cgroup that opens them; decide whether it is \
         attached there.",
        places.quote(upstream)
    );
    if !servers.is_empty() && !lines().any(|line| line.name.value == "zone") {
        text.push_str(
            " Without \"zone\", each worker process of nginx has these numbers for itself: multiply \
             them.",
        );
    }
    text.push_str(" It is written so:");
    let name = upstream.arguments.first();
    let name = name.map_or("", |word| word.value.as_str());
    let block = std::iter::once(format!("upstream {} {{", word(name)))
        .chain(
            servers
                .into_iter()
                .chain(queue)
                .map(|it| format!("    {it}")),
        )
        .chain(["}".to_owned()]);
    Some(Note {
        text,
        instead: block.collect(),
    })
}

/// A server that has a limit.
fn server(line: &Directive, kind: Kind) -> Option<String> {
    let (address, parameters) = line.arguments.split_first()?;
    let number = parameters
        .iter()
        .filter_map(|word| word.value.strip_prefix("max_conns="))
        .next_back()?;
    // 0 is no limit.
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    let (address, remark) = with_port(address, kind);
    Some(format!(
        "server {} max_conns={number};{remark}",
        word(&address)
    ))
}

/// The address with its port, and what is wrong with it.
fn with_port(address: &Word, kind: Kind) -> (String, &'static str) {
    const NAME: &str = "  # limiter looks no names up: write the address";
    let text = shown(&address.value).to_string();
    if text.starts_with("unix:") {
        return (text, "  # only TCP is limited");
    }
    let has_port = match text.rsplit_once(']') {
        Some((_, behind)) => !behind.is_empty(),
        None => text.contains(':'),
    };
    let text = if has_port || kind == Kind::Stream {
        text
    } else {
        format!("{text}:80")
    };
    let is_address = text.parse::<std::net::SocketAddr>().is_ok();
    (text, if is_address { "" } else { NAME })
}

fn queue(line: &Directive) -> Option<String> {
    let (number, parameters) = line.arguments.split_first()?;
    number.value.parse::<u32>().ok()?;
    let timeout = parameters
        .iter()
        .find_map(|word| word.value.strip_prefix("timeout="));
    let longest = Queue::MAX_TIMEOUT_MS;
    let (timeout, remark) = match timeout.map(time::parse) {
        None => (String::new(), ""),
        Some(Some(ms)) if ms <= longest.into() => (format!(" timeout={}", time::format(ms)), ""),
        Some(_) => (
            format!(" timeout={}", time::format(longest.into())),
            "  # no longer than that",
        ),
    };
    Some(format!("queue {}{timeout};{remark}", number.value))
}
