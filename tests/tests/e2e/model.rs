//! Random policies, connections and frames: the kernel and a plain model of the documentation agree
//! on every one.
//!
//! The frames are run through the program of a running limiter. A refused SYN charges nothing, so
//! each says the same of the same connections, whatever came before it.
//!
//! `LIMITER_MODEL_SEED=N` repeats a run, `LIMITER_MODEL_RUNS=N` makes it longer or shorter.

mod books;
mod case;
mod frames;
mod generate;
mod host;
mod hosts;
mod in_force;
mod net;
mod policy;
mod reference;
mod tally;
mod trial;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use host::Host;
use tally::Tally;
use tests::random::seed;

/// Unless told otherwise; with so many, every kind of case occurs. Each is a limiter with
/// [`case::POLICIES`], one after the other.
const RUNS: u64 = 20;
/// Runs at a time, each on a host of its own.
const HOSTS: usize = 2;
/// Frames that are tried in so many runs, at least.
const PACKETS: u64 = 10_000;

#[test]
fn the_kernel_and_a_plain_model_agree() {
    let seed = setting("LIMITER_MODEL_SEED").unwrap_or_else(seed);
    let runs = setting("LIMITER_MODEL_RUNS").unwrap_or(RUNS);
    eprintln!("LIMITER_MODEL_SEED={seed:#x} LIMITER_MODEL_RUNS={runs}");
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..HOSTS {
            scope.spawn(|| {
                let host = Host::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        break;
                    }
                    let one = case::run(&host, seed.wrapping_add(number));
                    tally.lock().expect("nobody panics here").add(one);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("nobody panics here");
    eprintln!("{} frames: {tally:#?}", tally.packets());
    if runs >= RUNS {
        assert!(tally.packets() >= PACKETS, "{} frames", tally.packets());
        assert_eq!(tally.missing(), [""; 0], "kinds of cases");
    }
}

/// The number in an environment variable, if it is set.
fn setting(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}
