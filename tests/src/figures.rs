//! What benchmarks print of times that they have taken.

use std::time::Duration;

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Millis {
    /// The shortest.
    pub least: f64,
    /// Of an even number, the longer of the two in the middle.
    pub median: f64,
    /// The longest.
    pub most: f64,
}

impl Millis {
    /// Of some times.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |index: usize| times[index].as_secs_f64() * 1e3;
        Self {
            least: at(0),
            median: at(times.len() / 2),
            most: at(times.len() - 1),
        }
    }
}

/// Writes a line of a benchmark's result to standard output.
#[expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
pub fn println(line: &str) {
    println!("{line}");
}
