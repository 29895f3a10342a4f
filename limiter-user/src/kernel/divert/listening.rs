//! Where sockets listen in a network namespace, and what the programs know of it.

use std::collections::{HashMap, HashSet};

use aya::maps::{HashMap as BpfHashMap, MapData};
use limiter_common::{
    addr::Addr,
    names::MAP_LISTENING,
    policy::{LISTENING_FOREIGN, LISTENING_LIMITED, Listening},
};

use crate::{
    kernel::{
        error::{Context, KernelError},
        raw::Raw,
        scope::Scope,
        sock_diag::TcpSocket,
    },
    policy::{Action, Policy},
};

/// Address and port → [`LISTENING_LIMITED`] or [`LISTENING_FOREIGN`]. Empty if no server of the
/// policy that does not drop listens there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table(HashMap<(Addr, u16), u32>);

impl Table {
    /// From the listening sockets of a namespace.
    ///
    /// Sockets outside of the scope matter where one of the scope has the same port: what comes for
    /// them is not to be refused.
    pub(super) fn of<'a>(
        listeners: impl Iterator<Item = &'a TcpSocket> + Clone,
        scope: &Scope,
        policy: &Policy,
    ) -> Self {
        let mut table = HashMap::new();
        let limited = listeners
            .clone()
            .filter(|socket| scope.contains(socket) && is_diverted(socket, policy));
        for socket in limited {
            table.insert((address(socket), socket.local.port()), LISTENING_LIMITED);
        }
        let ports: HashSet<u16> = table.keys().map(|(_, port)| *port).collect();
        let foreign = listeners
            .filter(|socket| !scope.contains(socket) && ports.contains(&socket.local.port()));
        for socket in foreign {
            table.insert((address(socket), socket.local.port()), LISTENING_FOREIGN);
        }
        Self(table)
    }

    /// Whether nothing is to be refused there.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands in the map about one namespace.
pub(super) struct Known {
    target_port: u16,
    table: HashMap<(Addr, u16), u32>,
}

impl Known {
    /// Nothing, about the namespace in which the socket of ours has this port.
    pub(super) fn new(target_port: u16) -> Self {
        Self {
            target_port,
            table: HashMap::new(),
        }
    }

    pub(super) fn target_port(&self) -> u16 {
        self.target_port
    }
}

/// The map.
pub(super) struct ListeningMap(BpfHashMap<MapData, Raw<Listening>, u32>);

impl ListeningMap {
    /// Empties the map: what stands there is about sockets of a daemon that is gone.
    pub(super) fn new(
        mut map: BpfHashMap<MapData, Raw<Listening>, u32>,
    ) -> Result<Self, KernelError> {
        let known: Vec<_> = map.keys().filter_map(Result::ok).collect();
        for key in known {
            map.remove(&key).context("write map", MAP_LISTENING)?;
        }
        Ok(Self(map))
    }

    /// Makes what is known that of `table`. If that fails, `known` is what stands there, so that
    /// the next attempt goes on from it.
    pub(super) fn replace(&mut self, known: &mut Known, table: Table) -> Result<(), KernelError> {
        let target_port = known.target_port.into();
        let key = |(addr, port): (Addr, u16)| {
            Raw(Listening {
                addr,
                port: port.into(),
                target_port,
            })
        };
        let gone: Vec<_> = known
            .table
            .keys()
            .filter(|at| !table.0.contains_key(*at))
            .copied()
            .collect();
        for at in gone {
            self.0
                .remove(&key(at))
                .context("write map", MAP_LISTENING)?;
            known.table.remove(&at);
        }
        let mut new: Vec<_> = table
            .0
            .into_iter()
            .filter(|(at, who)| known.table.get(at) != Some(who))
            .collect();
        // Should the map be full, nothing is refused that is not to be.
        new.sort_unstable_by_key(|(_, who)| *who != LISTENING_FOREIGN);
        for (at, who) in new {
            self.0
                .insert(key(at), who, 0)
                .context("write map", MAP_LISTENING)?;
            known.table.insert(at, who);
        }
        Ok(())
    }
}

