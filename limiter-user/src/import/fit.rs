//! Which servers are written: those that limit something, as far as there is room for them, and
//! those that keep others from limiting what they should not.

use std::net::IpAddr;

use limiter_common::policy::MAX_SERVERS;

use super::plan::Plan;
use crate::{
    config::grammar::without_room,
    policy::{Listen, ListenAddr},
};

/// What is written, by position of the plan.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// Plans that limit something.
    pub(super) active: Vec<usize>,
    /// Plans that limit nothing, at addresses that another server's wildcard would cover.
    pub(super) shields: Vec<(usize, Vec<Listen>)>,
    /// Plans that limit something, but for which there is no room.
    pub(super) left_out: Vec<usize>,
}

/// Takes as many plans as there is room for.
pub(super) fn fit(plans: &[Plan]) -> Fit {
    let active: Vec<usize> = (0..plans.len())
        .filter(|index| !plans[*index].limits.is_empty() && !plans[*index].listens.is_empty())
        .collect();
    // What fits with more of them fits with fewer.
    let (mut good, mut bad) = (0, active.len().min(MAX_SERVERS as usize) + 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if has_room(&attempt(plans, &active[..middle]), plans) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    let mut fit = attempt(plans, &active[..good]);
    fit.left_out = active[good..].to_vec();
    fit
}

fn attempt(plans: &[Plan], active: &[usize]) -> Fit {
    let wildcards = Wildcards::of(active.iter().map(|index| &plans[*index]));
    let idle = plans.iter().enumerate();
    let idle = idle.filter(|(index, _)| active.binary_search(index).is_err());
    let shields = idle.filter_map(|(index, plan)| {
        let listens = plan.listens.iter().map(|(listen, _)| *listen);
        let covered: Vec<Listen> = listens.filter(|it| wildcards.cover(*it)).collect();
        (!covered.is_empty()).then_some((index, covered))
    });
    Fit {
        active: active.to_vec(),
        shields: shields.collect(),
        left_out: Vec::new(),
    }
}

fn has_room(fit: &Fit, plans: &[Plan]) -> bool {
    let active = fit.active.iter().flat_map(|index| &plans[*index].listens);
    let listens = active.map(|(listen, _)| *listen);
    let shields = fit.shields.iter().flat_map(|(_, listens)| listens).copied();
    let listens: Vec<Listen> = listens.chain(shields).collect();
    fit.active.len() + fit.shields.len() <= MAX_SERVERS as usize && without_room(&listens).is_none()
}

/// Ports at which a server covers every address of a family, in order and apart.
struct Wildcards {
    v4: Vec<(u16, u16)>,
    v6: Vec<(u16, u16)>,
}

impl Wildcards {
    fn of<'a>(plans: impl Iterator<Item = &'a Plan>) -> Self {
        let listens: Vec<Listen> = plans
            .flat_map(|plan| &plan.listens)
            .map(|(listen, _)| *listen)
            .collect();
        let ports = |all| {
            let wild = listens.iter();
            let wild = wild.filter(|it| it.addr == ListenAddr::Any || it.addr == all);
            let mut ports: Vec<_> = wild.map(|it| (it.first_port, it.last_port)).collect();
            ports.sort_unstable();
            ports
        };
        Self {
            v4: ports(ListenAddr::ANY_V4),
            v6: ports(ListenAddr::ANY_V6),
        }
    }

    /// Whether connections to this endpoint would be theirs. `0.0.0.0` and `[::]` are addresses,
    /// too: a server with the port alone covers them.
    fn cover(&self, listen: Listen) -> bool {
        let ports = match listen.addr {
            ListenAddr::Any => return false,
            ListenAddr::Ip(IpAddr::V4(_)) => &self.v4,
            ListenAddr::Ip(IpAddr::V6(_)) => &self.v6,
        };
        let next = ports.partition_point(|(_, last)| *last < listen.first_port);
        ports
            .get(next)
            .is_some_and(|(first, _)| *first <= listen.last_port)
    }
}
