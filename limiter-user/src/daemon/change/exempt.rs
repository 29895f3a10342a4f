//! `limit_conn_exempt`.

use ipnet::IpNet;
use limiter_common::policy::MAX_NETWORKS;

use super::select;
use crate::{api::SetExempt, control::refusal::Refusal, network, policy::Policy};

/// Adds a network to the exempt ones, or removes it. What is exempt already may be added again.
pub fn set_exempt(policy: &mut Policy, change: &SetExempt) -> Result<Vec<usize>, Refusal> {
    let server = change.server.as_deref();
    match (&change.add, &change.remove) {
        (Some(text), None) => add(policy, parse("add", text)?, server),
        (None, Some(text)) => remove(policy, parse("remove", text)?, server),
        _ => Err(Refusal::bad_request("expected either add or remove")),
    }
}

fn add(policy: &mut Policy, network: IpNet, server: Option<&str>) -> Result<Vec<usize>, Refusal> {
    let servers = select(policy, server)?;
    let lacks = |server: &&usize| !policy.servers[**server].exempt.contains(&network);
    let fresh: Vec<usize> = servers.iter().filter(lacks).copied().collect();
    if policy.networks() + fresh.len() > MAX_NETWORKS {
        let text = format!("too many networks, {MAX_NETWORKS} at the most over all servers");
        return Err(Refusal::bad_request(text));
    }
    for server in fresh {
        policy.servers[server].exempt.push(network);
    }
    Ok(servers)
}

fn remove(
    policy: &mut Policy,
    network: IpNet,
    server: Option<&str>,
) -> Result<Vec<usize>, Refusal> {
    let mut servers = select(policy, server)?;
    servers.retain(|&server| policy.servers[server].exempt.contains(&network));
    if servers.is_empty() {
        return Err(Refusal::unknown_network(network, server));
    }
    for &server in &servers {
        let exempt = &mut policy.servers[server].exempt;
        exempt.retain(|other| *other != network);
    }
    Ok(servers)
}

fn parse(field: &str, text: &str) -> Result<IpNet, Refusal> {
    network::parse(text).map_err(|error| {
        // Bounded, and on one line: it ends up in an answer.
        let shown: String = text.chars().take(80).collect();
        let message = error.message(shown.escape_debug());
        Refusal::bad_request(format!("{field}: {message}, {}", error.expected()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::view::tests::policy;

    fn added(network: &str, server: Option<&str>) -> SetExempt {
        SetExempt {
            add: Some(network.to_owned()),
            remove: None,
            server: server.map(str::to_owned),
        }
    }

    fn removed(network: &str, server: Option<&str>) -> SetExempt {
        let SetExempt { add, server, .. } = added(network, server);
        SetExempt {
            add: None,
            remove: add,
            server,
        }
    }

    fn exempt(policy: &Policy) -> Vec<String> {
        let servers = policy.servers.iter();
        servers
            .map(|server| format!("{:?}", server.exempt))
            .collect()
    }

    #[test]
    fn a_network_is_added_and_removed_in_one_server_or_in_all() {
        let mut policy = policy();
        for (change, concerned, after) in [
            (
                added("10.0.0.0/8", Some("web")),
                vec![1],
                ["[]", "[10.0.0.0/8]"],
            ),
            // Again: nothing is there twice, and all servers have it now.
            (
                added("10.0.0.0/8", None),
                vec![0, 1],
                ["[10.0.0.0/8]", "[10.0.0.0/8]"],
            ),
            (
                added("::ffff:192.0.2.1", Some("default")),
                vec![0],
                ["[10.0.0.0/8, 192.0.2.1/32]", "[10.0.0.0/8]"],
            ),
            (
                removed("10.0.0.0/8", Some("web")),
                vec![1],
                ["[10.0.0.0/8, 192.0.2.1/32]", "[]"],
            ),
            // Where it is not, nothing changes.
            (
                removed("10.0.0.0/8", None),
                vec![0],
                ["[192.0.2.1/32]", "[]"],
            ),
            (removed("192.0.2.1/32", None), vec![0], ["[]", "[]"]),
        ] {
            assert_eq!(
                set_exempt(&mut policy, &change),
                Ok(concerned),
                "{change:?}"
            );
            assert_eq!(exempt(&policy), after, "{change:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_and_nothing_changes() {
        let mut changed = policy();
        changed.servers[0].exempt = vec!["10.0.0.0/8".parse().expect("literal")];
        let before = changed.clone();
        for (change, status, code, text) in [
            (
                SetExempt::default(),
                400,
                "BadRequest",
                "expected either add or remove",
            ),
            (
                SetExempt {
                    remove: Some("10.0.0.0/8".to_owned()),
                    ..added("10.0.0.0/8", None)
                },
                400,
                "BadRequest",
                "expected either add or remove",
            ),
            (
                added("10.1.0.0/8", None),
                400,
                "BadRequest",
                "add: low address bits of \"10.1.0.0/8\" are meaningless, did you mean \
                 \"10.0.0.0/8\"?",
            ),
            (
                removed("host\n", None),
                400,
                "BadRequest",
                "remove: invalid network \"host\\n\", expected an address or a network such as \
                 192.0.2.0/24 or 2001:db8::/32",
            ),
            (
                added("10.0.0.0/8", Some("nobody")),
                404,
                "ServerNotFound",
                "unknown server \"nobody\"",
            ),
            (
                removed("10.0.0.0/8", Some("web")),
                404,
                "NetworkNotFound",
                "server \"web\" does not exempt \"10.0.0.0/8\"",
            ),
            (
                removed("10.0.0.0/9", None),
                404,
                "NetworkNotFound",
                "no server exempts \"10.0.0.0/9\"",
            ),
        ] {
            let refusal = set_exempt(&mut changed, &change).expect_err(text);
            assert_eq!(
                (refusal.status.as_u16(), refusal.code, refusal.text.as_str()),
                (status, code, text)
            );
            assert_eq!(changed, before, "{text}");
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut policy = policy();
        let network = |index: usize| {
            let [_, _, high, low] = (index as u32).to_be_bytes();
            format!("10.0.{high}.{low}")
        };
        for index in 0..MAX_NETWORKS / 2 {
            set_exempt(&mut policy, &added(&network(index), None)).expect("room");
        }
        let full = policy.clone();
        let one_more = added(&network(MAX_NETWORKS), Some("web"));
        let refusal = set_exempt(&mut policy, &one_more).expect_err("no room");
        assert_eq!(
            refusal.text,
            "too many networks, 4096 at the most over all servers"
        );
        assert_eq!(policy, full);
        set_exempt(&mut policy, &added(&network(0), None)).expect("nothing new");
    }
}
