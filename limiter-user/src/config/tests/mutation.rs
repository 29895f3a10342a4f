//! Whatever is in a file: a policy, which survives being written and read again, or one message.
//! Never a panic.

use super::values::SAMPLE;
use crate::{
    config::{Loaded, parse, render, render_warning},
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

const FRAGMENTS: [&str; 34] = [
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
    "off",
    "/",
    "/0",
    "/33",
    "::ffff:",
    "10.0.0.0/8",
    "limit_conn_exempt ",
    "limit_conn_override addr ",
    "v4_prefix=",
    "on_full=evict",
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
                let canonical = configuration(&loaded.policy, &loaded.origins, 2);
                let again = parse("t.conf", &canonical).expect(&canonical);
                assert_eq!(again.policy, loaded.policy, "{canonical}");
                must_be_parallel(&loaded);
                for warning in &loaded.warnings {
                    assert!(!render_warning(warning, false).is_empty());
                }
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

/// Every value has an origin.
fn must_be_parallel(loaded: &Loaded) {
    let Loaded {
        policy, origins, ..
    } = loaded;
    assert_eq!(origins.zones.len(), policy.zones.len());
    let attach = origins.cgroups.len() + origins.interfaces.len();
    assert_eq!(attach, policy.attach.len());
    assert_eq!(origins.servers.len(), policy.servers.len());
    for (origins, server) in origins.servers.iter().zip(&policy.servers) {
        assert_eq!(origins.listen.len(), server.listen.len());
        assert_eq!(origins.exempt.len(), server.exempt.len());
        assert_eq!(origins.exempt_off.is_some(), server.exempt.is_empty());
        assert_eq!(origins.limits.len(), server.limits.len());
        for (origins, limit) in origins.limits.iter().zip(&server.limits) {
            assert_eq!(origins.overrides.len(), limit.overrides.len());
        }
    }
}
