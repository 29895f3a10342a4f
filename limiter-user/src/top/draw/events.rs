//! The newest events, the last one at the bottom.

use std::net::SocketAddr;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Look, block};
use crate::{
    api::{Event, EventState},
    top::model::Model,
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let room = area.height.saturating_sub(1) as usize;
    let newest = model.events.iter().rev();
    let mut lines: Vec<Line<'_>> = newest
        .filter(|event| line_text(event).contains(&model.filter))
        .take(room)
        .map(|event| line(event, look))
        .collect();
    lines.reverse();
    let block = block(" events ".to_owned(), look);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line<'a>(event: &Event, look: &Look) -> Line<'a> {
    let time = event.time.to_zoned(look.zone.clone());
    Line::from(vec![
        Span::styled(
            time.strftime(" %H:%M:%S ").to_string(),
            look.palette.faint(),
        ),
        Span::styled(event.status.as_str(), look.palette.status(event.status)),
        Span::raw(line_text(event)),
    ])
}

fn line_text(event: &Event) -> String {
    let mut text = format!(
        " {} {} zone={} {}/{}",
        SocketAddr::new(event.remote_addr, event.remote_port),
        event.server,
        event.zone,
        event.connections,
        event.limit
    );
    if event.status == EventState::Rejected {
        text.push_str(&format!(" {}", event.action));
    }
    if event.suppressed > 0 {
        text.push_str(&format!(" (+{})", event.suppressed));
    }
    text
}
