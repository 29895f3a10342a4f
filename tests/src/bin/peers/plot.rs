//! What matters most, as a picture: bars for each system, a panel for each figure.

use crate::{results::Results, system::System, table::number};

/// Figures that are drawn, and what stands above each.
const PANELS: [(&str, &str, &str); 6] = [
    (
        "accept",
        "connections",
        "Short connections a second, one CPU",
    ),
    (
        "data",
        "round trips",
        "Round trips a second, one connection",
    ),
    (
        "refuse",
        "SYN dropped, over early",
        "CPU of a refused SYN over an early drop, ns",
    ),
    (
        "crowd",
        "p50 of a paced connection with 30 000 open",
        "A new connection of a client with 30 000, µs",
    ),
    (
        "churn",
        "wrongly refused of 20 000",
        "At most 6 open, limit 10: refused of 20 000",
    ),
    (
        "forged SYNs",
        "the victim is locked out",
        "Locked out by forged SYNs, s",
    ),
];

const WIDTH: usize = 400;
const BAR: usize = 18;
const LABEL: usize = 96;
const TITLE: usize = 26;

/// Panels, two in a row.
pub fn svg(results: &Results, systems: &[System]) -> String {
    let panels: Vec<_> = PANELS
        .iter()
        .filter_map(|(work, what, title)| Some((results.find(work, what)?, *title)))
        .collect();
    let high = TITLE + BAR * systems.len() + 14;
    let rows = panels.len().div_ceil(2);
    let (width, height) = (2 * WIDTH, rows * high);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (place, (figure, title)) in panels.into_iter().enumerate() {
        let (x, y) = (place % 2 * WIDTH, place / 2 * high);
        text += &format!("<g transform=\"translate({x} {y})\">\n");
        text += &panel(results, figure, title, systems);
        text += "</g>\n";
    }
    text + "</svg>\n"
}

fn panel(results: &Results, figure: usize, title: &str, systems: &[System]) -> String {
    let mut text = format!("<text x=\"8\" y=\"17\" font-weight=\"bold\">{title}</text>\n");
    let medians: Vec<_> = systems
        .iter()
        .map(|system| Some(results.summary(figure, *system)?.median))
        .collect();
    let most = medians.iter().flatten().copied().fold(0.0, f64::max);
    // Behind the longest bar stands its number.
    let room = (WIDTH - LABEL - 70) as f64;
    for (place, (system, median)) in systems.iter().zip(medians).enumerate() {
        let y = TITLE + place * BAR;
        let base = y + BAR - 6;
        let end = LABEL - 6;
        text += &format!(
            "<text x=\"{end}\" y=\"{base}\" text-anchor=\"end\">{}</text>\n",
            system.name()
        );
        let (length, label) = match median {
            Some(median) if most > 0.0 => (median.max(0.0) / most * room, number(median)),
            Some(median) => (0.0, number(median)),
            None => (0.0, "–".to_owned()),
        };
        let colour = if system.is_limiter() { "#2a7" } else { "#99a" };
        let (bar, behind) = (BAR - 5, LABEL as f64 + length + 5.0);
        text += &format!(
            "<rect x=\"{LABEL}\" y=\"{}\" width=\"{length:.1}\" height=\"{bar}\" fill=\"{colour}\"/>\n\
             <text x=\"{behind:.1}\" y=\"{base}\">{label}</text>\n",
            y + 2
        );
    }
    text
}
