//! nginx's configuration: what is made of it is a configuration of limiter's, or there is a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use limiter::{
    config::{self, render},
    import::parse,
};

fuzz_target!(|text: &str| {
    // Files of this machine are no input.
    if text.contains("include") {
        return;
    }
    match parse("/nowhere/nginx.conf", text) {
        Ok(import) => {
            if let Err(error) = config::parse("/nowhere/limiter.conf", &import.text) {
                panic!("{error}\n{}", import.text);
            }
            for warning in &import.warnings {
                assert!(!warning.contains('\n'), "{warning:?}");
            }
        }
        Err(error) => {
            render(&error, false);
        }
    }
});
