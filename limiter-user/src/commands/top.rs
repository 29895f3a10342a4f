//! `limiter top`

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use ratatui::crossterm::event::{Event as Input, KeyEventKind};
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use self::{
    screen::Screen,
    source::{News, follow, poll},
};
use super::{colour::When, failure::Failure};
use crate::{
    api::SetDryRun,
    control::client::Client,
    top::{
        draw::{Look, Palette},
        input::Wish,
        model::Model,
    },
};

mod keyboard;
mod screen;
mod source;

/// Shortest time between two frames. A terminal that takes longer gets fewer.
const FRAME: Duration = Duration::from_millis(100);

/// News and keys that wait. What does not fit is dropped and counted.
const QUEUE: usize = 256;

/// Watch zones, keys and events full-screen
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Time between two readings
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::interval::parse)]
    interval: Duration,
    /// Colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: When,
}

pub(super) async fn run(args: Args, client: &Client) -> Result<(), Failure> {
    screen::check()?;
    let first = source::read(client, None).await?;
    let mut model = Model::new(first);
    let look = Look {
        palette: match args.color.on_stdout() {
            crate::render::colour::Colour::On => Palette::Colours,
            crate::render::colour::Colour::Off => Palette::Plain,
        },
        zone: TimeZone::system(),
    };
    let mut ends = Ends::catch()?;
    let (selection, selected) = watch::channel(model.selected.clone());
    let (news_in, mut news) = mpsc::channel(QUEUE);
    tokio::spawn(poll(
        client.clone(),
        args.interval,
        selected,
        news_in.clone(),
    ));
    tokio::spawn(follow(client.clone(), news_in.clone()));

    let mut screen = Screen::open()?;
    let (keys_in, mut keys) = mpsc::channel(QUEUE);
    keyboard::read(keys_in);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_reading = Instant::now();
    let mut is_stale = true;
    loop {
        select! {
            () = ends.wait() => return Ok(()),
            input = keys.recv() => {
                let Some(input) = input else { return Ok(()) };
                is_stale = true;
                match pressed(&mut model, &input) {
                    Wish::None => {}
                    Wish::Quit => return Ok(()),
                    Wish::Redraw => screen.forget()?,
                    // Who reads looks at it.
                    Wish::Read => {
                        selection.send_replace(model.selected.clone());
                    }
                    Wish::Switch(change) => {
                        tokio::spawn(switch(client.clone(), change, news_in.clone()));
                    }
                }
            }
            Some(news) = news.recv() => {
                is_stale = true;
                match news {
                    News::Reading(reading) => {
                        let now = Instant::now();
                        model.read(*reading, now - last_reading);
                        last_reading = now;
                        // The selected zone may be gone.
                        selection.send_if_modified(|it| {
                            let differs = *it != model.selected;
                            it.clone_from(&model.selected);
                            differs
                        });
                    }
                    News::Lost(why) => model.lose(why),
                    News::Event(event) => model.see(*event),
                    News::Missed(missed) => model.unseen += missed,
                    News::Said(text) => model.note = text,
                }
            }
            _ = frames.tick(), if is_stale => {
                if screen.takes_more() {
                    screen.draw(&model, &look)?;
                    is_stale = false;
                }
            }
        }
    }
}

/// A resize is nothing but a reason to draw.
fn pressed(model: &mut Model, input: &Input) -> Wish {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => model.press(*key),
        _ => Wish::None,
    }
}

async fn switch(client: Client, change: SetDryRun, news: mpsc::Sender<News>) {
    let switch = if change.on { "on" } else { "off" };
    let text = match client.set_dry_run(&change).await {
        Ok(servers) => {
            let names: Vec<_> = servers.iter().map(|it| it.server.as_str()).collect();
            format!("dry run is {switch}: {}", names.join(", "))
        }
        Err(error) => format!("dry run: {error}"),
    };
    let _ = news.send(News::Said(text)).await;
}

/// Signals that end it. The terminal is put back as after `q`.
struct Ends([Signal; 3]);

impl Ends {
    fn catch() -> Result<Self, Failure> {
        let catch = |kind| signal(kind).map_err(Failure::Runtime);
        Ok(Self([
            catch(SignalKind::terminate())?,
            catch(SignalKind::hangup())?,
            catch(SignalKind::interrupt())?,
        ]))
    }

    async fn wait(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
