//! Whatever is in a file: there is a result that `check` takes, or one message. Never a panic.

use super::check;
use crate::{config::render, import::parse};

/// Small and repeatable (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }
}

const SAMPLES: [&str; 2] = [
    include_str!("samples/web.nginx.conf"),
    include_str!("samples/stream.nginx.conf"),
];

const FRAGMENTS: [&str; 44] = [
    "{",
    "}",
    ";",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    "#",
    "\n",
    "\r",
    " ",
    "\0",
    "ü",
    ":",
    "-",
    "[",
    "]",
    "[::]:80",
    "99999999999",
    "65535",
    "0",
    "...",
    "...\n",
    "http {",
    "stream {",
    "server {",
    "location / {",
    "limit_conn perip 7;",
    "limit_conn_zone $key zone=",
    "limit_conn_zone $binary_remote_addr zone=perip:1m;",
    "limit_conn_dry_run on;",
    "listen 80;",
    "listen 1-65535;",
    "listen 127.0.0.1:443;",
    "default_server",
    "server_name a;",
    "geo $key {",
    "map $limit $limit {",
    "10.0.0.0/8 '';",
    "ranges;",
    "include *;",
    "content_by_lua_block {",
    "upstream a { server b max_conns=1; }",
];

fn mutate(random: &mut Random) -> String {
    let mut bytes = SAMPLES[random.below(SAMPLES.len())].as_bytes().to_vec();
    for _ in 0..1 + random.below(8) {
        let at = random.below(bytes.len());
        let length = if random.below(4) == 0 { 300 } else { 12 };
        let end = (at + random.below(length)).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2..=4 => {
                let fragment = FRAGMENTS[random.below(FRAGMENTS.len())];
                bytes.splice(at..at, fragment.bytes());
            }
            5 | 6 => {
                let copy = bytes[at..end].to_vec();
                let target = random.below(bytes.len());
                bytes.splice(target..target, copy);
            }
            _ if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_mutation_of_the_samples_gives_what_check_refuses() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut limiting, mut refused) = (0, 0, 0);
    for _ in 0..4_000 {
        let text = mutate(&mut random);
        match parse("/nowhere/nginx.conf", &text) {
            Ok(import) => {
                check(&import);
                taken += 1;
                limiting += usize::from(import.summary.limits > 0);
            }
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains(char::is_control), "{line:?}");
                assert!(!render(&error, false).is_empty());
                refused += 1;
            }
        }
    }
    assert!(
        taken > 500 && limiting > 200 && refused > 100,
        "{taken} taken, {limiting} with limits, {refused} refused"
    );
}