/// Whether connections to this listener, or to one of the addresses that it stands for, belong to a
/// server that does not drop.
fn is_diverted(listener: &TcpSocket, policy: &Policy) -> bool {
    let (ip, port) = (listener.local.ip().to_canonical(), listener.local.port());
    if !ip.is_unspecified() {
        return policy
            .server_at(listener.local)
            .is_some_and(|server| server.action != Action::Drop);
    }
    policy.servers.iter().any(|server| {
        server.action != Action::Drop
            && (server.listen.is_empty()
                || server
                    .listen
                    .iter()
                    .any(|listen| (listen.first_port..=listen.last_port).contains(&port)))
    })
}

/// As the programs look it up.
fn address(listener: &TcpSocket) -> Addr {
    let ip = listener.local.ip();
    if ip.is_unspecified() && ip.is_ipv6() {
        Addr::UNSPECIFIED
    } else {
        ip.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const INSIDE: u64 = 1;
    const OUTSIDE: u64 = 2;
    const RESETS_8080: &str = "server { listen 8080; limit_conn_action reset; }
                               server { listen 8081; }";

    fn table(servers: &str, listeners: &[(&str, u64)]) -> Vec<(Addr, u16, u32)> {
        let listeners: Vec<_> = listeners
            .iter()
            .map(|(local, cgroup)| TcpSocket {
                is_connecting: false,
                cookie: 0,
                local: local.parse().expect("literal"),
                remote: "0.0.0.0:0".parse().expect("literal"),
                is_listener: true,
                cgroup: Some(*cgroup),
            })
            .collect();
        let text =
            format!("limit_conn_zone $binary_remote_addr zone=a:1m; limit_conn a 1; {servers}");
        let policy = config::parse("test.conf", &text).expect("valid").policy;
        let scope = Scope::of([].into_iter(), [INSIDE].into_iter(), true);
        let table = Table::of(listeners.iter(), &scope, &policy).0.into_iter();
        let mut table: Vec<_> = table.map(|((addr, port), who)| (addr, port, who)).collect();
        table.sort_unstable();
        table
    }

    fn v4(text: &str) -> Addr {
        text.parse::<std::net::Ipv4Addr>().expect("literal").into()
    }

    #[test]
    fn only_ports_count_at_which_a_server_does_not_drop() {
        let listeners = [("127.0.0.1:8080", INSIDE), ("127.0.0.1:8081", INSIDE)];
        let one = (v4("127.0.0.1"), 8080, LISTENING_LIMITED);
        assert_eq!(table(RESETS_8080, &listeners), [one]);
        assert_eq!(table("server { listen 8080; }", &listeners), []);
        // A server for one address has no say about another one, but about every one.
        let other = "server { listen 127.0.0.2:8080; limit_conn_action reset; }";
        assert_eq!(table(other, &listeners), []);
        for (any, addr) in [
            ("0.0.0.0:8080", Addr::UNSPECIFIED_V4),
            ("[::ffff:0.0.0.0]:8080", Addr::UNSPECIFIED_V4),
            ("[::]:8080", Addr::UNSPECIFIED),
        ] {
            let limited = (addr, 8080, LISTENING_LIMITED);
            assert_eq!(table(other, &[(any, INSIDE)]), [limited], "{any}");
        }
    }

    #[test]
    fn others_count_where_one_of_the_scope_has_the_port() {
        let foreign = [("127.0.0.2:8080", OUTSIDE), ("127.0.0.2:9000", OUTSIDE)];
        assert_eq!(table(RESETS_8080, &foreign), []);
        let mut all = table(
            RESETS_8080,
            &[foreign[0], foreign[1], ("[::]:8080", INSIDE)],
        );
        all.sort_unstable_by_key(|(_, _, who)| *who);
        assert_eq!(
            all,
            [
                (v4("127.0.0.2"), 8080, LISTENING_FOREIGN),
                (Addr::UNSPECIFIED, 8080, LISTENING_LIMITED),
            ]
        );
        // Of the same address, the one outside is not to be refused for.
        let same = [("127.0.0.2:8080", INSIDE), ("127.0.0.2:8080", OUTSIDE)];
        let foreign = (v4("127.0.0.2"), 8080, LISTENING_FOREIGN);
        assert_eq!(table(RESETS_8080, &same), [foreign]);
    }
}
