//! Connections that were open before the programs were attached.
//!
//! sock_diag lists them, with cookie and cgroup; the iterator program charges those whose cookie it
//! finds among the candidates. A connection that was established after the programs were attached
//! has its token already and is passed over; one that was closed meanwhile is not met any more.

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
    cgroup::Cgroup,
    compile::Compiled,
    error::{Context, KernelError},
    netns,
    object::program,
    policy::take,
    raw::Raw,
    scope::Scope,
    sock_diag::{self, TcpSocket},
};

/// What was found at start.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    /// Connections that were open before, match a server and are counted now.
    pub connections: u64,
    /// Connections that matched and are not counted: closed meanwhile, or, all of them, because the
    /// kernel does not let an iterator follow a socket's state (before Linux 6.12).
    pub missed: u64,
    /// Listeners on ports that a `listen` names, created outside the cgroups we are attached to
    /// while nothing inside listens there: they are not limited. (The scope of a cgroup follows the cgroup a listener was created in.)
    pub outside: Vec<SocketAddr>,
}

/// Adopts the connections of every network namespace.
pub(super) fn adopt(
    ebpf: &mut Ebpf,
    cgroups: &[Cgroup],
    compiled: &Compiled,
) -> Result<Adopted, KernelError> {
    let mut candidates: HashMap<MapData, u64, Raw<Connection>> = take(ebpf, MAP_CANDIDATES)?;
    let iterator: &mut Iter = program(ebpf, PROGRAM_ADOPT)?;
    let scope = Scope::of(cgroups);
    let mut adopted = Adopted::default();
    let mut result = Ok(());
    netns::in_each(|_| {
        if result.is_ok() {
            result = adopt_here(iterator, &mut candidates, &scope, compiled, &mut adopted);
        }
    });
    result.map(|()| adopted)
}

/// Adopts the connections of the current network namespace.
fn adopt_here(
    iterator: &mut Iter,
    candidates: &mut HashMap<MapData, u64, Raw<Connection>>,
    scope: &Scope,
    compiled: &Compiled,
    adopted: &mut Adopted,
) -> Result<(), KernelError> {
    let sockets = sock_diag::tcp_sockets().context("list", "TCP sockets")?;
    let listening: HashSet<u16> = sockets
        .iter()
        .filter(|socket| socket.is_listener)
        .map(|socket| socket.local.port())
        .collect();
    let covered =
        |socket: &&TcpSocket| compiled.covers(socket.local.ip().into(), socket.local.port());
    adopted.outside.extend(outside(&sockets, scope, compiled));
    let mut found = Vec::new();
    for socket in sockets.iter().filter(covered) {
        let port = socket.local.port();
        // The kernel does not say which side has opened a connection. Where something listens, or
        // where a `listen` names the very port, it was the other one.
        let passive = listening.contains(&port) || compiled.names_port(port);
        if socket.is_listener || !passive || !scope.contains(socket) {
            continue;
        }
        let candidate = Connection {
            remote: socket.remote.ip().into(),
            local: socket.local.ip().into(),
            remote_port: socket.remote.port(),
            local_port: port,
            padding: 0,
        };
        found.push((socket.cookie, candidate));
    }
    found
        .chunks(MAX_CANDIDATES)
        .try_for_each(|found| adopt_some(iterator, candidates, found, adopted))
}

/// Adopts as many connections as the map holds.
fn adopt_some(
    iterator: &mut Iter,
    candidates: &mut HashMap<MapData, u64, Raw<Connection>>,
    found: &[(u64, Connection)],
    adopted: &mut Adopted,
) -> Result<(), KernelError> {
    for (cookie, connection) in found {
        candidates
            .insert(cookie, Raw(*connection), 0)
            .context("write map", MAP_CANDIDATES)?;
    }
    let walked = walk(iterator);
    for (cookie, _) in found {
        match candidates.remove(cookie) {
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
