//! Where refused attempts are brought to: a socket of ours in every network namespace in which a
//! server listens that answers with a RST, or accepts and closes.
//!
//! `limiter_lookup` decides what is brought there, `limiter_refuse` answers it with a RST or lets
//! it be accepted, `limiter_wait` counts what has been accepted. The connections are the daemon's
//! to close ([`Target`]).

use std::{
    collections::{HashMap, HashSet},
    net::TcpListener,
};

use aya::{
    Ebpf,
    maps::{HashMap as BpfHashMap, MapData, ProgramArray, SkStorage, SockMap},
    programs::{ProgramFd, SkLookup, SkReuseport, sk_lookup::SkLookupLink, sock_ops::SockOpsLink},
};
use limiter_common::{
    addr::Addr,
    names::{
        MAP_LISTENING, MAP_NEXT, MAP_TARGET, MAP_WAITERS, PROGRAM_DIVERT, PROGRAM_LOOKUP,
        PROGRAM_REFUSE,
    },
    policy::Listening,
    token::Waiter,
};
use tokio::sync::oneshot;

use super::{
    cgroup::{self, Cgroup},
    error::{Context, KernelError},
    netns::{self, NetNs, NetNsId},
    object::{attach_wait, load_divert, program},
    policy::take,
    raw::Raw,
    scope::Scope,
    sock_diag::{self, TcpSocket},
    target,
};
use crate::policy::{Action, Policy};

/// The sockets, and what the programs know of them.
pub(super) struct Diversion {
    listening: BpfHashMap<MapData, Raw<Listening>, u32>,
    /// What stands in `listening`.
    known: HashSet<Listening>,
    waiters: SkStorage<MapData, Raw<Waiter>>,
    posts: HashMap<NetNsId, Post>,
    /// Sockets of `posts` that nobody serves yet.
    fresh: Vec<Target>,
    /// `limiter_wait`, from the first post on. It stays when there are none any more: places are
    /// given back as connections close, which may be later.
    wait: Option<SockOpsLink>,
}

/// A socket to which refused attempts of one network namespace are brought.
pub struct Target {
    /// Connections to be accepted here are refused ones.
    pub listener: TcpListener,
    /// Ends when the socket is given up: nothing that was accepted may stay open.
    pub end: oneshot::Receiver<()>,
}

/// What is in force in one network namespace.
struct Post {
    /// Dropped first: no packet is brought to a socket that is gone.
    _divert: SkLookupLink,
    /// The kernel empties the array when nobody has it open (kernel/bpf/arraymap.c,
    /// prog_array_map_clear).
    _next: ProgramArray<MapData>,
    _target: SockMap<MapData>,
    /// Cookie of the socket.
    cookie: u64,
    _end: oneshot::Sender<()>,
}

