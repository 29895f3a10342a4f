//! What another daemon may have left in the map that says what the others are about.

#![no_main]

use libfuzzer_sys::fuzz_target;
use limiter::{
    daemon::books::{from_json, to_json},
    kernel::foreign,
};

// The value of the map: a length, JSON.
fuzz_target!(|data: &[u8]| {
    let Some(books) = foreign::books(data) else {
        return;
    };
    let read = from_json(&books);
    let written = to_json(read.iter().map(|(name, book)| (name.as_str(), book)));
    assert_eq!(from_json(&written).len(), read.len());
});
