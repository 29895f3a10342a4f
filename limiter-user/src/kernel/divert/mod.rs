//! Where refused attempts are brought to: a socket of ours in every network namespace in which a
//! server listens that answers with a RST, or accepts and closes.
//!
//! `limiter_lookup` decides what is brought there, `limiter_refuse` answers it with a RST or lets
//! it be accepted, `limiter_wait` counts what has been accepted. The connections are the daemon's
//! to close ([`Target`]).
//!
//! | room | holds |
//! |---|---|
//! | [`Diversion`] | the posts, one a network namespace |
//! | `post` | what is in force in one of them |
//! | `listening` | where servers listen, and what the programs know of it |
//! | `target` | the socket itself |
//! | `places` | which connections hold a place among those that wait |

mod listening;
mod places;
mod post;
mod target;

use std::collections::{HashMap, HashSet};

use aya::Ebpf;
use limiter_common::names::{
    MAP_LISTENING, MAP_WAITERS, PROGRAM_DIVERT, PROGRAM_LOOKUP, PROGRAM_REFUSE, PROGRAM_WAIT,
};

use self::{
    listening::{ListeningMap, Table},
    post::Post,
};
pub use self::{places::Places, target::Target};
use super::{
    attachment::{Attachment, Place},
    cgroup::{self, Cgroup, Cgroups, attach},
    error::{Context, KernelError},
    link::Link,
    netns::{self, NetNs, NetNsId},
    object::load_divert,
    pins::Pins,
    policy::take,
    run_time::Runs,
    scope::Scope,
    sock_diag,
};
use crate::policy::{Action, Policy};

/// The sockets, and what the programs know of them.
pub(super) struct Diversion {
    listening: ListeningMap,
    places: Places,
    posts: HashMap<NetNsId, Post>,
    /// Sockets of `posts` that nobody serves yet.
    fresh: Vec<Target>,
    /// `limiter_wait` at our own cgroup, from the first post on. It stays when there are none any
    /// more: places are given back as connections close, which may be later.
    wait: Option<(Cgroup, Link)>,
    /// `limiter_divert` for the next post.
    spare: Option<Ebpf>,
    /// What went wrong in a namespace the last time. It is said once.
    failed: HashMap<NetNsId, String>,
    /// Of posts that are gone.
    past: Runs,
}

