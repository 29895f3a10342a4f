//! The table and the JSON.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tests::{hardware::Hardware, syn_flood::Attempts};

use super::{
    figure::Figure,
    flood::{By, Flood},
    kinds::{Figures, Work},
};

/// One scenario.
pub struct Column {
    /// What is open meanwhile.
    pub name: String,
    /// What it costs.
    pub figures: Figures,
}

impl Column {
    fn figure(&self, work: Work) -> Option<&Figure> {
        let found = self.figures.iter().find(|(kind, _)| *kind == work);
        found.map(|(_, figure)| figure)
    }
}

/// Everything that was measured.
pub struct Report {
    /// Where.
    pub machine: Hardware,
    /// Under which scenarios.
    pub columns: Vec<Column>,
    /// What senders reach.
    pub floods: Vec<Flood>,
}

#[derive(Serialize)]
struct Json<'a> {
    machine: &'a Hardware,
    scenarios: Vec<Value>,
    floods: &'a [Flood],
}

impl Report {
    /// Prints it to standard output.
    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json { self.json()? } else { self.table() };
        io::stdout()
            .write_all(text.as_bytes())
            .context("write to standard output")
    }

    fn json(&self) -> Result<String> {
        let scenario = |column: &Column| {
            let mut work = Map::new();
            for (kind, name, _, goal_ns) in Work::ALL {
                if let Some(figure) = column.figure(kind) {
                    work.insert(
                        name.to_owned(),
                        json!({ "goal_ns": goal_ns, "cost": figure }),
                    );
                }
            }
            json!({ "scenario": column.name, "work": work })
        };
        let mut text = serde_json::to_string_pretty(&Json {
            machine: &self.machine,
            scenarios: self.columns.iter().map(scenario).collect(),
            floods: &self.floods,
        })
        .context("write JSON")?;
        text.push('\n');
        Ok(text)
    }

    /// Markdown, as it stands in docs/performance.md.
    fn table(&self) -> String {
        let mut text = format!(
            "{}\n\n\
             Nanoseconds without the cost of an empty program; in brackets with it.\n\n",
            self.machine
        );
        let names = self.columns.iter().map(|column| column.name.clone());
        let heading = ["work".to_owned()]
            .into_iter()
            .chain(names)
            .chain(["goal".to_owned(), String::new()]);
        text.push_str(&row(heading));
        let dashes = |i| if i == 0 { "---" } else { "---:" }.to_owned();
        text.push_str(&row((0..self.columns.len() + 3).map(dashes)));
        for (work, _, words, goal_ns) in Work::ALL {
            let figures = || self.columns.iter().map(|column| column.figure(work));
            let cells = figures().map(|figure| {
                figure.map_or_else(String::new, |figure| {
                    format!("{} ({:.0})", rounded(figure.ns), figure.measured_ns)
                })
            });
            let goal = goal_ns.map_or_else(String::new, |goal| format!("{goal:.0}"));
            let most = figures()
                .flatten()
                .map(|figure| figure.ns)
                .fold(0.0, f64::max);
            let judged = match goal_ns {
                None => "",
                Some(goal) if most <= goal => "met",
                Some(_) => "missed",
            };
            text.push_str(&row([words.to_owned()]
                .into_iter()
                .chain(cells)
                .chain([goal, judged.to_owned()])));
        }
        text.push_str("\nThousands of SYNs per second, of one client at its limit.\n\n");
        text.push_str(&flood_table(&self.floods));
        text
    }
}

fn flood_table(floods: &[Flood]) -> String {
    let heading = [
        "sender",
        "attempts",
        "cgroup alone",
        "interface",
        "a program that drops everything",
        "interface, share of it",
        "goal",
        "",
    ];
    let dashes = |i| if i < 2 { "---" } else { "---:" }.to_owned();
    let mut text = row(heading.into_iter().map(str::to_owned));
    text.push_str(&row((0..heading.len()).map(dashes)));
    for flood in floods {
        let sender = match flood.sender {
            By::RawSocket => "raw socket",
            By::KernelFrames => "frames made in the kernel",
        };
        let attempts = match flood.attempts {
            Attempts::New => "new",
            Attempts::Repeated => "one, repeated",
        };
        let thousands = |per_s: f64| format!("{:.0}", per_s / 1_000.0);
        let judged = match flood.goal_share {
            None => "",
            Some(goal) if flood.share >= goal => "met",
            Some(_) => "missed",
        };
        let goal = |goal| format!("{goal:.2}");
        text.push_str(&row([
            sender.to_owned(),
            attempts.to_owned(),
            thousands(flood.cgroup_per_s),
            thousands(flood.limiter_per_s),
            thousands(flood.drop_per_s),
            format!("{:.3}", flood.share),
            flood.goal_share.map_or_else(String::new, goal),
            judged.to_owned(),
        ]
        .into_iter()));
    }
    text
}

/// The difference of two figures may come out below nothing.
fn rounded(ns: f64) -> String {
    if ns < 1.0 {
        "<1".to_owned()
    } else if ns < 10.0 {
        format!("{ns:.1}")
    } else {
        format!("{ns:.0}")
    }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {} |\n", cells.join(" | "))
}
