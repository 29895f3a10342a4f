//! The limiter's program beside an empty one: alone, and behind a [`Renewal`].

use std::{os::fd::OwnedFd, process};

use anyhow::Result;
use limiter_common::names::PROGRAM_XDP;
use tests::{
    netns::NetNs,
    test_run::Program,
    xdp::{self, Verdict},
};

use super::{cables::Cables, renewal::Renewal};

/// What is compared.
pub struct Pair {
    /// The limiter's program, or what goes on in it.
    pub limiter: Program,
    /// The one that lets everything pass, or what goes on in it.
    pub empty: Program,
    _arrays: Vec<OwnedFd>,
}

impl Pair {
    fn plain() -> Self {
        Self {
            limiter: Program::of(process::id(), PROGRAM_XDP),
            empty: xdp::load("bench_empty", &xdp::always(Verdict::Pass)),
            _arrays: Vec::new(),
        }
    }

    fn behind(&self, renewal: &Renewal) -> Result<Self> {
        let (limiter, limiter_array) = renewal.before(&self.limiter)?;
        let (empty, empty_array) = renewal.before(&self.empty)?;
        Ok(Self {
            limiter,
            empty,
            _arrays: vec![limiter_array, empty_array],
        })
    }
}

/// Every pair.
pub struct Pairs<'a> {
    /// Each run finds the same frame.
    pub plain: Pair,
    /// Each run finds a SYN of another sequence number.
    pub renewed: Pair,
    /// Each run finds the same SYN of another sequence number, whatever the last one made of it.
    pub restored: Pair,
    _cables: Cables<'a>,
}

impl<'a> Pairs<'a> {
    /// Loads them; `restored` is the SYN that is put back.
    pub fn load(netns: &'a NetNs, restored: &[u8]) -> Result<Self> {
        let plain = Pair::plain();
        let renewed = plain.behind(&Renewal::of_sequence())?;
        let restored = plain.behind(&Renewal::of_all(restored)?)?;
        let pairs = [&plain, &renewed, &restored];
        let programs = pairs.map(|pair| [&pair.limiter, &pair.empty]).concat();
        let cables = Cables::hold(netns, &programs)?;
        Ok(Self {
            plain,
            renewed,
            restored,
            _cables: cables,
        })
    }
}
