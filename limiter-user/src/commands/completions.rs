//! `limiter completions`

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, failure::Failure, output};

/// Print a completion script for a shell
///
/// bash: put it into /usr/share/bash-completion/completions/limiter, zsh: into a file named
/// _limiter in a directory of $fpath, fish: into ~/.config/fish/completions/limiter.fish.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut shown(), "limiter", &mut script);
    output::bytes(&script)
}

/// The command line without what is hidden, which the scripts would offer.
fn shown() -> Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|it| !it.is_hide_set());
    Command::new("limiter")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(shown)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_is_offered_what_a_user_may_type() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            generate(*shell, &mut shown(), "limiter", &mut script);
            let script = String::from_utf8(script).expect("UTF-8");
            for word in ["dry-run", "reload", "interface", "control"] {
                assert!(script.contains(word), "{word} in {shell}");
            }
            assert!(!script.contains("demo-peer"), "{shell}");
        }
    }
}
