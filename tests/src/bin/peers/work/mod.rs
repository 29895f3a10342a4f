//! The works, one a file.

pub mod accept;
pub mod churn;
pub mod crowd;
pub mod data;
pub mod exact;
pub mod forged;
pub mod full;
pub mod keys;
pub mod memory;
pub mod refuse;
pub mod start;

use std::{
    fmt::{self, Display},
    time::Duration,
};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    results::{Results, grouped},
    system::System,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// [`accept`]
    Accept,
    /// [`refuse`]
    Refuse,
    /// [`data`]
    Data,
    /// [`keys`]
    Keys,
    /// [`crowd`]
    Crowd,
    /// [`churn`]
    Churn,
    /// [`forged`]
    Forged,
    /// [`full`]
    Full,
    /// [`memory`]
    Memory,
    /// [`exact`]
    Exact,
    /// [`start`]
    Start,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Accept,
        Self::Refuse,
        Self::Data,
        Self::Keys,
        Self::Crowd,
        Self::Churn,
        Self::Forged,
        Self::Full,
        Self::Memory,
        Self::Exact,
        Self::Start,
    ];

    /// How often it is done, if others are done so often: some take minutes, and some have figures that
    /// do not change.
    pub fn rounds(self, rounds: usize) -> usize {
        match self {
            Self::Accept | Self::Refuse | Self::Data => rounds * SHORT as usize,
            Self::Crowd => rounds,
            Self::Start => rounds.div_ceil(2).min(3),
            Self::Keys => rounds.div_ceil(3),
            Self::Churn | Self::Forged | Self::Full | Self::Memory | Self::Exact => 1,
        }
    }

    /// One system, ready for its turns.
    pub fn stand(self, system: System, turn: Duration) -> Result<Turn> {
        let short = turn / SHORT;
        Ok(match self {
            Self::Accept => accept::stand(system, short)?,
            Self::Refuse => refuse::stand(system, short)?,
            Self::Data => data::stand(system, short)?,
            Self::Keys => Box::new(move |results| keys::run(system, turn, results)),
            Self::Crowd => crowd::stand(system, short)?,
            Self::Churn => Box::new(move |results| churn::run(system, results)),
            Self::Forged => Box::new(move |results| forged::run(system, results)),
            Self::Full => Box::new(move |results| full::run(system, results)),
            Self::Memory => Box::new(move |results| memory::run(system, results)),
            Self::Exact => Box::new(move |results| exact::run(system, results)),
            Self::Start => Box::new(move |results| start::run(system, results)),
        })
    }
}

/// One turn of one system, as often as it is called.
pub type Turn = Box<dyn FnMut(&mut Results) -> Result<()>>;

/// Works of which every system can be ready at the same time have this many turns for one, each as
/// much shorter: what the machine is disturbed by changes from second to second.
const SHORT: u32 = 8;

/// Name of a figure that is measured while there are so many of something: what one more connection
/// costs then.
pub fn accepted_with(number: u32, of: &str) -> String {
    format!("CPU of a connection with {} {of}", grouped(number.into()))
}

/// Likewise: what one more SYN costs that is refused.
pub fn refused_with(number: u32, of: &str) -> String {
    format!(
        "SYN refused with {} {of}, with sending",
        grouped(number.into())
    )
}

impl Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |value| value.get_name()))
    }
}
