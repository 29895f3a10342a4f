//! A server or a client that a test puts into a cgroup and a network namespace.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tests::{
    churn::{Churn, Ending, churn},
    client,
    serve::{Options, serve},
};

#[derive(Parser)]
#[command(about)]
enum Arguments {
    /// Listen, greet, echo, and close when told to; commands on standard input.
    Serve {
        /// ADDRESS:PORT
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
        /// Length of the accept queue.
        #[arg(long, default_value_t = 4096)]
        backlog: i32,
        /// Leave connections in the accept queue.
        #[arg(long)]
        paused: bool,
        /// Keep a connection when the client has closed its direction.
        #[arg(long)]
        hold: bool,
        /// Take data in the SYN.
        #[arg(long)]
        fast_open: bool,
        /// Share the addresses with others that do so.
        #[arg(long)]
        reuse_port: bool,
        /// Take connections of several paths (MPTCP), too.
        #[arg(long)]
        multipath: bool,
        /// Belong to this user.
        #[arg(long)]
        user: Option<u32>,
        /// Descriptors at the most; what does not get one stays in the accept queue.
        #[arg(long)]
        descriptors: Option<u64>,
    },
    /// Open connections, report, and hold them until standard input ends.
    Open {
        /// ADDRESS:PORT
        to: SocketAddr,
        /// Client address.
        #[arg(long)]
        from: IpAddr,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: usize,
        /// How long to wait for one, milliseconds.
        #[arg(long, default_value_t = 300)]
        patience_ms: u64,
    },
    /// Connect as each line of standard input says, see `tests::outgoing`.
    Outgoing,
    /// Open and end connections, and report.
    Churn {
        /// ADDRESS:PORT
        #[arg(required = true)]
        to: Vec<SocketAddr>,
        /// Client addresses.
        #[arg(long, required = true)]
        from: Vec<IpAddr>,
        /// How many.
        #[arg(long)]
        connections: u64,
        /// Threads, each with one connection at a time.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// How long to wait for one, milliseconds.
        #[arg(long, default_value_t = 10_000)]
        patience_ms: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    match Arguments::parse() {
        Arguments::Serve {
            listen,
            backlog,
            paused,
            hold,
            fast_open,
            reuse_port,
            multipath,
            user,
            descriptors,
        } => {
            let most = descriptors.unwrap_or(hard);
            setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
            serve(&Options {
                listen,
                backlog,
                paused,
                hold,
                fast_open,
                reuse_port,
                multipath,
                user,
            })?
        }
        Arguments::Outgoing => tests::outgoing::serve()?,
        Arguments::Open {
            to,
            from,
            count,
            patience_ms,
        } => open(to, from, count, Duration::from_millis(patience_ms))?,
        Arguments::Churn {
            to,
            from,
            connections,
            threads,
            patience_ms,
        } => {
            let report = churn(&Churn {
                connections,
                threads,
                from,
                to,
                endings: vec![
                    Ending::Client,
                    Ending::Server,
                    Ending::ClientReset,
                    Ending::ServerReset,
                ],
                patience: Duration::from_millis(patience_ms),
            });
            let report = serde_json::json!({ "done": report.done, "failures": report.failures });
            writeln!(io::stdout(), "{report}")?;
        }
    }
    Ok(())
}

fn open(to: SocketAddr, from: IpAddr, count: usize, patience: Duration) -> anyhow::Result<()> {
    let mut held = Vec::new();
    let mut timed_out = 0;
    for _ in 0..count {
        match client::open_here(from, to, patience) {
            Ok(stream) => held.push(stream),
            Err(e) if e.kind() == ErrorKind::TimedOut => timed_out += 1,
            Err(e) => return Err(e.into()),
        }
    }
    let report = serde_json::json!({ "established": held.len(), "timed_out": timed_out });
    writeln!(io::stdout(), "{report}")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
