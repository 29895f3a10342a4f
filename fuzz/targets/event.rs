//! Records of the ring of events: told in a line and in JSON that can be read again, or left out.

#![no_main]

use std::sync::LazyLock;

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use limiter::{
    api::Event,
    config::parse,
    daemon::{
        clock::Clock,
        convert::{Moment, convert},
        in_force::InForce,
        refusal_line::refusal_line,
    },
    kernel::{Indices, UpstreamIndices, foreign},
    render::{colour::Colour, event},
};

static POLICY: LazyLock<InForce> = LazyLock::new(|| {
    let text = "limit_conn_zone $remote_addr zone=a:1m; limit_conn a 1; limit_conn_action close; \
                upstream b { server 192.0.2.1:80 max_conns=1; queue 5; }";
    let policy = parse("fuzz.conf", text).expect("a configuration").policy;
    let indices = Indices {
        zones: vec![0],
        servers: vec![0],
        upstreams: UpstreamIndices {
            servers: vec![0],
            queues: vec![Some(1)],
        },
    };
    InForce::new(policy, &indices)
});

/// It stands still: the same input has the same result.
struct Stopped;

impl Clock for Stopped {
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic_ns(&self) -> u64 {
        1 << 40
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(raw) = foreign::event(data) else {
        return;
    };
    let Some(told) = convert(&raw, &POLICY, Moment::now(&Stopped)) else {
        return;
    };
    refusal_line(&told);
    let line = event::event(&told, &TimeZone::UTC, Colour::Off);
    let line = line.strip_suffix('\n').expect("a line");
    assert!(!line.contains(char::is_control), "{line:?}");
    let text = serde_json::to_string(&told).expect("JSON");
    let mut again: Event = serde_json::from_str(&text).expect("what was just written");
    // serde_json reads floats but for their last bit, which is below a microsecond for the next century.
    let seconds = |event: &Event| event.duration_s.unwrap_or(-1.0);
    assert!((seconds(&again) - seconds(&told)).abs() <= seconds(&told).abs() * 1e-15);
    again.duration_s = told.duration_s;
    assert_eq!(again, told);
});
