//! Never more connections of a key than its limit: looked at again and again, whatever goes on.

use super::{
    books::{Account, Counts},
    plan::Plan,
};

/// The most that each account may have now.
///
/// Nobody is thrown out when a limit gets lower, or dry run ends. So what was open at that moment is
/// allowed, until it gets fewer.
#[derive(Default)]
pub struct Watch {
    over: Counts,
}

impl Watch {
    /// The policy may be another one, and this much is open for certain.
    pub fn begin(&mut self, plan: &Plan, counts: Counts) {
        self.over = counts;
        self.over
            .retain(|account, count| limit(plan, account).is_some_and(|limit| *count > limit));
    }

    /// What is more than it may be, by more than `spare`.
    pub fn check(&self, plan: &Plan, counts: &Counts, spare: u64) -> Vec<String> {
        let mut violations = Vec::new();
        for (account, count) in counts {
            let Some(limit) = limit(plan, account) else {
                continue;
            };
            let allowed = self.over.get(account).copied().unwrap_or(0).max(limit);
            if *count > allowed + spare {
                violations.push(format!("{account}: {count} open, and {allowed} allowed"));
            }
        }
        violations
    }
}

fn limit(plan: &Plan, account: &Account) -> Option<u64> {
    match account {
        Account::Key(zone, key) => plan.limit(zone, key),
        Account::Upstream(_) if plan.dry_run => None,
        Account::Upstream(server) => {
            let mut servers = plan.upstreams.iter().flat_map(|it| &it.servers);
            let found = servers.find(|(it, _)| it == server);
            found.map(|(_, max_conns)| u64::from(*max_conns))
        }
    }
}
