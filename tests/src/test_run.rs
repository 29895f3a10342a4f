//! Runs a loaded XDP program on bytes (BPF_PROG_TEST_RUN, net/bpf/test_run.c).

use std::{
    fs,
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{
    bpf::{self, Command},
    netns::NetNs,
    xdp::Verdict,
};

mod live_frames;

/// A program in the kernel. It stays there as long as this lives.
#[derive(Debug)]
pub struct Program {
    program: OwnedFd,
}

/// One run, or several of the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The frame from its Ethernet header on. The kernel takes 14 bytes to about 3 500.
    pub frame: &'a [u8],
    /// The interface that it claims to come from; without one, it is the loopback of the calling
    /// thread's namespace.
    pub ingress: Option<Ingress<'a>>,
    /// How often to run; what one run changes in the frame, the next one finds.
    pub repeat: u32,
}

/// Where a frame claims to come from.
#[derive(Clone, Copy, Debug)]
pub struct Ingress<'a> {
    /// Namespace of the interface.
    pub netns: &'a NetNs,
    /// Its index there.
    pub interface: u32,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was returned last.
    pub verdict: Verdict,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
    /// One run, the mean of all, nanoseconds.
    pub duration_ns: u32,
}

impl Program {
    /// Takes a loaded program.
    pub fn new(program: OwnedFd) -> Self {
        Self { program }
    }

    /// The XDP program of this name that a process holds. Other processes may have loaded others
    /// of the same name.
    ///
    /// # Panics
    /// If the process holds none, or several.
    #[track_caller]
    pub fn of(process: u32, name: &str) -> Self {
        let mut ids: Vec<u32> = descriptors(process)
            .filter(|info| field(info, "prog_type") == Some(PROGRAM_TYPE_XDP))
            .filter_map(|info| field(&info, "prog_id"))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut programs: Vec<_> = ids
            .into_iter()
            .map(|id| Self::by_id(id).unwrap_or_else(|e| panic!("open BPF program {id}: {e}")))
            .filter(|program| program.name() == name)
            .collect();
        match (programs.pop(), programs.is_empty()) {
            (Some(program), true) => program,
            (found, _) => panic!(
                "process {process} holds {} XDP programs of the name {name:?}",
                programs.len() + usize::from(found.is_some())
            ),
        }
    }

    /// The program of this number.
    ///
    /// # Errors
    /// If it is gone.
    pub fn by_id(id: u32) -> io::Result<Self> {
        // SAFETY: no pointers.
        let program = unsafe { bpf::open(Command::ProgramById, &mut { id }) }?;
        Ok(Self { program })
    }

    /// Its number in the kernel.
    pub fn id(&self) -> u32 {
        self.info().id
    }

    /// Its name, the first 15 bytes of it.
    pub fn name(&self) -> String {
        let name = self.info().name;
        let end = name.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&name[..end.unwrap_or(name.len())]).into_owned()
    }

    /// Runs it.
    ///
    /// # Errors
    /// As the kernel says: `EINVAL` for a frame that is too short, or an interface that there is
    /// not.
    pub fn run(&self, run: Run<'_>) -> io::Result<Outcome> {
        match run.ingress {
            // The index is looked up in the namespace of the thread that asks.
            Some(ingress) => ingress
                .netns
                .run(|| self.run_here(run, Some(ingress.interface))),
            None => self.run_here(run, None),
        }
    }

    /// Runs it once on a frame from this interface.
    ///
    /// # Panics
    /// If the kernel does not run it.
    #[track_caller]
    pub fn once(&self, frame: &[u8], ingress: Ingress<'_>) -> Outcome {
        let run = Run {
            frame,
            ingress: Some(ingress),
            repeat: 1,
        };
        self.run(run)
            .unwrap_or_else(|e| panic!("run {} on {} bytes: {e}", self.name(), frame.len()))
    }

    fn run_here(&self, run: Run<'_>, interface: Option<u32>) -> io::Result<Outcome> {
        let context = interface.map(|interface| Context {
            data_end: bpf::count(run.frame.len()),
            interface,
            ..Context::default()
        });
        let mut out = vec![0; LONGEST];
        let mut attributes = TestRun {
            program: bpf::number(self),
            size_in: bpf::count(run.frame.len()),
            size_out: bpf::count(out.len()),
            data_in: run.frame.as_ptr() as u64,
            data_out: out.as_mut_ptr() as u64,
            repeat: run.repeat,
            ..TestRun::default()
        };
        if let Some(context) = &context {
            attributes.context_size_in = bpf::count(size_of::<Context>());
            attributes.context_in = std::ptr::from_ref(context) as u64;
        }
        // SAFETY: the buffers live and have the lengths that are passed.
        unsafe { bpf::call(Command::TestRun, &mut attributes) }?;
        out.truncate(usize::try_from(attributes.size_out).expect("below the buffer's length"));
        Ok(Outcome {
            verdict: Verdict::new(attributes.verdict),
            frame: out,
            duration_ns: attributes.duration_ns,
        })
    }

    fn info(&self) -> Info {
        let mut info = Info::default();
        let mut attributes = InfoRequest {
            program: bpf::number(self),
            length: bpf::count(size_of::<Info>()),
            info: std::ptr::from_mut(&mut info) as u64,
        };
        // SAFETY: the structure lives and has the length that is passed; no array is asked for.
        unsafe { bpf::call(Command::Info, &mut attributes) }.expect("ask about a BPF program");
        info
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// Indices of the interfaces that a process has XDP programs attached to by links that it holds,
/// each in the namespace where it was attached.
pub fn interfaces_of(process: u32) -> Vec<u32> {
    descriptors(process)
        .filter(|info| field::<String>(info, "link_type").as_deref() == Some("xdp"))
        .filter_map(|info| field(&info, "ifindex"))
        .collect()
}

/// What the kernel says of each open descriptor of a process (proc_pid_fdinfo(5)).
/// What the kernel says of each descriptor of a process (proc_pid_fdinfo(5)).
pub(crate) fn descriptors(process: u32) -> impl Iterator<Item = String> {
    let directory = format!("/proc/{process}/fdinfo");
    fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("list {directory}: {e}"))
        .filter_map(move |entry| {
            let path = entry.expect("list descriptors").path();
            match fs::read_to_string(&path) {
                Ok(info) => Some(info),
                // Closed meanwhile.
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => panic!("read {}: {e}", path.display()),
            }
        })
}

/// One line of it.
pub(crate) fn field<T: std::str::FromStr>(info: &str, name: &str) -> Option<T> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.trim().parse().ok())
}

/// `BPF_PROG_TYPE_XDP`
const PROGRAM_TYPE_XDP: u32 = 6;
/// More than the kernel takes: a page, less what it keeps before and after the frame.
const LONGEST: usize = 4_096;

/// `struct xdp_md`
#[repr(C)]
#[derive(Default)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    interface: u32,
    queue: u32,
    egress_interface: u32,
}

/// The `test` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    verdict: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration_ns: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// The `info` member of `union bpf_attr`.
#[repr(C)]
struct InfoRequest {
    program: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    instructions: [u64; 2],
    load_time_ns: u64,
    user: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}
