//! Connections that are open while a policy begins.
//!
//! The iterator program looks at every socket. One that is counted already has a token, which it
//! makes hold what the policy asks for. Others are found by sock_diag, with cookie and cgroup, and
//! charged if their cookie is among the candidates: those that were open before the programs were
//! attached, or that no server of the policy before counted. What was established since then has its
//! token and is no candidate any more; what was closed meanwhile is not met.

use std::{collections::HashSet, io, net::SocketAddr};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
    programs::Iter,
};
use limiter_common::{
    key::Connection,
    names::{MAP_CANDIDATES, MAP_OUTGOING_CANDIDATES, PROGRAM_ADOPT},
    token::MAX_CANDIDATES,
};

use super::{
    compile::Compiled,
    error::{Context, KernelError},
    iterator::drive,
    netns,
    object::program,
    policy::take,
    raw::Raw,
    scope::Scope,
    sock_diag::{self, TcpSocket},
};

/// What was found open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Connections that were open before, match a server and are counted now.
    pub connections: u64,
    /// Connections that matched and are not counted: closed meanwhile, or, all of them, because the
    /// kernel does not let an iterator follow a socket's state (before Linux 6.12).
    pub missed: u64,
    /// Connections to servers of upstreams that were open before and are counted now.
    pub outgoing: u64,
    /// Such that are not counted, for the same reasons.
    pub outgoing_missed: u64,
    /// Listeners on ports that a `listen` names, created outside the cgroups we are attached to
    /// while nothing inside listens there: they are not limited. (The scope of a cgroup follows the
    /// cgroup a listener was created in.) None while a cgroup is waited for.
    pub outside: Vec<SocketAddr>,
}

/// Where the programs find whom to adopt.
pub(super) struct Candidates {
    incoming: HashMap<MapData, u64, Raw<Connection>>,
    outgoing: HashMap<MapData, u64, u32>,
}

impl Candidates {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            incoming: take_empty(ebpf, MAP_CANDIDATES)?,
            outgoing: take_empty(ebpf, MAP_OUTGOING_CANDIDATES)?,
        })
    }

    /// Looks at the sockets of every network namespace, and adopts what `compiled` counts and
    /// `before` did not. None: nothing in this scope was counted before.
    pub(super) fn adopt(
        &mut self,
        ebpf: &mut Ebpf,
        scope: &Scope,
        compiled: &Compiled,
        before: Option<&Compiled>,
    ) -> Result<Adopted, KernelError> {
        let mut adopted = Adopted::default();
        in_each_namespace(ebpf, |iterator| {
            let sockets = sock_diag::tcp_sockets().context("list", "TCP sockets")?;
            // A listener may be in a cgroup that is waited for, by the time it is there.
            if scope.is_complete() {
                adopted.outside.extend(outside(&sockets, scope, compiled));
            }
            let mut found = find(&sockets, scope, compiled);
            found.retain(|(_, it)| before.is_none_or(|before| !before.counts(it)));
            let outgoing = find_outgoing(&sockets, scope, compiled, before);
            for some in outgoing.chunks(MAX_CANDIDATES) {
                let (counted, missed) =
                    adopt_some(&mut self.outgoing, MAP_OUTGOING_CANDIDATES, iterator, some)?;
                adopted.outgoing += counted;
                adopted.outgoing_missed += missed;
            }
            if found.is_empty() {
                // Those that are counted already hold what there was asked for before.
                return before.map_or(Ok(()), |_| walk(iterator));
            }
            let found: Vec<_> = found.into_iter().map(|(it, of)| (it, Raw(of))).collect();
            for some in found.chunks(MAX_CANDIDATES) {
                let (counted, missed) =
                    adopt_some(&mut self.incoming, MAP_CANDIDATES, iterator, some)?;
                adopted.connections += counted;
                adopted.missed += missed;
            }
            Ok(())
        })?;
        Ok(adopted)
    }
}

/// Takes a map, without what a daemon has left in it that ended in the middle of adopting.
fn take_empty<V: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<HashMap<MapData, u64, V>, KernelError> {
    let mut map: HashMap<MapData, u64, V> = take(ebpf, name)?;
    let left: Vec<u64> = map.keys().filter_map(Result::ok).collect();
    for cookie in left {
        map.remove(&cookie).context("write map", name)?;
    }
    Ok(map)
}

