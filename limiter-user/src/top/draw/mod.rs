//! The screen: title, servers, zones, upstreams, keys of the selected zone, events, and a line for keys.

use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Clear, Paragraph, Wrap},
};

use super::model::{Link, Mode, Model, Question};
use crate::api::Status;

pub use self::style::Palette;

mod events;
mod keys;
mod style;
mod upstreams;
mod zones;

/// The smallest screen.
const WIDTH: u16 = 62;
/// The smallest screen.
const HEIGHT: u16 = 12;
/// Lines of zones at the most; the selected one is always among them.
const ZONES: u16 = 8;

const HELP: &str = "\
up, down, k, j   select a zone
s                sort keys: connections, rejected, rejected/s, key
/                show only keys and events with a text; Esc: all of them
p, Space         pause: the screen stays as it is
d                switch dry run, after a question
Ctrl-L           draw everything again
q, Esc, Ctrl-C   quit

A bar shows how much of a zone's capacity its keys take. A key's line shows
its connections over the last readings, against the highest of them.";

/// How it is drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// Colours, or none.
    pub palette: Palette,
    /// For the time of events.
    pub zone: TimeZone,
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, look: &Look) {
    let area = frame.area();
    if area.width < WIDTH || area.height < HEIGHT {
        let text = format!(
            "the terminal is too small: it has {} columns and {} lines, and {WIDTH} and {HEIGHT} are needed",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let zones = model.status.as_ref().map_or(0, |it| it.zones.len()) as u16;
    let zones = zones.clamp(1, ZONES.min(area.height / 4));
    let left = area.height - 3 - (zones + 2);
    // On a screen that has no room for them, the keys are more important.
    let upstreams = match upstreams::height(model) {
        lines if lines <= left / 3 => lines,
        _ => 0,
    };
    let left = left - upstreams;
    let [title, servers, zones, outgoing, keys, events, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(zones + 2),
        Constraint::Length(upstreams),
        Constraint::Length(left.div_ceil(2)),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title_line(model, look, title)), title);
    frame.render_widget(Paragraph::new(server_line(model, look)), servers);
    zones::draw(frame, zones, model, look);
    if upstreams > 0 {
        upstreams::draw(frame, outgoing, model, look);
    }
    keys::draw(frame, keys, model, look);
    events::draw(frame, events, model, look);
    frame.render_widget(Paragraph::new(foot_line(model, look)), foot);
    match &model.mode {
        Mode::Commands | Mode::Filter => {}
        Mode::Help => popup(frame, " help ", HELP),
        Mode::Question(question) => popup(frame, " dry run ", &asked(model, question)),
    }
}

fn right<'a>(text: String) -> Cell<'a> {
    Cell::new(Line::from(text).right_aligned())
}

fn title_line<'a>(model: &Model, look: &Look, area: Rect) -> Line<'a> {
    let palette = look.palette;
    let mut spans = vec![Span::styled(" limiter ", palette.title())];
    if let Some(status) = &model.status {
        let total = model.total();
        spans.push(Span::raw(format!(
            " {}  up {}  passed {:.0}/s  refused {:.0}/s ",
            status.version,
            uptime(status),
            total.passed,
            total.refused
        )));
    }
    let dry = model.servers().iter().filter(|it| it.dry_run).count();
    if dry > 0 {
        let text = if dry == model.servers().len() {
            " DRY RUN: nobody is refused ".to_owned()
        } else {
            format!(" DRY RUN: {dry} of {} servers ", model.servers().len())
        };
        spans.push(Span::styled(text, palette.dry_run()));
    }
    if model.is_paused {
        let text = format!(" PAUSED, {} events not shown ", model.unseen);
        spans.push(Span::styled(text, palette.warning()));
    }
    if let Link::Down(_) = model.link {
        spans.push(Span::styled(" NO DAEMON ", palette.alarm()));
    }
    fit(spans, area)
}

/// Leaves out what does not fit, the least important first: that is what stands behind the title.
fn fit<'a>(mut spans: Vec<Span<'a>>, area: Rect) -> Line<'a> {
    let width: usize = spans.iter().map(Span::width).sum();
    if width > area.width.into() && spans.len() > 2 {
        spans.remove(1);
    }
    Line::from(spans)
}

fn server_line<'a>(model: &Model, look: &Look) -> Line<'a> {
    let mut spans = vec![Span::styled(" servers ", look.palette.faint())];
    for server in model.servers() {
        spans.push(Span::raw(" "));
        if server.dry_run {
            let text = format!(" {} DRY RUN ", server.server);
            spans.push(Span::styled(text, look.palette.dry_run()));
        } else {
            spans.push(Span::raw(format!("{} {}", server.server, server.action)));
        }
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn foot_line<'a>(model: &Model, look: &Look) -> Line<'a> {
    let palette = look.palette;
    if let Link::Down(why) = &model.link {
        return Line::styled(format!(" waiting for a daemon: {why}"), palette.alarm());
    }
    if model.mode == Mode::Filter {
        let text = format!(" /{}_  Enter: keep  Esc: all", model.filter);
        return Line::styled(text, palette.warning());
    }
    if !model.note.is_empty() {
        return Line::styled(format!(" {}", model.note), palette.warning());
    }
    let mut text = format!(" q quit  ? help  sort: {}  / filter", model.sort.as_str());
    if !model.filter.is_empty() {
        text.push_str(&format!(": {} (Esc: all)", model.filter));
    }
    text.push_str("  p pause  d dry run");
    Line::styled(text, palette.faint())
}

fn asked(model: &Model, question: &Question) -> String {
    let Some(change) = model.answer(question) else {
        return "There is no server.".to_owned();
    };
    let switch = if change.on { "on" } else { "off" };
    let whom = match &change.server {
        Some(server) => format!("server {server}"),
        None => format!("all {} servers", model.servers().len()),
    };
    let means = if change.on {
        "Nobody is refused there any more."
    } else {
        "Who is over a limit is refused again."
    };
    let mut text = format!("Turn dry run {switch} for {whom}?\n{means}\n\ny: yes   n: no");
    if model.servers().len() > 1 {
        text.push_str("   Tab: another server");
    }
    text
}

fn popup(frame: &mut Frame<'_>, title: &str, text: &str) {
    let area = frame.area();
    let longest = text.lines().map(|line| line.chars().count()).max();
    let width = (longest.unwrap_or(0) as u16 + 4).min(area.width);
    let height = (text.lines().count() as u16 + 2).min(area.height);
    let place = Rect {
        x: (area.width - width) / 2,
        y: (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::new().borders(Borders::ALL).title(title.to_owned());
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(text).block(block.padding(ratatui::widgets::Padding::horizontal(1))),
        place,
    );
}

fn uptime(status: &Status) -> String {
    let minutes = Duration::from_secs(status.uptime_s).as_secs() / 60;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{}s", status.uptime_s),
        (0, 0, m) => format!("{m}m"),
        (0, h, m) => format!("{h}h{m}m"),
        (d, h, _) => format!("{d}d{h}h"),
    }
}

/// A block with a line on top only: the rest of the room is for what is in it.
fn block<'a>(title: String, look: &Look) -> Block<'a> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(look.palette.faint())
        .title(Span::styled(title, look.palette.heading()))
}
