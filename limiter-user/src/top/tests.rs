//! What stands on the screen, and what keys do.

use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    draw::{Look, Palette, draw},
    input::Wish,
    model::{Model, Reading},
};
use crate::{
    api::{
        Event, EventStatus, KeyParts, KeyStatus, PacketStatus, ServerStatus, SetDryRun, Status,
        ZoneStatus,
    },
    policy::{ActionKind, LogLevel},
};

fn server(name: &str, dry_run: bool) -> ServerStatus {
    ServerStatus {
        server: name.to_owned(),
        listen: Vec::new(),
        limits: Vec::new(),
        exempt: Vec::new(),
        dry_run,
        log_level: LogLevel::Error,
        action: ActionKind::Drop,
        delay_ms: None,
        changed: Vec::new(),
    }
}

fn zone(name: &str, keys: u64, passed: u64) -> ZoneStatus {
    ZoneStatus {
        zone: name.to_owned(),
        capacity: 100,
        keys,
        connections: 7,
        passed,
        rejected: 2 * passed,
        ..ZoneStatus::default()
    }
}

fn key(addr: &str, connections: u32, rejected: u64) -> KeyStatus {
    KeyStatus {
        parts: KeyParts {
            remote_addr: Some(addr.parse().expect("literal")),
            ..KeyParts::default()
        },
        connections,
        rejected,
    }
}

/// A reading after so many connections have passed.
fn reading(passed: u64, web_dry_run: bool) -> Reading {
    Reading {
        status: Status {
            upstreams: Vec::new(),
            version: "0.1.0".to_owned(),
            pid: 7,
            uptime_s: 3_700,
            attached: Vec::new(),
            pinned: None,
            servers: vec![server("web", web_dry_run), server("mail", false)],
            zones: vec![zone("addr", 50, passed), zone("name", 95, 0)],
            events: EventStatus::default(),
            packets: PacketStatus::default(),
        },
        zone: Some(ZoneStatus {
            top: Some(vec![key("192.0.2.1", 5, 1), key("192.0.2.2", 2, passed)]),
            ..zone("addr", 50, passed)
        }),
    }
}

fn model() -> Model {
    let mut model = Model::new(reading(0, false));
    model.read(reading(10, false), Duration::from_secs(2));
    model
}

fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a backend");
    let look = Look {
        palette: Palette::Plain,
        zone: TimeZone::UTC,
    };
    terminal
        .draw(|frame| draw(frame, model, &look))
        .expect("a frame");
    terminal.backend().to_string()
}

fn press(model: &mut Model, keys: &str) -> Wish {
    let mut wish = Wish::None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\x1b' => KeyCode::Esc,
            '\x7f' => KeyCode::Backspace,
            other => KeyCode::Char(other),
        };
        wish = model.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    wish
}

#[track_caller]
fn shows(model: &Model, texts: &[&str]) {
    let screen = screen(model, 100, 30);
    for text in texts {
        assert!(screen.contains(text), "{text:?} is not in\n{screen}");
    }
}

#[test]
fn zones_keys_and_rates_stand_on_the_screen() {
    let model = model();
    shows(
        &model,
        &[
            "up 1h1m  passed 5/s  refused 10/s",
            "web drop",
            "██████······  50%         50/100      7        5        10",
            "████████████  95%",
            "keys of zone addr by connections",
            "192.0.2.1                      ",
            " ██",
        ],
    );
    assert!(!screen(&model, 100, 30).contains("DRY RUN"));
}

#[test]
fn dry_run_shows_in_the_title_and_at_its_server() {
    let mut model = model();
    model.read(reading(20, true), Duration::from_secs(1));
    shows(
        &model,
        &["DRY RUN: 1 of 2 servers", " web DRY RUN ", "mail drop"],
    );
}

#[test]
fn events_are_at_the_bottom_and_the_newest_is_the_last() {
    let mut model = model();
    for number in 1..100 {
        model.see(Event {
            number,
            remote_port: number as u16,
            ..Event::example()
        });
    }
    let screen = screen(&model, 100, 30);
    let last = screen.lines().nth(28).expect("a line");
    assert!(
        last.contains("REJECTED 192.0.2.1:99 default zone=addr 10/10 drop"),
        "{screen}"
    );
}