/// Adopts as many connections as the map of this name holds. How many are counted, and how many not.
fn adopt_some<V: aya::Pod>(
    map: &mut HashMap<MapData, u64, V>,
    name: &'static str,
    iterator: &mut Iter,
    found: &[(u64, V)],
) -> Result<(u64, u64), KernelError> {
    for (cookie, value) in found {
        map.insert(cookie, value, 0).context("write map", name)?;
    }
    let walked = walk(iterator);
    let (mut counted, mut missed) = (0, 0);
    for (cookie, _) in found {
        match map.remove(cookie) {
            Ok(()) => missed += 1,
            // The program has taken it out.
            Err(MapError::SyscallError(error))
                if error.io_error.kind() == io::ErrorKind::NotFound =>
            {
                counted += 1;
            }
            Err(error) => return Err(error).context("write map", name),
        }
    }
    walked.map(|()| (counted, missed))
}

/// Looks at the counted sockets of every network namespace: they hold what the policy asks for when
/// this returns. Adopts nothing.
pub(super) fn settle(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    in_each_namespace(ebpf, walk)
}

/// The first failure ends it.
fn in_each_namespace(
    ebpf: &mut Ebpf,
    mut work: impl FnMut(&mut Iter) -> Result<(), KernelError> + Send,
) -> Result<(), KernelError> {
    let iterator: &mut Iter = program(ebpf, PROGRAM_ADOPT)?;
    let mut result = Ok(());
    netns::in_each(|_| {
        if result.is_ok() {
            result = work(iterator);
        }
    });
    result
}

/// Ports that something listens on.
fn listening(sockets: &[TcpSocket]) -> HashSet<u16> {
    let listeners = sockets.iter().filter(|socket| socket.is_listener);
    listeners.map(|socket| socket.local.port()).collect()
}

/// Connections that somebody else has opened and the policy counts, with their cookies.
fn find(sockets: &[TcpSocket], scope: &Scope, compiled: &Compiled) -> Vec<(u64, Connection)> {
    let listening = listening(sockets);
    let mut found = Vec::new();
    for socket in sockets {
        let port = socket.local.port();
        // The kernel does not say which side has opened a connection. Where something listens, or
        // where a `listen` names the very port, it was the other one.
        let passive = listening.contains(&port) || compiled.names_port(port);
        if socket.is_listener || socket.is_connecting || !passive || !scope.contains(socket) {
            continue;
        }
        let connection = Connection {
            remote: socket.remote.ip().into(),
            local: socket.local.ip().into(),
            remote_port: socket.remote.port(),
            local_port: port,
            padding: 0,
        };
        if compiled.counts(&connection) {
            found.push((socket.cookie, connection));
        }
    }
    found
}

/// Connections to servers of upstreams that `compiled` counts and `before` did not, with the indices
/// of the servers. What is counted all the same, the program knows.
fn find_outgoing(
    sockets: &[TcpSocket],
    scope: &Scope,
    compiled: &Compiled,
    before: Option<&Compiled>,
) -> Vec<(u64, u32)> {
    if compiled.upstreams.is_empty() {
        return Vec::new();
    }
    let listening = listening(sockets);
    let found = sockets.iter().filter_map(|socket| {
        // A client may have the address and the port of a server; then a listener has accepted it.
        let active = socket.is_connecting || !listening.contains(&socket.local.port());
        if socket.is_listener || !active || !scope.contains(socket) {
            return None;
        }
        let server = (socket.remote.ip().into(), socket.remote.port());
        let found = compiled.upstreams.get(&server)?;
        let is_new = before.is_none_or(|before| !before.upstreams.contains_key(&server));
        is_new.then_some((socket.cookie, found.index.into()))
    });
    found.collect()
}

/// Listeners outside the scope on ports that a `listen` names and that nothing inside listens on.
fn outside(sockets: &[TcpSocket], scope: &Scope, compiled: &Compiled) -> Vec<SocketAddr> {
    let (inside, outside): (Vec<&TcpSocket>, Vec<&TcpSocket>) = sockets
        .iter()
        .filter(|socket| socket.is_listener && compiled.names_port(socket.local.port()))
        .partition(|socket| scope.contains(socket));
    outside
        .into_iter()
        .map(|socket| socket.local)
        .filter(|local| {
            inside
                .iter()
                .all(|socket| socket.local.port() != local.port())
        })
        .collect()
}

/// Runs the iterator over every TCP socket of the current network namespace.
fn walk(iterator: &mut Iter) -> Result<(), KernelError> {
    const OPERATION: &str = "run program";
    let link = iterator.attach().context(OPERATION, PROGRAM_ADOPT)?;
    let link = iterator.take_link(link).context(OPERATION, PROGRAM_ADOPT)?;
    let file = link.into_file().context(OPERATION, PROGRAM_ADOPT)?;
    drive(file).context(OPERATION, PROGRAM_ADOPT)
}