impl Diversion {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            listening: ListeningMap::new(take(ebpf, MAP_LISTENING)?)?,
            places: Places::new(take(ebpf, MAP_WAITERS)?),
            posts: HashMap::new(),
            fresh: Vec::new(),
            wait: None,
            spare: None,
            failed: HashMap::new(),
            past: Runs::default(),
        })
    }

    /// Looks where servers of the policy listen that do not drop, and has a socket exactly there.
    ///
    /// # Errors
    ///
    /// If it is possible nowhere. What fails in one namespace only, where somebody else may be
    /// master, is logged; refused attempts are dropped there.
    pub(super) fn refresh(
        &mut self,
        ebpf: &mut Ebpf,
        pins: Option<&Pins>,
        cgroups: &Cgroups,
        policy: &Policy,
    ) -> Result<(), KernelError> {
        let mut wanted = HashSet::new();
        if policy
            .servers
            .iter()
            .any(|server| server.action != Action::Drop)
        {
            self.prepare(ebpf, pins)?;
            let scope = cgroups.scope();
            netns::in_each(|netns| {
                let id = netns.id;
                match self.refresh_in(netns, ebpf, &scope, policy) {
                    Ok(true) => {
                        wanted.insert(id);
                        self.failed.remove(&id);
                    }
                    Ok(false) => {
                        self.failed.remove(&id);
                    }
                    Err(error) => {
                        // What is in force there stays.
                        wanted.insert(id);
                        self.fail(id, &error);
                    }
                }
            });
        }
        let gone: Vec<_> = self
            .posts
            .extract_if(|id, _| !wanted.contains(id))
            .collect();
        for (_, post) in gone {
            self.end(post)?;
        }
        self.failed.retain(|id, _| wanted.contains(id));
        Ok(())
    }

    fn end(&mut self, post: Post) -> Result<(), KernelError> {
        // What is only told must not keep it from ending.
        self.past = self.past.plus(post.runs().unwrap_or_default());
        post.end(&mut self.listening)
    }

    /// What was measured of `limiter_divert`, in all namespaces together.
    pub(super) fn runs(&self) -> Result<Runs, KernelError> {
        let mut posts = self.posts.values();
        posts.try_fold(self.past, |sum, post| Ok(sum.plus(post.runs()?)))
    }

    /// What is attached where.
    pub(super) fn attachments(&self) -> impl Iterator<Item = Attachment> {
        let namespaces = self.posts.keys().map(|&(_, inode)| {
            let programs = [PROGRAM_DIVERT, PROGRAM_LOOKUP, PROGRAM_REFUSE];
            Attachment::plain(Place::NetNs(inode), &programs)
        });
        let own = self.wait.iter().map(|(cgroup, _)| {
            Attachment::plain(Place::Cgroup(cgroup.path.clone()), &[PROGRAM_WAIT])
        });
        namespaces.chain(own)
    }

    /// Sockets that have come since the last call.
    pub(super) fn take_fresh(&mut self) -> Vec<Target> {
        std::mem::take(&mut self.fresh)
    }

    /// Does what is the same for all namespaces: if that fails, it is in vain everywhere.
    fn prepare(&mut self, ebpf: &mut Ebpf, pins: Option<&Pins>) -> Result<(), KernelError> {
        if self.wait.is_none() {
            self.spare = Some(load_divert()?);
            let cgroup = cgroup::own()?;
            let link = attach(ebpf, PROGRAM_WAIT, &cgroup, pins)?;
            self.wait = Some((cgroup, link));
        }
        Ok(())
    }

    /// Whether a socket is to be in the current namespace, `netns`. It is, then.
    fn refresh_in(
        &mut self,
        netns: &NetNs,
        ebpf: &mut Ebpf,
        scope: &Scope,
        policy: &Policy,
    ) -> Result<bool, KernelError> {
        let sockets = sock_diag::listeners().context("list", "listening sockets")?;
        // One that nobody serves any more is none.
        if let Some(post) = self.posts.remove(&netns.id) {
            if post.is_served() {
                self.posts.insert(netns.id, post);
            } else {
                self.end(post)?;
            }
        }
        let own = self.posts.get(&netns.id).map(Post::cookie);
        let others = sockets.iter().filter(|socket| own != Some(socket.cookie));
        let table = Table::of(others, scope, policy);
        if table.is_empty() {
            return Ok(false);
        }
        if let Some(post) = self.posts.get_mut(&netns.id) {
            post.listen(&mut self.listening, table)?;
            return Ok(true);
        }
        let divert = match self.spare.take() {
            Some(spare) => spare,
            None => load_divert()?,
        };
        // A server that starts later must find its port free.
        let is_taken =
            |port| names_port(policy, port) || self.posts.values().any(|post| post.port() == port);
        let socket = target::listen(is_taken).context("open", "a socket of limiter")?;
        let (mut post, target) = Post::new(socket, ebpf, &self.places)?;
        // Before an attempt is brought there.
        let listening = post.listen(&mut self.listening, table);
        let attached = listening.and_then(|()| post.attach(netns, divert, ebpf, &target));
        if let Err(error) = attached {
            post.end(&mut self.listening)?;
            return Err(error);
        }
        self.posts.insert(netns.id, post);
        self.fresh.push(target);
        Ok(true)
    }

    fn fail(&mut self, id: NetNsId, error: &KernelError) {
        let text = error.to_string();
        if self.failed.get(&id) == Some(&text) {
            return;
        }
        tracing::error!(
            "network namespace {}: {text}; refused attempts are dropped",
            id.1
        );
        self.failed.insert(id, text);
    }
}

/// Whether a `listen` names this very port.
fn names_port(policy: &Policy, port: u16) -> bool {
    let mut listens = policy.servers.iter().flat_map(|server| &server.listen);
    listens.any(|listen| (listen.first_port, listen.last_port) == (port, port))
}
