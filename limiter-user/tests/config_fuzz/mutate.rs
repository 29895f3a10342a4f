//! Changes to a text that know nothing of its meaning.

use crate::random::Random;

/// What the grammar is made of, and what it is not.
pub const FRAGMENTS: [&str; 40] = [
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
    "*",
    "=",
    "/",
    "/0",
    "/33",
    "\u{1b}[31m",
    "\u{feff}",
    "\u{202e}",
    "99999999999",
    "::ffff:",
    "stream {",
    "server {",
    "interface",
    "close",
    "1m30s",
    "off",
    "10.0.0.0/8",
    "include ",
    "limit_conn_exempt ",
    "limit_conn_override addr ",
    "v4_prefix=",
    "on_full=evict",
];

/// The text with a few changes, with pieces of another one among them.
pub fn mutated(random: &mut Random, text: &str, other: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 | 3 => {
                let fragment = random.one_of(&FRAGMENTS);
                bytes.splice(at..at, fragment.bytes());
            }
            4 => {
                let copy = bytes[at..end].to_vec();
                let target = random.below(bytes.len());
                bytes.splice(target..target, copy);
            }
            5 => {
                let from = random.below(other.len());
                let to = (from + random.below(80)).min(other.len());
                bytes.splice(at..at, other.as_bytes()[from..to].iter().copied());
            }
            6 => {
                let times = 1 << random.below(8);
                let copies = bytes[at..end].repeat(times);
                bytes.splice(at..at, copies);
            }
            7 if at < bytes.len() => bytes[at] = random.number().to_le_bytes()[0],
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
