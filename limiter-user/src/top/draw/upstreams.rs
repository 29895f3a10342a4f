//! The servers of upstreams, and how many of their connections are taken.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Row, Table},
};

use super::{Look, block, right, zones};
use crate::top::model::Model;

/// Lines at the most.
const LINES: usize = 6;

/// Lines that it takes, with its frame; 0: there are no upstreams.
pub(super) fn height(model: &Model) -> u16 {
    match lines(model) {
        0 => 0,
        lines => lines.min(LINES) as u16 + 3,
    }
}

fn lines(model: &Model) -> usize {
    let upstreams = model.status.iter().flat_map(|it| &it.upstreams);
    upstreams.map(|it| it.servers.len()).sum()
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let bar_width = zones::bar_width(area);
    let upstreams = model.status.iter().flat_map(|it| &it.upstreams);
    let servers = upstreams.flat_map(|it| it.servers.iter().map(move |server| (it, server)));
    let rows = servers.map(|(upstream, server)| {
        let (used, max) = match server.max_conns {
            0 => (Line::default(), "none".to_owned()),
            max => {
                let share = server.active as f64 / f64::from(max);
                (zones::bar(share, bar_width, look), max.to_string())
            }
        };
        // That of the upstream, at each of its servers.
        let queued = upstream
            .queue
            .map_or("-".to_owned(), |it| it.queued.to_string());
        Row::new([
            Cell::new(upstream.upstream.clone()),
            Cell::new(server.server.to_string()),
            Cell::new(used),
            right(format!("{}/{max}", server.active)),
            right(queued),
            right(server.passed.to_string()),
            right((server.rejected + server.rejected_dry_run).to_string()),
        ])
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Min(15),
        Constraint::Length(bar_width as u16 + 5),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let heads = [
        "UPSTREAM", "SERVER", "USED", "CONNS", "QUEUED", "PASSED", "REFUSED",
    ];
    let header = zones::header(&heads, 3);
    let table = Table::new(rows, widths)
        .header(header.style(look.palette.faint()))
        .block(block(" upstreams ".to_owned(), look));
    frame.render_widget(table, area);
}