#[test]
fn keys_are_sorted_and_filtered() {
    let mut model = model();
    let order =
        |model: &Model| -> Vec<String> { model.keys().into_iter().map(|(text, _)| text).collect() };
    assert_eq!(order(&model), ["192.0.2.1", "192.0.2.2"]);
    press(&mut model, "s");
    assert_eq!(order(&model), ["192.0.2.2", "192.0.2.1"]);
    press(&mut model, "/2.1x\x7f");
    shows(&model, &["/2.1_"]);
    assert_eq!(order(&model), ["192.0.2.1"]);
    assert_eq!(press(&mut model, "\n"), Wish::None);
    shows(&model, &["filter: 2.1"]);
    // The first Esc shows everything again, the second one ends.
    assert_eq!(press(&mut model, "\x1b"), Wish::None);
    assert_eq!(order(&model).len(), 2);
    assert_eq!(press(&mut model, "\x1b"), Wish::Quit);
}

#[test]
fn a_pause_keeps_the_screen() {
    let mut model = model();
    press(&mut model, "p");
    model.read(reading(1_000, true), Duration::from_secs(1));
    model.see(Event::example());
    shows(&model, &["PAUSED, 1 events not shown", "passed 5/s"]);
    press(&mut model, "p");
    model.read(reading(1_010, true), Duration::from_secs(1));
    shows(&model, &["DRY RUN"]);
}

#[test]
fn another_zone_is_read_at_once() {
    let mut model = model();
    assert_eq!(press(&mut model, "j"), Wish::Read);
    assert_eq!(model.selected.as_deref(), Some("name"));
    assert_eq!(press(&mut model, "j"), Wish::None);
    // The keys of the zone before do not belong there.
    model.read(reading(20, false), Duration::from_secs(1));
    assert!(model.keys().is_empty());
}

#[test]
fn dry_run_is_switched_after_a_yes_only() {
    let mut model = model();
    assert_eq!(press(&mut model, "d"), Wish::None);
    shows(
        &model,
        &["Turn dry run on for all 2 servers?", "Tab: another server"],
    );
    assert_eq!(press(&mut model, "n"), Wish::None);
    let yes = |model: &mut Model, keys| match press(model, keys) {
        Wish::Switch(change) => change,
        other => panic!("{other:?}"),
    };
    let change = |on, server: Option<&str>| SetDryRun {
        on,
        server: server.map(str::to_owned),
    };
    assert_eq!(yes(&mut model, "dy"), change(true, None));
    assert_eq!(yes(&mut model, "d\t\ty"), change(true, Some("mail")));
    model.read(reading(20, true), Duration::from_secs(1));
    assert_eq!(yes(&mut model, "d\ty"), change(false, Some("web")));
    // One is not in dry run, so all of them are to be.
    assert_eq!(yes(&mut model, "d\t\t\ty"), change(true, None));
}

#[test]
fn without_a_daemon_the_last_reading_stays() {
    let mut model = model();
    model.lose("no daemon answers".to_owned());
    shows(
        &model,
        &[
            "NO DAEMON",
            "waiting for a daemon: no daemon answers",
            "192.0.2.1",
        ],
    );
    model.read(reading(10, false), Duration::from_secs(1));
    assert!(!screen(&model, 100, 30).contains("NO DAEMON"));
}

#[test]
fn narrow_screens_have_every_number_but_no_bars() {
    let screen = screen(&model(), 62, 20);
    assert!(
        screen.contains("REFUSED/s") && screen.contains("  50%  "),
        "{screen}"
    );
    assert!(!screen.contains("···"), "{screen}");
}

#[test]
fn help_is_there_and_goes() {
    let mut model = model();
    press(&mut model, "?");
    shows(&model, &["switch dry run, after a question"]);
    assert_eq!(press(&mut model, "q"), Wish::None);
    assert_eq!(press(&mut model, "q"), Wish::Quit);
}

#[test]
fn every_size_can_be_drawn_and_small_ones_say_what_is_too_small() {
    let mut model = model();
    for mode in ["", "?", "d", "/"] {
        press(&mut model, mode);
        for width in (1..140).step_by(7) {
            for height in 1..45 {
                screen(&model, width, height);
            }
        }
        press(&mut model, "\x1b");
    }
    let small = screen(&model, 50, 10);
    assert!(small.contains("it has 50"), "{small}");
}
