//! A long run of everything at once, with a report at its end: `cargo xtask soak`.
//!
//! ```text
//! clients     processes that connect, hold, half-close, reset         halted at each checkpoint
//! load        outgoing connects, SYN floods                           halted at each checkpoint
//! schedule    reloads, kills, dry run, flaps …, one after the other, from a seed
//! watch       never more than a limit allows, looked at all the time
//! checkpoint  what is counted is what is open, key by key, as sock_diag(7) says
//! ```

mod books;
mod checkpoint;
mod clients;
mod course;
mod crowd;
mod daemon;
mod ending;
mod gate;
mod interrupt;
mod load;
mod plan;
mod readers;
mod report;
mod scene;
mod schedule;
mod servers;
mod watch;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use tests::{
    figures::println,
    random::{Random, seed},
};

use self::{
    course::{Course, Notes},
    crowd::Crowd,
    daemon::Daemon,
    gate::{EndOf, Gate},
    load::Load,
    plan::Plan,
    readers::Readers,
    scene::Scene,
    servers::Servers,
    watch::Watch,
};

#[derive(Parser)]
#[command(
    about = "Mixed load, reloads, restarts, dry run, flaps; what is counted is compared with what is open",
    max_term_width = 100
)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// How long, instead of minutes
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// The same seed, the same choices; random if it is not given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Write the report here as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Be a process of clients
    #[command(hide = true)]
    Clients(clients::Plan),
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(Part::Clients(plan)) = args.part {
        clients::serve(plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the soak loads programs and makes network namespaces: run it as root"
    );
    tests::descriptors::raise_limit();
    interrupt::listen().context("listen to signals")?;
    let seed = args.seed.unwrap_or_else(seed);
    let time = Duration::from_secs(args.seconds.unwrap_or(args.minutes * 60));
    println(&format!("seed {seed}"));
    let mut notes = Notes::new();
    let write = |notes: &Notes| match &args.report {
        None => Ok(()),
        Some(path) => fs::write(path, report::report(notes, seed))
            .with_context(|| format!("write {}", path.display())),
    };
    // Whatever panics, there is a report.
    let run = catch_unwind(AssertUnwindSafe(|| {
        soak(time, seed, &mut notes, |notes| {
            write(notes).expect("write the report so far")
        })
    }));
    if let Err(panic) = run {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let text = text.unwrap_or_else(|| "a panic".to_owned());
        notes.violation(&format!("it could not go on: {text}"));
    }
    if interrupt::is_noted() {
        notes.violation("it was interrupted");
    }
    println(&report::report(&notes, seed));
    write(&notes)?;
    let is_good = notes.violations.is_empty();
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells `so_far` of the notes now and then, for the case that nobody comes to the end of it.
fn soak(time: Duration, seed: u64, notes: &mut Notes, so_far: impl Fn(&Notes)) {
    let mut random = Random::new(seed);
    let scene = Scene::new();
    let left = ending::Left::of(&scene);
    let (gate, load) = (Gate::default(), Load::default());
    scope(|scope| {
        let _end = EndOf(&gate);
        let servers = Servers::start(&scene.world);
        let daemon = Daemon::new(&scene);
        let mut course = Course {
            crowd: Crowd::start(scene.places(), &mut random),
            scene: &scene,
            servers,
            daemon,
            readers: Readers::new(&scene),
            gate: &gate,
            load: &load,
            random,
            notes,
            file: Plan::first(),
            plan: Plan::first(),
            watch: Watch::default(),
            // What was open before the first one began may be any number.
            keeps: false,
            spare: 0,
        };
        course.daemon.write(&course.file.text());
        course.begin();
        load.start(&scene, &gate, scope, seed);
        let end = course.notes.began + time;
        while Instant::now() < end && !interrupt::is_noted() {
            let checkpoint = Instant::now() + Duration::from_secs(8);
            while Instant::now() < checkpoint.min(end) {
                sleep(Duration::from_millis(course.random.below(1_200) as u64));
                course.next();
                course.look();
            }
            course.checkpoint();
            so_far(course.notes);
        }
        course.end();
    });
    drop(scene);
    left.check(notes);
}
