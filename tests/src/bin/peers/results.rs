//! What was measured: of each figure and system, one sample a round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::system::System;

/// What a figure is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// The work.
    pub work: String,
    /// What is measured.
    #[serde(rename = "figure")]
    pub what: String,
    /// Its unit.
    pub unit: String,
}

/// All samples.
#[derive(Default)]
pub struct Results {
    figures: Vec<Figure>,
    samples: BTreeMap<(usize, System), Vec<f64>>,
}

/// Of the samples of one figure and system.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    /// The median; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// How many there are.
    #[serde(skip)]
    pub samples: usize,
}

impl Summary {
    /// Of at least one sample.
    fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let upper = samples.get(samples.len() / 2)?;
        let lower = samples.get((samples.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(*lower, *upper),
            least: *samples.first()?,
            most: *samples.last()?,
            samples: samples.len(),
        })
    }
}

impl Results {
    /// Adds one sample.
    pub fn add(&mut self, work: &str, what: &str, unit: &str, system: System, value: f64) {
        eprintln!("{work}: {what}: {}: {value:.4} {unit}", system.name());
        let figure = Figure {
            work: work.to_owned(),
            what: what.to_owned(),
            unit: unit.to_owned(),
        };
        self.put(figure, system, &[value]);
    }

    /// Adds one that is a number of something, and has no unit.
    pub fn add_count(&mut self, work: &str, what: &str, system: System, count: usize) {
        self.add(work, what, "", system, count as f64);
    }

    /// Adds samples that were taken before.
    pub fn put(&mut self, figure: Figure, system: System, samples: &[f64]) {
        let known = self.figures.iter().position(|known| *known == figure);
        let index = known.unwrap_or_else(|| {
            self.figures.push(figure);
            self.figures.len() - 1
        });
        let all = self.samples.entry((index, system)).or_default();
        all.extend(samples);
    }

    /// The figures, in the order in which they were measured first.
    pub fn figures(&self) -> impl Iterator<Item = (usize, &Figure)> {
        self.figures.iter().enumerate()
    }

    /// What came of one of them, for one system.
    pub fn summary(&self, figure: usize, system: System) -> Option<Summary> {
        Summary::of(self.samples(figure, system).to_vec())
    }

    /// All samples of one figure and system, by round.
    pub fn samples(&self, figure: usize, system: System) -> &[f64] {
        self.samples
            .get(&(figure, system))
            .map_or(&[], Vec::as_slice)
    }

    /// The ratio to no limiter: median of the ratios of the rounds, in each of which all systems have
    /// had their turn close together.
    pub fn ratio(&self, figure: usize, system: System) -> Option<f64> {
        let base = self.samples(figure, System::None);
        let own = self.samples(figure, system);
        let rounds = own.iter().zip(base).filter(|(_, base)| **base != 0.0);
        let ratios = rounds.map(|(own, base)| own / base).collect();
        Some(Summary::of(ratios)?.median)
    }

    /// The number of a figure.
    pub fn find(&self, work: &str, what: &str) -> Option<usize> {
        self.figures
            .iter()
            .position(|figure| figure.work == work && figure.what == what)
    }
}

/// A number with a space every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
