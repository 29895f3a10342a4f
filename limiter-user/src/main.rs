//! Command line of limiter; see [`limiter::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    limiter::commands::main(std::env::args_os())
}
