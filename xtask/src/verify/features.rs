//! Which tests say that a feature works, and the table of features and kernels.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::{kernels::Kernel, results::Results};

/// What a user may want from a kernel.
struct Feature {
    name: &'static str,
    /// Begins of the names of the tests that show it. Few: an emulated machine is slow. The first one says
    /// most: CI runs no other.
    shown_by: &'static [&'static str],
    /// What older kernels have instead.
    before: Option<Before>,
}

/// A feature that needs something of the kernel.
struct Before {
    /// The first version that has it.
    version: (u32, u32),
    /// What the older ones do, in the table.
    instead: &'static str,
    /// The tests that show this.
    shown_by: &'static [&'static str],
}

const FEATURES: [Feature; 15] = [
    Feature {
        name: "limits hold, over IPv4 and IPv6",
        shown_by: &[
            "limit::with_limit_10_",
            "limit::ipv4_",
            "several_zones::ten_per_client_",
        ],
        before: None,
    },
    Feature {
        name: "also when handshakes are completed in parallel",
        shown_by: &["burst::of_two_hundred_"],
        before: None,
    },
    Feature {
        name: "slots are given back however connections end",
        shown_by: &["ends::a_killed_", "ends::time_wait_", "ends::a_half_"],
        before: None,
    },
    Feature {
        name: "SYN cookies, Fast Open",
        shown_by: &["ends::with_syn_cookies_", "ends::with_tcp_fast_open_"],
        before: None,
    },
    Feature {
        name: "connections that were open before the start count",
        shown_by: &["adopt::connections_open_before_", "adopt::more_"],
        before: Some(Before {
            version: (6, 12),
            instead: "no, and the log says so",
            shown_by: &["old_kernel::"],
        }),
    },
    Feature {
        name: "`limit_conn_action reset`",
        shown_by: &["actions::reset::in_a_namespace_", "actions::reset::over_"],
        before: None,
    },
    Feature {
        name: "`limit_conn_action close`",
        shown_by: &["actions::places::so_many_"],
        before: None,
    },
    Feature {
        name: "dry run",
        shown_by: &["dry_run::dry_run_counts_"],
        before: None,
    },
    Feature {
        name: "refusing on an interface, native and generic",
        shown_by: &["interface::a_veth_", "interface_refusal::a_client_behind_"],
        before: None,
    },
    Feature {
        name: "events of refusals and of connections that close",
        shown_by: &["events::an_event_", "events::closes::a_connection_"],
        before: None,
    },
    Feature {
        name: "a reload keeps every count",
        shown_by: &["reload::sizes::a_zone_that_grows_"],
        before: None,
    },
    Feature {
        name: "outgoing connections (`max_conns`), also with `queue`",
        shown_by: &["upstream::limit::of_a_hundred_", "upstream::queue::fifty_"],
        before: None,
    },
    Feature {
        name: "the next daemon takes over",
        shown_by: &[
            "life::again::counters_",
            "life::ends::with_the_daemon_dead_",
        ],
        before: None,
    },
    Feature {
        name: "the audit heals counts",
        shown_by: &[
            "audit::damage::a_count_that_is_too_high_",
            "audit::foreign::slots_",
        ],
        before: None,
    },
    Feature {
        name: "`limiter connections`, with zones and processes",
        shown_by: &["connections::every_"],
        before: None,
    },
];

/// Tests that want more than the machine has: packages, a mirror, other builds.
const ELSEWHERE: [&str; 9] = [
    "harness::",
    "life::upgrade::",
    "metrics::examples::",
    "metrics::prometheus::",
    "model::",
    "nginx::",
    "packaging::",
    "soak::",
    "top::",
];

/// Which tests are wanted.
pub enum Selection<'a> {
    /// Those that the table is made of.
    Table,
    /// Of those the first one of each feature.
    Brief,
    /// Those that can be run in the machine.
    All,
    /// Those with one of these texts in their names.
    Filters(&'a [String]),
}

impl Selection<'_> {
    /// The names of the tests for a kernel, out of the lines of `--list`.
    pub fn tests<'a>(
        &self,
        kernel: &Kernel,
        list: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<String>> {
        let known: Vec<&str> = list
            .filter_map(|line| line.strip_suffix(": test"))
            .collect();
        if matches!(self, Self::Table | Self::Brief) {
            let mut begins = FEATURES.iter().flat_map(|it| it.on(kernel.version));
            if let Some(none) = begins.find(|it| !known.iter().any(|name| name.starts_with(*it))) {
                bail!(
                    "no test begins with {none}: xtask/src/verify/features.rs has to follow the tests"
                );
            }
        }
        let first = |feature: &Feature| feature.on(kernel.version).first();
        let is_wanted = |name: &&&str| match self {
            Self::Brief => FEATURES
                .iter()
                .filter_map(first)
                .any(|begin| name.starts_with(begin)),
            Self::Table => FEATURES
                .iter()
                .flat_map(|feature| feature.on(kernel.version))
                .any(|begin| name.starts_with(begin)),
            Self::All => !ELSEWHERE.iter().any(|begin| name.starts_with(begin)),
            Self::Filters(filters) => filters.iter().any(|part| name.contains(part.as_str())),
        };
        let tests: Vec<String> = known
            .iter()
            .filter(is_wanted)
            .map(|name| (*name).to_owned())
            .collect();
        if tests.is_empty() {
            bail!("no test has such a name");
        }
        Ok(tests)
    }
}

impl Feature {
    /// The tests that show it on a kernel.
    fn on(&self, version: (u32, u32)) -> &'static [&'static str] {
        match &self.before {
            Some(before) if version < before.version => before.shown_by,
            _ => self.shown_by,
        }
    }

    /// What the table says of it.
    fn cell(&self, results: &Results) -> String {
        let (passed, all) = results.count(self.on(results.version));
        match &self.before {
            _ if passed < all || all == 0 => format!("**{passed} of {all} tests**"),
            Some(before) if results.version < before.version => before.instead.to_owned(),
            _ => "yes".to_owned(),
        }
    }
}

/// A line a feature, a column a kernel.
pub fn table(all: &[Results]) -> String {
    let mut text = "| Linux |".to_owned();
    for results in all {
        let _ = write!(text, " {} |", results.release);
    }
    text += "\n|---|";
    text += &"---|".repeat(all.len());
    for feature in &FEATURES {
        let _ = write!(text, "\n| {} |", feature.name);
        for results in all {
            let _ = write!(text, " {} |", feature.cell(results));
        }
    }
    text + "\n"
}
