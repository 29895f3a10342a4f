//! The busiest keys of the selected zone.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Row, Table},
};

use super::{Look, block};
use crate::top::{model::Model, track};

/// From nothing to the highest.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let name = model.selected.as_deref().unwrap_or("none");
    let sort = model.sort.as_str();
    let title = format!(" keys of zone {name} by {sort} ");
    let seconds = model.interval.as_secs_f64();
    let rows = model.keys().into_iter().map(|(text, key)| {
        let refused = model.tracks.refused(&text) as f64;
        let per_second = if seconds > 0.0 {
            refused / seconds
        } else {
            0.0
        };
        let recent: Vec<u32> = model.tracks.connections(&text).collect();
        Row::new([
            Cell::new(text),
            right(key.connections.to_string()),
            right(key.rejected.to_string()),
            right(format!("{per_second:.0}")),
            Cell::new(sparkline(&recent)),
        ])
    });
    let widths = [
        Constraint::Min(15),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(track::LENGTH as u16),
    ];
    let heads = [
        "KEY",
        "CONNS",
        "REJECTED",
        "REJECTED/s",
        "CONNECTIONS LATELY",
    ];
    let header = heads.iter().enumerate().map(|(column, head)| {
        let line = Line::from(*head);
        Cell::new(if matches!(column, 1..=3) {
            line.right_aligned()
        } else {
            line
        })
    });
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(look.palette.faint()))
        .block(block(title, look));
    frame.render_widget(table, area);
}

/// Right-aligned: the newest stands at the end.
pub(super) fn sparkline(values: &[u32]) -> String {
    let highest = values.iter().copied().max().unwrap_or(0).max(1) as usize;
    let last = LEVELS.len() - 1;
    let line: String = values
        .iter()
        .map(|value| LEVELS[(*value as usize * last).div_ceil(highest)])
        .collect();
    format!("{line:>width$}", width = track::LENGTH)
}

fn right<'a>(text: String) -> Cell<'a> {
    Cell::new(Line::from(text).right_aligned())
}