impl Diversion {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            listening: take(ebpf, MAP_LISTENING)?,
            known: HashSet::new(),
            waiters: take(ebpf, MAP_WAITERS)?,
            posts: HashMap::new(),
            fresh: Vec::new(),
            wait: None,
        })
    }

    /// Looks where servers of the policy listen that do not drop, and has a socket exactly there.
    pub(super) fn refresh(
        &mut self,
        ebpf: &mut Ebpf,
        cgroups: &[Cgroup],
        policy: &Policy,
    ) -> Result<(), KernelError> {
        if policy
            .servers
            .iter()
            .all(|server| server.action == Action::Drop)
        {
            self.posts.clear();
            self.fresh.clear();
            return self.set_listening(HashSet::new());
        }
        let scope = Scope::of(cgroups);
        let mut listening = HashSet::new();
        let mut wanted = HashSet::new();
        let mut result = Ok(());
        netns::in_each(|netns| {
            if result.is_err() {
                return;
            }
            let here = match self.listeners(netns, &scope, policy) {
                Ok(here) => here,
                Err(error) => return result = Err(error),
            };
            if here.is_empty() {
                return;
            }
            listening.extend(here);
            wanted.insert(netns.id);
            if !self.posts.contains_key(&netns.id) {
                result = self.add(ebpf, netns);
            }
        });
        result?;
        self.posts.retain(|id, _| wanted.contains(id));
        self.set_listening(listening)
    }

    /// Whether sockets are in force anywhere.
    pub(super) fn is_in_force(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Sockets that have come since the last call.
    pub(super) fn take_fresh(&mut self) -> Vec<Target> {
        std::mem::take(&mut self.fresh)
    }

    /// Where servers listen in the current namespace, `netns`, that are to be diverted from.
    fn listeners(
        &self,
        netns: &NetNs,
        scope: &Scope,
        policy: &Policy,
    ) -> Result<Vec<Listening>, KernelError> {
        let own = self.posts.get(&netns.id).map(|post| post.cookie);
        let sockets = sock_diag::listeners().context("list", "listening sockets")?;
        let diverted = |socket: &&TcpSocket| {
            own != Some(socket.cookie) && scope.contains(socket) && is_diverted(socket, policy)
        };
        Ok(sockets.iter().filter(diverted).map(listening).collect())
    }

    /// Puts a socket in force in the current namespace, `netns`.
    fn add(&mut self, ebpf: &mut Ebpf, netns: &NetNs) -> Result<(), KernelError> {
        const OPERATION: &str = "divert to";
        const OBJECT: &str = "a socket of limiter";
        if self.wait.is_none() {
            self.wait = Some(attach_wait(ebpf, &cgroup::own()?)?);
        }
        let (listener, cookie) = target::listen().context("open", OBJECT)?;
        self.waiters
            .insert(&listener, Raw(Waiter::default()), 0)
            .context("write map", MAP_WAITERS)?;
        program::<SkReuseport>(ebpf, PROGRAM_REFUSE)?
            .attach(&listener)
            .context("attach program", PROGRAM_REFUSE)?;

        let mut divert = load_divert()?;
        let mut target: SockMap<MapData> = take(&mut divert, MAP_TARGET)?;
        let mut next: ProgramArray<MapData> = take(&mut divert, MAP_NEXT)?;
        target.set(0, &listener, 0).context(OPERATION, OBJECT)?;
        next.set(0, &lookup(ebpf)?, 0)
            .context("write map", MAP_NEXT)?;
        let program = program::<SkLookup>(&mut divert, PROGRAM_DIVERT)?;
        let link = program
            .attach(netns)
            .and_then(|link| program.take_link(link))
            .context("attach to a network namespace", PROGRAM_DIVERT)?;

        let (end, ends) = oneshot::channel();
        self.posts.insert(
            netns.id,
            Post {
                _divert: link,
                _next: next,
                _target: target,
                cookie,
                _end: end,
            },
        );
        self.fresh.push(Target {
            listener,
            end: ends,
        });
        Ok(())
    }

    fn set_listening(&mut self, listening: HashSet<Listening>) -> Result<(), KernelError> {
        for gone in self.known.difference(&listening) {
            self.listening
                .remove(&Raw(*gone))
                .context("write map", MAP_LISTENING)?;
        }
        for new in listening.difference(&self.known) {
            self.listening
                .insert(Raw(*new), 1, 0)
                .context("write map", MAP_LISTENING)?;
        }
        self.known = listening;
        Ok(())
    }
}

/// The program that decides.
fn lookup(ebpf: &mut Ebpf) -> Result<ProgramFd, KernelError> {
    program::<SkLookup>(ebpf, PROGRAM_LOOKUP)?
        .fd()
        .context("find program", PROGRAM_LOOKUP)?
        .try_clone()
        .context("find program", PROGRAM_LOOKUP)
}

/// Whether connections to this listener, or to one of the addresses that it stands for, belong to a
/// server that does not drop.
fn is_diverted(listener: &TcpSocket, policy: &Policy) -> bool {
    let (ip, port) = (listener.local.ip(), listener.local.port());
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

fn listening(listener: &TcpSocket) -> Listening {
    let ip = listener.local.ip();
    Listening {
        addr: if ip.is_unspecified() && ip.is_ipv6() {
            Addr::UNSPECIFIED
        } else {
            ip.into()
        },
        port: listener.local.port(),
        padding: 0,
    }
}
