//! The command line: one file per verb, each with its arguments and what it does.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{failure::Failure, place::Place};
use crate::control::client::Client;

mod action;
mod audit;
mod check;
mod colour;
mod completions;
mod connections;
mod demo;
mod detach;
mod doctor;
mod dry_run;
mod events;
mod exempt;
mod failure;
mod import;
mod interval;
mod level;
mod limit;
mod log_level;
mod man;
mod output;
mod place;
mod policy_source;
mod reload;
mod reset;
mod run;
mod since;
mod status;
mod top;
mod zones;

/// Caps the number of concurrent connections per key inside the Linux kernel.
#[derive(Debug, Parser)]
#[command(name = "limiter", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Import(import::Args),
    Status(status::Args),
    Zones(zones::Args),
    Connections(connections::Args),
    Reset(reset::Args),
    Events(events::Args),
    Top(top::Args),
    Doctor(doctor::Args),
    DryRun(dry_run::Args),
    LogLevel(log_level::Args),
    Action(action::Args),
    Limit(limit::Args),
    Exempt(exempt::Args),
    Reload(reload::Args),
    Audit(audit::Args),
    Detach(detach::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    DemoPeer(demo::PeerArgs),
}

/// Carries out the command line and says how it went.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return parse_error(&error),
    };
    let place = cli.place.clone();
    match execute(cli) {
        Ok(code) => code,
        Err(failure) => {
            let more = failure.is_no_daemon().then(|| place.left_behind());
            failure.report(more.flatten())
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { place, command } = cli;
    let client = || Client::new(place.socket(None));
    let done = match command {
        // How bad it is.
        Command::Doctor(args) => return block_on(doctor::run(args, &client())),
        Command::Run(args) => run::run(args, &place),
        Command::Check(args) => check::run(args),
        Command::Import(args) => import::run(&args),
        Command::Status(args) => block_on(status::run(&args, &client())),
        Command::Zones(args) => block_on(zones::run(&args, &client())),
        Command::Connections(args) => block_on(connections::run(args, &client())),
        Command::Reset(args) => block_on(reset::run(args, &client())),
        Command::Events(args) => block_on(events::run(args, &client())),
        Command::Top(args) => block_on(top::run(args, &client())),
        Command::DryRun(args) => block_on(dry_run::run(args, &client())),
        Command::LogLevel(args) => block_on(log_level::run(args, &client())),
        Command::Action(args) => block_on(action::run(args, &client())),
        Command::Limit(args) => block_on(limit::run(args, &client())),
        Command::Exempt(args) => block_on(exempt::run(args, &client())),
        Command::Reload(args) => block_on(reload::run(args, &client())),
        Command::Audit(args) => block_on(audit::run(args, &client())),
        Command::Detach(args) => block_on(detach::run(args, &place)),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(args),
        Command::DemoPeer(args) => demo::run_peer(args),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// For a command that only talks to the daemon one thread is enough.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(command)
}

/// clap's exit codes are ours: 0 for help and version, 2 for wrong usage.
fn parse_error(error: &clap::Error) -> ExitCode {
    // A closed pipe behind `--help` is nobody's problem.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "limiter",
            "limiter nothing",
            "limiter dry-run maybe",
            "limiter log-level debug",
            "limiter action",
            "limiter action close delay=1s now",
            "limiter limit addr 0",
            "limiter limit addr 65536",
            "limiter limit addr",
            "limiter exempt 10.0.0.0/8",
            "limiter exempt add",
            "limiter reload x.conf",
            "limiter exempt clear 10.0.0.0/8",
            "limiter exempt add 10.0.0.0/8 192.0.2.1",
            "limiter check x --limit 3",
            "limiter import",
            "limiter import x y",
            "limiter events -n 0",
            "limiter top --interval 10ms",
            "limiter doctor --interval 10ms",
            "limiter doctor --listen 0",
            "limiter doctor --stub-status https://h/",
            "limiter doctor 443",
            "limiter events --status lost",
            "limiter events --addr 10.0.0.0/99",
            "limiter events --since yesterday",
            "limiter events --color sometimes",
            "limiter zones --top 3",
            "limiter zones --by rejected",
            "limiter zones addr --by age",
            "limiter run --config x --limit 3",
            "limiter run --config x --dry-run",
            "limiter run --config x --interface eth0",
            "limiter run --config x --action reset",
            "limiter run --config x --v4-prefix 24",
            "limiter run --config x --on-full evict",
            "limiter run --limit 3 --action",
            "limiter run --limit 3 --action close delay=1s now",
            "limiter run --limit 3 --action drop --action reset",
            "limiter completions",
            "limiter completions tcsh",
            "limiter man a b",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn an_action_is_written_as_in_a_file() {
        for line in [
            "limiter run --limit 3 --action reset",
            "limiter run --action close --limit 3",
            "limiter run --action close delay=2s --limit 3 --interface eth0 --interface eth1",
            "limiter action drop",
            "limiter action close delay=2s --server web --json",
            "limiter action --server web close delay=2s",
        ] {
            Cli::try_parse_from(line.split(' ')).expect(line);
        }
    }

    #[test]
    fn the_socket_may_be_named_anywhere() {
        for line in [
            "limiter --control /x status",
            "limiter status --control /x",
            "limiter run --control /x --limit 3",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert_eq!(cli.place.control, Some("/x".into()), "{line}");
        }
    }
}
