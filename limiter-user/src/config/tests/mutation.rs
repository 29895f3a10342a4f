//! Whatever is in a file: a policy, which survives being written and read again, or one message.
//! Never a panic.

use super::values::SAMPLE;
use crate::{
    config::{parse, render},
    render::policy::configuration,
};

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

const FRAGMENTS: [&str; 24] = [
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
    "99999999999",
    "stream",
    "=",
    "interface",
    "close",
    "1m30s",
];

fn mutate(random: &mut Random) -> String {
    let mut bytes = SAMPLE.as_bytes().to_vec();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len());
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let fragment = FRAGMENTS[random.below(FRAGMENTS.len())];
                bytes.splice(at..at, fragment.bytes());
            }
            3 => {
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
fn no_mutation_of_the_sample_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..5_000 {
        let text = mutate(&mut random);
        match parse("t.conf", &text) {
            Ok(loaded) => {
                let canonical = configuration(&loaded.policy).to_string();
                let again = parse("t.conf", &canonical).expect(&canonical);
                assert_eq!(again.policy, loaded.policy, "{canonical}");
                taken += 1;
            }
            Err(error) => {
                let line = error.to_string();
                assert!(line.starts_with("t.conf:"), "{line}");
                assert!(!line.contains(char::is_control), "{line:?}");
                // The place must be one that can be shown.
                let rendered = render(&error, false);
                assert!(rendered.contains("╭─[t.conf:"), "{rendered}\n{text:?}");
                refused += 1;
            }
        }
    }
    assert!(
        taken > 100 && refused > 100,
        "{taken} taken, {refused} refused"
    );
}
