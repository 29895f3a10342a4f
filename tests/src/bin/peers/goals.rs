//! What limiter is to reach, and whether it has.

use crate::{
    results::{Results, grouped},
    system::System,
    table::number,
    work::{accepted_with, crowd, keys, refused_with},
};

/// A goal that was measured.
struct Goal {
    what: String,
    goal: String,
    measured: f64,
    is_met: bool,
}

/// Those that were measured.
#[derive(Default)]
struct Goals(Vec<Goal>);

impl Goals {
    /// One to be reached or exceeded.
    fn at_least(&mut self, what: &str, measured: Option<f64>, goal: f64) {
        self.add(what, measured, '≥', goal, |measured| measured >= goal);
    }

    /// One not to be exceeded.
    fn at_most(&mut self, what: &str, measured: Option<f64>, goal: f64) {
        self.add(what, measured, '≤', goal, |measured| measured <= goal);
    }

    fn add(
        &mut self,
        what: &str,
        measured: Option<f64>,
        sign: char,
        goal: f64,
        is_met: impl Fn(f64) -> bool,
    ) {
        self.0.extend(measured.map(|measured| Goal {
            what: what.to_owned(),
            goal: format!("{sign} {}", number(goal)),
            measured,
            is_met: is_met(measured),
        }));
    }
}

/// One line for each goal of which all figures are there.
pub fn text(results: &Results) -> String {
    let head = "| goal | at | measured | |\n|---|---:|---:|---|\n";
    let rows = all(results).0.into_iter().map(|goal| {
        let Goal {
            what,
            goal,
            measured,
            is_met,
        } = goal;
        let word = if is_met { "met" } else { "missed" };
        format!("| {what} | {goal} | {} | {word} |\n", number(measured))
    });
    head.to_owned() + &rows.collect::<String>()
}

fn all(results: &Results) -> Goals {
    let median = |work: &str, what: &str, system| {
        let figure = results.find(work, what)?;
        Some(results.summary(figure, system)?.median)
    };
    let ratio = |work: &str, what: &str, system| results.ratio(results.find(work, what)?, system);
    let mut goals = Goals::default();
    let limiter = System::Limiter;
    let accepted = ratio("accept", "connections", limiter);
    goals.at_least("accept, of no limiter", accepted, 0.98);
    let peers = [
        System::Nftables,
        System::Iptables,
        System::Nginx,
        System::Haproxy,
    ];
    let best = peers
        .into_iter()
        .filter_map(|peer| ratio("accept", "connections", peer));
    if let Some(best) = best.max_by(f64::total_cmp) {
        goals.at_least(
            "accept, of no limiter: better than the best peer",
            accepted,
            best,
        );
    }
    for what in ["round trips", "bulk"] {
        let of_none = ratio("data", what, limiter);
        goals.at_least(&format!("{what}, of no limiter"), of_none, 0.99);
    }
    let over_early = |system| median("refuse", "SYN dropped, over early", system);
    for peer in [System::Nftables, System::Iptables] {
        if let Some(cost) = over_early(peer) {
            let what = format!("SYN dropped in XDP, ns: a tenth of {}", peer.name());
            goals.at_most(&what, over_early(System::LimiterXdp), cost / 10.0);
        }
    }
    let over_bare = median(
        "refuse",
        "SYN dropped, over bare XDP_DROP",
        System::LimiterXdp,
    );
    goals.at_most("SYN dropped in XDP, ns over XDP_DROP", over_bare, 60.0);
    if let Some(cost) = over_early(System::Nftables) {
        let what = "SYN dropped in cgroup_skb, ns: as nftables";
        goals.at_most(what, over_early(limiter), cost);
    }
    let reset = |system| median("refuse", "SYN answered with a RST, over early", system);
    if let Some(cost) = reset(System::Nftables) {
        let what = "SYN answered with a RST, ns: as nftables";
        goals.at_most(what, reset(limiter), cost);
    }
    let growth = |work: &str, few: &str, many: &str, system| {
        Some(median(work, many, system)? / median(work, few, system)?)
    };
    let grow = [
        ("keys", keys::OF, &keys::NUMBERS, 1.3),
        ("crowd", crowd::OF, &crowd::NUMBERS, 1.05),
    ];
    for (work, of, numbers, goal) in grow {
        let (Some(few), Some(many)) = (numbers.first(), numbers.last()) else {
            continue;
        };
        let grown = |name: fn(u32, &str) -> String, system| {
            growth(work, &name(*few, of), &name(*many, of), system)
        };
        let accepted = grown(accepted_with, limiter);
        let refused = |system| grown(refused_with, system);
        let (few, many) = (grouped((*few).into()), grouped((*many).into()));
        let what = format!("accept with {many} {of}, of that with {few}");
        goals.at_most(&what, accepted, goal);
        for system in [limiter, System::LimiterXdp] {
            let what = format!(
                "refuse with {many} {of}, of that with {few}, {}",
                system.name()
            );
            goals.at_most(&what, refused(system), goal);
        }
    }
    let none_of = [
        ("churn", "wrongly refused of 20 000", 0.0),
        ("forged SYNs", "the victim is locked out", 0.1),
        ("memory", "a key", 160.0),
        ("memory", "a connection", 100.0),
        ("exactness", "most ever established, of 10", 10.0),
        ("exactness", "wrongly refused in 20 bursts, of 200", 0.0),
    ];
    for (work, what, goal) in none_of {
        goals.at_most(
            &format!("{work}: {what}"),
            median(work, what, limiter),
            goal,
        );
    }
    goals
}
