//! limiter.conf: a policy that can be written and read again, or a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use limiter::{
    config::{parse, render, render_warning},
    render::policy::configuration,
};

fuzz_target!(|text: &str| {
    // Files of this machine are no input. limiter-user/tests/config_fuzz has files to include.
    if text.contains("include") {
        return;
    }
    match parse("/nowhere/fuzz.conf", text) {
        Ok(loaded) => {
            let written = configuration(&loaded.policy, &loaded.origins, 2);
            let again = parse("/nowhere/written.conf", &written)
                .unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(again.policy, loaded.policy, "{written}");
            for warning in &loaded.warnings {
                must_be_harmless(&render_warning(warning, false));
            }
        }
        Err(error) => must_be_harmless(&render(&error, false)),
    }
});

/// Nothing that a terminal obeys.
fn must_be_harmless(text: &str) {
    for line in text.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
