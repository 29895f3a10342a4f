//! Changes to a policy. Each gives the positions of the servers concerned, or leaves the policy as
//! it is.

use crate::{
    api::{SetAction, SetDryRun, SetLimit, SetLogLevel},
    control::refusal::Refusal,
    policy::{Action, ActionKind, LogLevel, Policy},
};

pub use self::exempt::set_exempt;

mod exempt;

/// `limit_conn_dry_run`.
pub fn set_dry_run(policy: &mut Policy, change: &SetDryRun) -> Result<Vec<usize>, Refusal> {
    let servers = select(policy, change.server.as_deref())?;
    for &server in &servers {
        policy.servers[server].dry_run = change.on;
    }
    if change.server.is_none() {
        policy
            .upstreams
            .iter_mut()
            .for_each(|it| it.dry_run = change.on);
    }
    Ok(servers)
}

/// `limit_conn_log_level`.
pub fn set_log_level(policy: &mut Policy, change: &SetLogLevel) -> Result<Vec<usize>, Refusal> {
    if change.level == LogLevel::Debug {
        return Err(Refusal::bad_request(
            "level: debug is not for refusals, use info, notice, warn or error",
        ));
    }
    let servers = select(policy, change.server.as_deref())?;
    for &server in &servers {
        policy.servers[server].log_level = change.level;
    }
    if change.server.is_none() {
        let upstreams = policy.upstreams.iter_mut();
        upstreams.for_each(|it| it.log_level = change.level);
    }
    Ok(servers)
}

/// `limit_conn_action`.
pub fn set_action(policy: &mut Policy, change: &SetAction) -> Result<Vec<usize>, Refusal> {
    let action = action(change)?;
    let servers = select(policy, change.server.as_deref())?;
    for &server in &servers {
        policy.servers[server].action = action;
    }
    Ok(servers)
}

/// `limit_conn`.
pub fn set_limit(policy: &mut Policy, change: &SetLimit) -> Result<Vec<usize>, Refusal> {
    if change.number == 0 {
        return Err(Refusal::bad_request(
            "number: 0 is not a limit, use 1 to 65535",
        ));
    }
    let zone = zone(policy, &change.zone)?;
    let mut servers = select(policy, change.server.as_deref())?;
    servers.retain(|&server| {
        let limits = &policy.servers[server].limits;
        limits.iter().any(|limit| limit.zone == zone)
    });
    if servers.is_empty() {
        return Err(Refusal::unused_zone(&change.zone, change.server.as_deref()));
    }
    for &server in &servers {
        let limits = policy.servers[server].limits.iter_mut();
        for limit in limits.filter(|limit| limit.zone == zone) {
            limit.number = change.number;
        }
    }
    Ok(servers)
}

fn action(change: &SetAction) -> Result<Action, Refusal> {
    match (change.action, change.delay_ms) {
        (ActionKind::Drop, None) => Ok(Action::Drop),
        (ActionKind::Reset, None) => Ok(Action::Reset),
        (kind @ (ActionKind::Drop | ActionKind::Reset), Some(_)) => {
            let text = format!("delay_ms: {kind} has no delay, only close has one");
            Err(Refusal::bad_request(text))
        }
        (ActionKind::Close, delay_ms) => {
            let delay_ms = delay_ms.unwrap_or(0);
            if delay_ms > Action::MAX_DELAY_MS {
                let longest = Action::MAX_DELAY_MS;
                let text = format!("delay_ms: {delay_ms} is too long, use at most {longest}");
                return Err(Refusal::bad_request(text));
            }
            Ok(Action::Close { delay_ms })
        }
    }
}

/// Position of a zone.
pub fn zone(policy: &Policy, name: &str) -> Result<usize, Refusal> {
    let mut zones = policy.zones.iter();
    zones
        .position(|zone| zone.name == name)
        .ok_or_else(|| Refusal::unknown_zone(name))
}

/// Position of a server.
pub fn server(policy: &Policy, name: &str) -> Result<usize, Refusal> {
    let mut servers = policy.servers.iter();
    servers
        .position(|server| server.name == name)
        .ok_or_else(|| Refusal::unknown_server(name))
}

