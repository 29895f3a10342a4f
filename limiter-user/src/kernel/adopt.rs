//! Connections that are open while a policy begins.
//!
//! The iterator program looks at every socket. One that is counted already has a token, which it
//! makes hold what the policy asks for. Others are found by sock_diag, with cookie and cgroup, and
//! charged if their cookie is among the candidates: those that were open before the programs were
//! attached, or that no server of the policy before counted. What was established since then has its
//! token and is no candidate any more; what was closed meanwhile is not met.

use std::{
    collections::HashSet,
    io::{self, Read},
    net::SocketAddr,
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
    programs::Iter,
};
use limiter_common::{
    key::Connection,
    names::{MAP_CANDIDATES, PROGRAM_ADOPT},
    token::MAX_CANDIDATES,
};

use super::{
    compile::Compiled,
    error::{Context, KernelError},
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
    /// Listeners on ports that a `listen` names, created outside the cgroups we are attached to
    /// while nothing inside listens there: they are not limited. (The scope of a cgroup follows the
    /// cgroup a listener was created in.) None while a cgroup is waited for.
    pub outside: Vec<SocketAddr>,
}

/// Where the programs find whom to adopt.
pub(super) struct Candidates(HashMap<MapData, u64, Raw<Connection>>);

impl Candidates {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut map: HashMap<MapData, u64, Raw<Connection>> = take(ebpf, MAP_CANDIDATES)?;
        // Of a daemon that ended in the middle of it.
        let left: Vec<u64> = map.keys().filter_map(Result::ok).collect();
        for cookie in left {
            map.remove(&cookie).context("write map", MAP_CANDIDATES)?;
        }
        Ok(Self(map))
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
            if found.is_empty() {
                // Those that are counted already hold what there was asked for before.
                return before.map_or(Ok(()), |_| walk(iterator));
            }
            found
                .chunks(MAX_CANDIDATES)
                .try_for_each(|found| self.adopt_some(iterator, found, &mut adopted))
        })?;
        Ok(adopted)
    }

    /// Adopts as many connections as the map holds.
    fn adopt_some(
        &mut self,
        iterator: &mut Iter,
        found: &[(u64, Connection)],
        adopted: &mut Adopted,
    ) -> Result<(), KernelError> {
        for (cookie, connection) in found {
            self.0
                .insert(cookie, Raw(*connection), 0)
                .context("write map", MAP_CANDIDATES)?;
        }
        let walked = walk(iterator);
        for (cookie, _) in found {
            match self.0.remove(cookie) {
                Ok(()) => adopted.missed += 1,
                // The program has taken it out.
                Err(MapError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::NotFound =>
                {
                    adopted.connections += 1;
                }
                Err(error) => return Err(error).context("write map", MAP_CANDIDATES),
            }
        }
        walked
    }
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

/// Connections that somebody else has opened and the policy counts, with their cookies.
fn find(sockets: &[TcpSocket], scope: &Scope, compiled: &Compiled) -> Vec<(u64, Connection)> {
    let listening: HashSet<u16> = sockets
        .iter()
        .filter(|socket| socket.is_listener)
        .map(|socket| socket.local.port())
        .collect();
    let mut found = Vec::new();
    for socket in sockets {
        let port = socket.local.port();
        // The kernel does not say which side has opened a connection. Where something listens, or
        // where a `listen` names the very port, it was the other one.
        let passive = listening.contains(&port) || compiled.names_port(port);
        if socket.is_listener || !passive || !scope.contains(socket) {
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
    let mut file = link.into_file().context(OPERATION, PROGRAM_ADOPT)?;
    // The program prints nothing; reading is what drives it.
    let mut nothing = Vec::new();
    file.read_to_end(&mut nothing)
        .context(OPERATION, PROGRAM_ADOPT)?;
    Ok(())
}
