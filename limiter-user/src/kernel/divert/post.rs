//! What is in force in one network namespace.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    maps::{MapData, ProgramArray, SockMap},
    programs::{ProgramFd, SkLookup, SkReuseport, sk_lookup::SkLookupLink},
};
use limiter_common::names::{MAP_NEXT, MAP_TARGET, PROGRAM_DIVERT, PROGRAM_LOOKUP, PROGRAM_REFUSE};
use tokio::sync::oneshot;

use super::{
    listening::{Known, ListeningMap, Table},
    places::Places,
    target::{Listening, Target},
};
use crate::kernel::{
    error::{Context, KernelError},
    netns::NetNs,
    object::program,
    policy::take,
    run_time::Runs,
};

/// A socket that refused attempts are brought to. Dropped, nothing is brought there any more, and
/// whoever serves it ends.
pub(super) struct Post {
    /// Goes first: no packet is brought to a socket that is gone.
    diverter: Option<Diverter>,
    cookie: u64,
    known: Known,
    end: oneshot::Sender<()>,
}

/// `limiter_divert` of one namespace.
struct Diverter {
    program: ProgramFd,
    _link: SkLookupLink,
    /// The kernel empties the array when nobody has it open (kernel/bpf/arraymap.c,
    /// prog_array_map_clear).
    _next: ProgramArray<MapData>,
    _target: SockMap<MapData>,
}

impl Post {
    /// Makes a socket one that refuses. Nothing is brought there yet.
    pub(super) fn new(
        socket: Listening,
        ebpf: &mut Ebpf,
        places: &Places,
    ) -> Result<(Self, Target), KernelError> {
        let Listening {
            listener,
            cookie,
            port,
        } = socket;
        places.mark(&listener)?;
        program::<SkReuseport>(ebpf, PROGRAM_REFUSE)?
            .attach(&listener)
            .context("attach program", PROGRAM_REFUSE)?;
        let (end, ends) = oneshot::channel();
        let post = Self {
            diverter: None,
            cookie,
            known: Known::new(port),
            end,
        };
        let target = Target {
            listener,
            places: places.clone(),
            end: ends,
        };
        Ok((post, target))
    }

    /// Has refused attempts of the current namespace, `netns`, brought to the socket. `divert` is
    /// the object with the program, for this namespace alone.
    pub(super) fn attach(
        &mut self,
        netns: &NetNs,
        mut divert: Ebpf,
        ebpf: &mut Ebpf,
        to: &Target,
    ) -> Result<(), KernelError> {
        let mut target: SockMap<MapData> = take(&mut divert, MAP_TARGET)?;
        let mut next: ProgramArray<MapData> = take(&mut divert, MAP_NEXT)?;
        target
            .set(0, &to.listener, 0)
            .context("write map", MAP_TARGET)?;
        next.set(0, &lookup(ebpf)?, 0)
            .context("write map", MAP_NEXT)?;
        let program = program::<SkLookup>(&mut divert, PROGRAM_DIVERT)?;
        let descriptor = program.fd().and_then(|fd| Ok(fd.try_clone()?));
        let link = program
            .attach(netns)
            .and_then(|link| program.take_link(link))
            .context("attach to a network namespace", PROGRAM_DIVERT)?;
        self.diverter = Some(Diverter {
            program: descriptor.context("find program", PROGRAM_DIVERT)?,
            _link: link,
            _next: next,
            _target: target,
        });
        Ok(())
    }

    /// What was measured of `limiter_divert` here.
    pub(super) fn runs(&self) -> Result<Runs, KernelError> {
        let of = |diverter: &Diverter| Runs::of(diverter.program.as_fd(), PROGRAM_DIVERT);
        self.diverter.as_ref().map_or(Ok(Runs::default()), of)
    }

    /// Cookie of the socket.
    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Port of the socket.
    pub(super) fn port(&self) -> u16 {
        self.known.target_port()
    }

    /// Whether somebody serves the socket, or may yet begin to.
    pub(super) fn is_served(&self) -> bool {
        !self.end.is_closed()
    }

    /// Tells the programs where sockets listen in this namespace.
    pub(super) fn listen(
        &mut self,
        map: &mut ListeningMap,
        table: Table,
    ) -> Result<(), KernelError> {
        map.replace(&mut self.known, table)
    }

    /// Gives the socket up.
    pub(super) fn end(mut self, map: &mut ListeningMap) -> Result<(), KernelError> {
        self.diverter = None;
        map.replace(&mut self.known, Table::default())
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
