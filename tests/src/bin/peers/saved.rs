//! The results as JSON, to be looked at again.

use std::{fs, path::Path};

use ::tests::hardware::Hardware;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    results::{Figure, Results, Summary},
    system::System,
};

/// A file.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Where they were measured.
    machine: Hardware,
    figures: Vec<OfFigure>,
}

#[derive(Serialize, Deserialize)]
struct OfFigure {
    #[serde(flatten)]
    figure: Figure,
    systems: Vec<OfSystem>,
}

#[derive(Serialize, Deserialize)]
struct OfSystem {
    system: System,
    /// For those who read the file; it follows from the samples.
    #[serde(flatten, skip_deserializing)]
    summary: Option<Summary>,
    /// To no limiter; likewise.
    #[serde(skip_deserializing)]
    ratio: Option<f64>,
    /// By round.
    samples: Vec<f64>,
}

/// Writes every sample, and what it comes to.
pub fn write(path: &Path, machine: &Hardware, results: &Results) -> Result<()> {
    let figures = results.figures().map(|(index, figure)| {
        let of_system = |system: System| {
            let samples = results.samples(index, system).to_vec();
            (!samples.is_empty()).then(|| OfSystem {
                system,
                summary: results.summary(index, system),
                ratio: results.ratio(index, system),
                samples,
            })
        };
        OfFigure {
            figure: figure.clone(),
            systems: System::ALL.into_iter().filter_map(of_system).collect(),
        }
    });
    let saved = Saved {
        machine: machine.clone(),
        figures: figures.collect(),
    };
    let text = serde_json::to_string_pretty(&saved).context("make JSON of the results")?;
    fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

/// Adds what a file has. Where it was measured.
pub fn read(path: &Path, results: &mut Results) -> Result<Hardware> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let saved: Saved = serde_json::from_str(&text)
        .with_context(|| format!("read {}: this is not what --json writes", path.display()))?;
    for of_figure in saved.figures {
        for of_system in of_figure.systems {
            results.put(
                of_figure.figure.clone(),
                of_system.system,
                &of_system.samples,
            );
        }
    }
    Ok(saved.machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut results = Results::default();
        for (system, value) in [(System::None, 2.0), (System::Limiter, 1.0)] {
            results.add("work", "figure", "ns", system, value);
        }
        let file = tempfile::NamedTempFile::new().expect("make a file");
        let machine = Hardware::here().expect("look at the machine");
        write(file.path(), &machine, &results).expect("write");
        let mut again = Results::default();
        assert_eq!(read(file.path(), &mut again).expect("read"), machine);
        let figure = again.find("work", "figure").expect("the figure");
        assert_eq!(again.samples(figure, System::Limiter), [1.0]);
        assert_eq!(again.ratio(figure, System::Limiter), Some(0.5));
    }
}
