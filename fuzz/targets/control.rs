//! Requests on the control socket: first line and body. hyper reads what is around them.

#![no_main]

use hyper::Method;
use libfuzzer_sys::fuzz_target;
use limiter::{
    api::{
        Audit, Detach, Reload, ResetCounters, SetAction, SetDryRun, SetExempt, SetLimit,
        SetLogLevel,
    },
    control::route::{Change, EventFilter, Route},
};
use serde_json::from_slice;

// METHOD PATH?QUERY, a line feed, the body.
fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let body = lines.next().unwrap_or_default();
    let Some((method, target)) = std::str::from_utf8(first)
        .ok()
        .and_then(|first| first.split_once(' '))
    else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match Route::parse(&method, path, query) {
        Ok(Route::Events(filter)) => {
            // What a client would send to ask for the same.
            assert_eq!(EventFilter::parse(&filter.to_query()), Ok(filter));
        }
        Ok(Route::Change(change)) => read(change, body),
        Ok(_) => {}
        Err(refusal) => assert!(refusal.status.is_client_error(), "{refusal:?}"),
    }
});

fn read(change: Change, body: &[u8]) {
    match change {
        Change::DryRun => drop(from_slice::<SetDryRun>(body)),
        Change::LogLevel => drop(from_slice::<SetLogLevel>(body)),
        Change::Action => drop(from_slice::<SetAction>(body)),
        Change::Limit => drop(from_slice::<SetLimit>(body)),
        Change::Exempt => drop(from_slice::<SetExempt>(body)),
        Change::Reload => drop(from_slice::<Reload>(body)),
        Change::Reset => drop(from_slice::<ResetCounters>(body)),
        Change::Audit => drop(from_slice::<Audit>(body)),
        Change::Detach => drop(from_slice::<Detach>(body)),
    }
}
