//! limiter beside its peers, and beside no limiter: `cargo xtask bench peers`.
//!
//! Every system has its turn at every work, in each round, in an order that changes from round to
//! round. Each has two hosts of its own, with a cable between.
//!
//! | | |
//! |---|---|
//! | [`system`], `setup/` | what is compared, and its configuration |
//! | [`scene`], [`crowd`], [`server`] | two hosts, who is connected there all the time, who accepts |
//! | [`attempt`], [`load`], [`burst`], [`flood`] | one client; clients that come and go; many at once; SYNs of a client at its limit |
//! | [`work`] | what is measured |
//! | [`results`], [`saved`], [`goals`], [`table`], [`plot`] | what came of it |

mod attempt;
mod burst;
mod crowd;
mod flood;
mod goals;
mod load;
mod plot;
mod results;
mod saved;
mod scene;
mod server;
mod system;
mod table;
mod work;

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use tests::{figures::println, hardware::Hardware};

use self::{results::Results, system::System, work::Work};

#[derive(Parser)]
#[command(about = "limiter beside its peers", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Rounds; works that take long have fewer
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Systems, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = System::ALL)]
    systems: Vec<System>,
    /// Works, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = Work::ALL)]
    works: Vec<Work>,
    /// Length of a turn, ms
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    turn: u64,
    /// Measure nothing, and show what was written there before; may be repeated
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// Write all samples there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw what matters most there
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// The server
    #[command(hide = true)]
    Serve {
        /// Where it listens
        addresses: Vec<SocketAddr>,
    },
    /// Clients that stay
    #[command(hide = true)]
    Hold {
        /// Where they connect from
        from: IpAddr,
        /// How many connections there are
        count: u32,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.part {
        Some(Part::Serve { addresses }) => return Ok(server::serve(addresses)?),
        Some(Part::Hold { from, count }) => return crowd::hold(*from, *count),
        None => {}
    }
    let mut results = Results::default();
    let machine = match args.from.split_first() {
        None => {
            measure(&args, &mut results)?;
            Hardware::here()?
        }
        Some((first, others)) => {
            let machine = saved::read(first, &mut results)?;
            for path in others {
                let other = saved::read(path, &mut results)?;
                ensure!(
                    other == machine,
                    "{} is of another machine than {}: {other}; {machine}",
                    path.display(),
                    first.display()
                );
            }
            machine
        }
    };
    println(&format!("{machine}\n"));
    println(&table::text(&results, &args.systems));
    println(&goals::text(&results));
    if let Some(path) = &args.json {
        saved::write(path, &machine, &results)?;
    }
    if let Some(path) = &args.svg {
        let text = plot::svg(&results, &args.systems);
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn measure(args: &Args, results: &mut Results) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs and makes network namespaces: run it as root"
    );
    ensure!(
        args.systems.contains(&System::None),
        "every figure stands beside that of no limiter: --systems has to contain {}",
        System::None
    );
    tests::descriptors::raise_limit();
    let _conntrack = system::room_for_a_million_conntracks()?;
    let turn = Duration::from_millis(args.turn);
    for work in &args.works {
        let named = |system: System| format!("{work}, {}", system.name());
        let stand = |system: &System| work.stand(*system, turn).context(named(*system));
        let mut turns: Vec<_> = args.systems.iter().map(stand).collect::<Result<_>>()?;
        for round in 0..work.rounds(args.rounds.into()) {
            for place in 0..turns.len() {
                let at = (place + round) % turns.len();
                turns[at](results).context(named(args.systems[at]))?;
            }
        }
    }
    Ok(())
}
