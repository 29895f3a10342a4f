//! From samples to figures.

use serde::Serialize;

use super::runs::Runs;

/// What one piece of work costs, nanoseconds. Each sample is a mean over a few pieces.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figure {
    /// Median of what the samples cost more than an empty program at the same hook.
    pub ns: f64,
    /// A tenth of the samples is below, by the same count.
    pub p10_ns: f64,
    /// A tenth of the samples is above.
    pub p90_ns: f64,
    /// Median of the samples as the kernel reports them.
    pub measured_ns: f64,
    /// What an empty program costs for the same packets: the clock itself, mostly.
    pub empty_ns: f64,
    /// Mean of the samples as the kernel reports them, interruptions included.
    pub mean_measured_ns: f64,
    /// A tenth of the samples are below this, as the kernel reports them.
    pub p10_measured_ns: f64,
    /// A tenth of the samples are above this, as the kernel reports them.
    pub p90_measured_ns: f64,
}

/// Costs of one kind of work, sample by sample.
#[derive(Default)]
pub struct Samples {
    limiter: Vec<f64>,
    empty: Vec<f64>,
}

impl Samples {
    /// Adds one sample: what one piece costs, and what an empty program costs.
    pub fn add(&mut self, limiter_ns: f64, empty_ns: f64) {
        self.limiter.push(limiter_ns);
        self.empty.push(empty_ns);
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.limiter.len()
    }

    /// What one piece costs in the end.
    pub fn figure(mut self) -> Figure {
        let pairs = self.limiter.iter().zip(&self.empty);
        let mut more: Vec<_> = pairs.map(|(limiter, empty)| limiter - empty).collect();
        for samples in [&mut more, &mut self.limiter, &mut self.empty] {
            samples.sort_by(f64::total_cmp);
        }
        Figure {
            ns: quantile(&more, 0.5),
            p10_ns: quantile(&more, 0.1),
            p90_ns: quantile(&more, 0.9),
            measured_ns: quantile(&self.limiter, 0.5),
            empty_ns: quantile(&self.empty, 0.5),
            mean_measured_ns: self.limiter.iter().sum::<f64>() / self.limiter.len() as f64,
            p10_measured_ns: quantile(&self.limiter, 0.1),
            p90_measured_ns: quantile(&self.limiter, 0.9),
        }
    }
}

/// Mean time of one run.
pub fn mean_ns(runs: Runs) -> f64 {
    runs.time_ns as f64 / runs.number as f64
}

/// The value below which this part of the sorted samples is.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_program_is_taken_off_each_sample() {
        let mut samples = Samples::default();
        for (limiter, empty) in [(30.0, 20.0), (900.0, 21.0), (42.0, 22.0)] {
            samples.add(limiter, empty);
        }
        let figure = samples.figure();
        assert!((figure.ns - 20.0).abs() < 1e-9, "{figure:?}");
        assert!((figure.measured_ns - 42.0).abs() < 1e-9, "{figure:?}");
    }
}
