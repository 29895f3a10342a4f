//! The results as a table.

use crate::{
    results::{Results, Summary, grouped},
    system::System,
};

const ZERO: &str = "0";

/// A table for each work. Ratios to no limiter stand beside what has a unit: that of two counts, or of
/// nothing, tells nothing.
pub fn text(results: &Results, systems: &[System]) -> String {
    let mut text = String::new();
    let mut work = "";
    for (index, figure) in results.figures() {
        if figure.work != work {
            work = &figure.work;
            let names = systems.iter().map(|system| format!(" {} |", system.name()));
            let rule = "---:|".repeat(systems.len());
            text += &format!(
                "\n**{work}**\n\n| | |{}\n|---|---|{rule}\n",
                names.collect::<String>()
            );
        }
        // What is nothing without a limiter has no ratio to it.
        let base = results.summary(index, System::None);
        let has_ratio =
            !figure.unit.is_empty() && base.is_some_and(|base| number(base.median) != ZERO);
        let cells = systems.iter().map(|system| {
            let cell = results.summary(index, *system).map(|summary| {
                let ratio = results.ratio(index, *system);
                let ratio = ratio.filter(|_| has_ratio && *system != System::None);
                cell(summary, ratio)
            });
            format!(" {} |", cell.unwrap_or_else(|| "–".to_owned()))
        });
        let row: String = cells.collect();
        text += &format!("| {} | {} |{row}\n", figure.what, figure.unit);
    }
    text
}

fn cell(summary: Summary, ratio: Option<f64>) -> String {
    let mut text = number(summary.median);
    if summary.samples > 1 {
        let (least, most) = (number(summary.least), number(summary.most));
        text += &format!(" ({least} to {most})");
    }
    if let Some(ratio) = ratio {
        text += &format!(" ×{ratio:.3}");
    }
    text
}

/// With three digits that mean something, or more before the point.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size < 0.005 {
        return ZERO.to_owned();
    }
    if size >= 10_000.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}", grouped(size.round() as u64))
    } else if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_more() {
        let values = [0.0, 0.123, 1.5, 12.34, 123.4, 12_345.6, -20_000.0];
        let texts = ["0", "0.12", "1.50", "12.3", "123", "12 346", "-20 000"];
        assert_eq!(values.map(number), texts);
    }
}
