//! The zones, and how full they are.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::{Cell, Row, Table, TableState},
};

use super::{Look, block, right};
use crate::{api::ZoneStatus, top::model::Model};

/// Columns of a bar.
const BAR: usize = 12;

/// On a narrower screen there are no bars.
const WITH_BARS: u16 = 80;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let bar_width = bar_width(area);
    let zones = model.status.as_ref().map_or(&[][..], |it| &it.zones);
    let rows = zones.iter().enumerate().map(|(position, zone)| {
        let rates = model.rates.get(position).copied().unwrap_or_default();
        Row::new([
            Cell::new(zone.zone.clone()),
            Cell::new(bar(share(zone), bar_width, look)),
            right(format!("{}/{}", zone.keys, zone.capacity)),
            right(zone.connections.to_string()),
            right(format!("{:.0}", rates.passed)),
            right(format!("{:.0}", rates.refused)),
            right(format!("{:.0}", rates.dry_run)),
        ])
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Length(bar_width as u16 + 5),
        Constraint::Length(14),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(6),
    ];
    let heads = [
        "ZONE",
        "USED",
        "KEYS",
        "CONNS",
        "PASSED/s",
        "REFUSED/s",
        "DRY/s",
    ];
    let table = Table::new(rows, widths)
        .header(header(&heads, 2).style(look.palette.faint()))
        .row_highlight_style(look.palette.selected())
        .block(block(" zones ".to_owned(), look));
    let selected = zones
        .iter()
        .position(|zone| Some(&zone.zone) == model.selected.as_ref());
    let mut state = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn share(zone: &ZoneStatus) -> f64 {
    zone.keys as f64 / zone.capacity.max(1) as f64
}

pub(super) fn bar_width(area: Rect) -> usize {
    if area.width < WITH_BARS { 0 } else { BAR }
}

/// The heads of columns; so many of them stand on the left.
pub(super) fn header<'a>(heads: &[&'a str], on_the_left: usize) -> Row<'a> {
    let heads = heads.iter().enumerate().map(|(column, head)| {
        let line = Line::from(*head);
        Cell::new(if column < on_the_left {
            line
        } else {
            line.right_aligned()
        })
    });
    Row::new(heads)
}

pub(super) fn bar<'a>(share: f64, width: usize, look: &Look) -> Line<'a> {
    // What is used at all shows.
    let full = (share.min(1.0) * width as f64).ceil() as usize;
    Line::from(vec![
        Span::styled("█".repeat(full), look.palette.share(share)),
        Span::styled("·".repeat(width - full), look.palette.faint()),
        Span::raw(format!("{:>4.0}%", share * 100.0)),
    ])
}