/// Position of the named server, or of all.
fn select(policy: &Policy, name: Option<&str>) -> Result<Vec<usize>, Refusal> {
    match name {
        Some(name) => Ok(vec![server(policy, name)?]),
        None => Ok((0..policy.servers.len()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::view::tests::policy;

    fn limit(zone: &str, number: u16, server: Option<&str>) -> SetLimit {
        SetLimit {
            zone: zone.to_owned(),
            number,
            server: server.map(str::to_owned),
        }
    }

    #[test]
    fn a_limit_changes_wherever_the_zone_is_used() {
        let mut policy = policy();
        assert_eq!(
            set_limit(&mut policy, &limit("addr", 5, None)),
            Ok(vec![0, 1])
        );
        assert_eq!(policy.servers[0].limits[0].number, 5);
        assert_eq!(policy.servers[1].limits[0].number, 5);
        assert_eq!(policy.servers[1].limits[1].number, 15);
        assert_eq!(
            set_limit(&mut policy, &limit("server", 7, None)),
            Ok(vec![1])
        );
        let one = limit("addr", 6, Some("web"));
        assert_eq!(set_limit(&mut policy, &one), Ok(vec![1]));
        assert_eq!(policy.servers[0].limits[0].number, 5);
        assert_eq!(policy.servers[1].limits[0].number, 6);
    }

    #[test]
    fn what_does_not_exist_is_named_and_nothing_changes() {
        let mut changed = policy();
        for (change, status, code, text) in [
            (
                limit("nothing", 5, None),
                404,
                "LimitConnNotFound",
                "unknown zone \"nothing\"",
            ),
            (
                limit("addr", 5, Some("nobody")),
                404,
                "ServerNotFound",
                "unknown server \"nobody\"",
            ),
            (
                limit("server", 5, Some("default")),
                404,
                "LimitNotFound",
                "server \"default\" has no limit_conn of zone \"server\"",
            ),
            (
                limit("addr", 0, None),
                400,
                "BadRequest",
                "number: 0 is not a limit, use 1 to 65535",
            ),
        ] {
            let refusal = set_limit(&mut changed, &change).expect_err(text);
            assert_eq!(
                (refusal.status.as_u16(), refusal.code, refusal.text.as_str()),
                (status, code, text)
            );
        }
        assert_eq!(changed, policy());
    }

    #[test]
    fn switches_reach_one_server_or_all() {
        let mut policy = policy();
        let one = SetDryRun {
            on: true,
            server: Some("web".to_owned()),
        };
        assert_eq!(set_dry_run(&mut policy, &one), Ok(vec![1]));
        assert!(!policy.servers[0].dry_run && policy.servers[1].dry_run);
        let all = SetLogLevel {
            level: LogLevel::Warn,
            server: None,
        };
        assert_eq!(set_log_level(&mut policy, &all), Ok(vec![0, 1]));
        let debug = SetLogLevel {
            level: LogLevel::Debug,
            server: None,
        };
        assert_eq!(
            set_log_level(&mut policy, &debug)
                .expect_err("debug")
                .status,
            400
        );
        assert_eq!(policy.servers[0].log_level, LogLevel::Warn);
    }

    fn act(action: ActionKind, delay_ms: Option<u32>, server: Option<&str>) -> SetAction {
        SetAction {
            action,
            delay_ms,
            server: server.map(str::to_owned),
        }
    }

    #[test]
    fn an_action_reaches_one_server_or_all() {
        let mut policy = policy();
        let one = act(ActionKind::Close, Some(2_000), Some("web"));
        assert_eq!(set_action(&mut policy, &one), Ok(vec![1]));
        let close = |delay_ms| Action::Close { delay_ms };
        let actions = |policy: &Policy| [policy.servers[0].action, policy.servers[1].action];
        assert_eq!(actions(&policy), [Action::Drop, close(2_000)]);
        for (change, action) in [
            (act(ActionKind::Reset, None, None), Action::Reset),
            (act(ActionKind::Close, None, None), close(0)),
            (
                act(ActionKind::Close, Some(Action::MAX_DELAY_MS), None),
                close(Action::MAX_DELAY_MS),
            ),
            (act(ActionKind::Drop, None, None), Action::Drop),
        ] {
            assert_eq!(set_action(&mut policy, &change), Ok(vec![0, 1]));
            assert_eq!(actions(&policy), [action, action]);
        }
    }

    #[test]
    fn an_action_that_makes_no_sense_changes_nothing() {
        let mut changed = policy();
        for (change, text) in [
            (
                act(ActionKind::Drop, Some(0), None),
                "delay_ms: drop has no delay, only close has one",
            ),
            (
                act(ActionKind::Reset, Some(1), Some("web")),
                "delay_ms: reset has no delay, only close has one",
            ),
            (
                act(ActionKind::Close, Some(3_600_001), None),
                "delay_ms: 3600001 is too long, use at most 3600000",
            ),
            (
                act(ActionKind::Reset, None, Some("nobody")),
                "unknown server \"nobody\"",
            ),
        ] {
            let refusal = set_action(&mut changed, &change).expect_err(text);
            assert_eq!(refusal.text, text);
        }
        assert_eq!(changed, policy());
    }
}
