//! `--color`

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::ValueEnum;

use crate::render::colour::Colour;

/// When to write colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless the environment has NO_COLOR
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl When {
    /// For standard output. What the environment says: <https://no-color.org>.
    pub(super) fn on_stdout(self) -> Colour {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !is_set("NO_COLOR") && !is_dumb && io::stdout().is_terminal(),
        };
        if wanted { Colour::On } else { Colour::Off }
    }
}
