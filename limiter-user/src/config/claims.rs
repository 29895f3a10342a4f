//! Which server an endpoint belongs to: at most one.
//!
//! A wildcard and an address on the same port are no conflict, the address wins; and a server
//! without `listen` has the ports that nobody else has.

use std::net::IpAddr;

use limiter_common::policy::MAX_LISTENERS;

use super::{error::ConfigError, server::Draft, source::Span};
use crate::policy::{Listen, ListenAddr};

/// Refuses two claims to one endpoint, and more endpoints than the kernel side has room for.
pub(super) fn check(drafts: &[Draft]) -> Result<(), ConfigError> {
    one_server_for_the_rest(drafts)?;
    let places = drafts.iter().enumerate().flat_map(|(server, draft)| {
        let listens = draft.listens.iter();
        listens.map(move |(listen, place)| (server, *listen, place))
    });
    let mut claims: Vec<Claim<'_>> = places
        .enumerate()
        .map(|(order, (server, listen, place))| Claim {
            order,
            server,
            listen,
            place,
        })
        .collect();
    enough_room(&claims)?;
    // If no range of an address touches the next one, no two do.
    claims.sort_by_key(|claim| (address(claim.listen), claim.listen.first_port));
    for pair in claims.windows(2) {
        if overlap(pair[0].listen, pair[1].listen) {
            return Err(conflict(&pair[0], &pair[1], drafts));
        }
    }
    Ok(())
}

/// Whether an endpoint belongs to both.
pub(super) fn overlap(one: Listen, other: Listen) -> bool {
    one.addr == other.addr && one.first_port <= other.last_port && other.first_port <= one.last_port
}

struct Claim<'a> {
    /// Position among all, as they were read.
    order: usize,
    /// Position of the server.
    server: usize,
    listen: Listen,
    place: &'a Span,
}

fn address(listen: Listen) -> Option<IpAddr> {
    match listen.addr {
        ListenAddr::Any => None,
        ListenAddr::Ip(ip) => Some(ip),
    }
}

fn one_server_for_the_rest(drafts: &[Draft]) -> Result<(), ConfigError> {
    let mut places = drafts
        .iter()
        .filter(|draft| draft.listens.is_empty())
        .filter_map(|draft| draft.place.as_ref());
    let (Some(first), Some(second)) = (places.next(), places.next()) else {
        return Ok(());
    };
    let message = format!("a server without \"listen\" is already at {first}");
    Err(ConfigError::at(second, message)
        .expected("this one needs a \"listen\"")
        .related(first, "this one covers every port that no other server has"))
}

fn conflict(one: &Claim<'_>, other: &Claim<'_>, drafts: &[Draft]) -> ConfigError {
    let (first, second) = if one.order < other.order {
        (one, other)
    } else {
        (other, one)
    };
    let owner = if first.server == second.server {
        "the same server".to_owned()
    } else {
        drafts[first.server].shown_name()
    };
    let message = format!(
        "\"listen {}\" is already claimed by {owner} at {}",
        second.listen, first.place
    );
    ConfigError::at(second.place, message)
        .expected("an endpoint belongs to one server")
        .related(first.place, "claimed here before")
}

fn enough_room(claims: &[Claim<'_>]) -> Result<(), ConfigError> {
    let listens: Vec<Listen> = claims.iter().map(|claim| claim.listen).collect();
    let Some(index) = without_room(&listens) else {
        return Ok(());
    };
    let message = "too many \"listen\" directives with an address";
    Err(
        ConfigError::at(claims[index].place, message).expected(format!(
            "there is room for {MAX_LISTENERS} pairs of an address and a run of ports"
        )),
    )
}

/// The position of an endpoint that the kernel side has no room for, if there is one.
///
/// It has one entry per address and run of ports that are listened to alike. Runs are counted as if
/// no two of them had the same addresses, which is never too few.
pub(crate) fn without_room(listens: &[Listen]) -> Option<usize> {
    let with_address = listens.iter().enumerate();
    let with_address = with_address.filter(|(_, listen)| listen.addr != ListenAddr::Any);
    let mut edges: Vec<(u32, bool, usize)> = with_address
        .flat_map(|(index, listen)| {
            [
                (u32::from(listen.first_port), true, index),
                (u32::from(listen.last_port) + 1, false, index),
            ]
        })
        .collect();
    edges.sort_by_key(|(port, _, _)| *port);
    let (mut open, mut entries) = (0_u64, 0_u64);
    for run in edges.chunk_by(|one, other| one.0 == other.0) {
        for (_, begins, _) in run {
            open = if *begins {
                open + 1
            } else {
                open.saturating_sub(1)
            };
        }
        entries += open;
        if entries > u64::from(MAX_LISTENERS) {
            return Some(run[0].2);
        }
    }
    None
}
