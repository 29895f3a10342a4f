//! A process of clients that open, hold and end connections at random, and stand still when they are told
//! to.

use std::{
    io::{self, BufRead as _, ErrorKind, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use clap::Args;
use serde::{Deserialize, Serialize};
use tests::{
    client, descriptors,
    random::Random,
    serve::{CLOSE, RESET, SHUTDOWN},
};

use super::gate::{Gate, Mode};

/// Who connects to whom.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// Client addresses
    #[arg(long, required = true)]
    pub from: Vec<IpAddr>,
    /// Servers, ADDRESS:PORT
    #[arg(long, required = true)]
    pub to: Vec<SocketAddr>,
    /// Threads, each with one attempt at a time
    #[arg(long, default_value_t = 10)]
    pub threads: usize,
    /// Connections that a thread holds at the most
    #[arg(long, default_value_t = 60)]
    pub held: usize,
    /// A thread rests for so long between two steps at the most, milliseconds
    #[arg(long, default_value_t = 120)]
    pub pace_ms: usize,
    /// The same seed, the same choices
    #[arg(long)]
    pub seed: u64,
}

/// What has become of the attempts so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Greeted by the server.
    pub opened: u64,
    /// Nobody answered, or nobody greeted.
    pub silent: u64,
    /// Answered by a RST.
    pub reset: u64,
    /// Accepted, and closed without a greeting.
    pub closed: u64,
    /// Anything else: the link was down, mostly.
    pub failed: u64,
}

impl Figures {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            opened: self.opened + other.opened,
            silent: self.silent + other.silent,
            reset: self.reset + other.reset,
            closed: self.closed + other.closed,
            failed: self.failed + other.failed,
        }
    }
}

#[derive(Default)]
struct Shared {
    gate: Gate,
    figures: Mutex<Figures>,
}

/// Connects until standard input ends. Commands there, one a line, each answered with [`Figures`] once it
/// is obeyed: `halt`, `run`, `drain`.
///
/// # Errors
/// If somebody says something else.
pub fn serve(plan: Plan) -> anyhow::Result<()> {
    descriptors::raise_limit();
    // Both are there as long as the process is: its threads end with it.
    let shared: &Shared = Box::leak(Box::default());
    let plan: &Plan = Box::leak(Box::new(plan));
    for number in 0..plan.threads {
        thread::spawn(move || work(plan, number as u64, shared));
    }
    for line in io::stdin().lock().lines() {
        let mode = match line?.as_str() {
            "halt" => Mode::Halt,
            "run" => Mode::Run,
            "drain" => Mode::Drain,
            other => anyhow::bail!("unknown command {other:?}"),
        };
        shared.gate.say(mode, plan.threads);
        let figures = *shared
            .figures
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        writeln!(io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    }
    Ok(())
}

fn work(plan: &Plan, number: u64, shared: &Shared) {
    let mut random = Random::new(plan.seed ^ (number << 48));
    let mut held: Vec<TcpStream> = Vec::new();
    while shared.gate.obey(|| held.clear()) {
        // Now more and now fewer of them.
        let wanted = random.below(plan.held + 1);
        if held.len() <= wanted {
            let attempt = attempt(plan, &mut random);
            let figures = shared.figures.lock();
            let mut figures = figures.unwrap_or_else(PoisonError::into_inner);
            match attempt {
                Ok(stream) => {
                    figures.opened += 1;
                    held.push(stream);
                }
                Err(error) => match error.kind() {
                    ErrorKind::TimedOut => figures.silent += 1,
                    ErrorKind::ConnectionRefused => figures.reset += 1,
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => figures.closed += 1,
                    _ => figures.failed += 1,
                },
            }
        } else {
            let which = random.below(held.len());
            if let Some(stream) = end(held.swap_remove(which), &mut random) {
                held.push(stream);
            }
        }
        thread::sleep(Duration::from_millis(random.below(plan.pace_ms) as u64));
    }
}

fn attempt(plan: &Plan, random: &mut Random) -> io::Result<TcpStream> {
    const PATIENCE: Duration = Duration::from_millis(150);
    let to = random.one_of(&plan.to);
    let alike: Vec<_> = plan
        .from
        .iter()
        .filter(|it| it.is_ipv4() == to.is_ipv4())
        .collect();
    client::open_here(*random.one_of(&alike), to, PATIENCE)
}

/// One of the ways to end a connection. None of them waits, for the link may be down. What is only half
/// closed is held on.
fn end(mut stream: TcpStream, random: &mut Random) -> Option<TcpStream> {
    match random.below(7) {
        0 | 1 => None,
        2 => {
            let _ = client::reset(stream);
            None
        }
        // The server goes first, the client when its turn comes.
        3 => stream.write(&[CLOSE]).is_ok().then_some(stream),
        4 => stream.write(&[RESET]).is_ok().then_some(stream),
        5 => stream.write(&[SHUTDOWN]).is_ok().then_some(stream),
        _ => stream.shutdown(Shutdown::Write).is_ok().then_some(stream),
    }
}
