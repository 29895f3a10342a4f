//! Where it is measured: a network namespace and a cgroup of our own, with the limiter attached.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, FromRawFd, IntoRawFd},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use limiter::{
    kernel::Kernel,
    policy::{
        Action, Attach, ErrorLog, Key, LimitConn, Listen, ListenAddr, LogLevel, Policy, Server,
        Zone,
    },
};
use limiter_common::{counters::ZoneCounters, key::KeyFields};
use nix::{
    sched::{CloneFlags, unshare},
    sys::socket::{
        self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, accept, bind, setsockopt,
        sockopt,
    },
};
use tokio::runtime::Runtime;

use super::{
    bpf::{CGROUP_SKB_INGRESS, EmptyProgram, SOCK_OPS, Stats},
    runs::{Programs, Reading},
    tun::Tun,
};

/// Address of the server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Clients are the rest of this prefix.
const MASK: Ipv4Addr = Ipv4Addr::new(255, 0, 0, 0);
/// A port that is limited, far beyond what is opened here.
pub const LIMITED_PORT: u16 = 8_001;
/// Of the same server; here connections come and go.
pub const BUSY_PORT: u16 = 8_002;
/// A port of another server that counts in the same zone, with a limit of 1: every key that holds a
/// connection elsewhere is refused here.
pub const FULL_PORT: u16 = 8_003;
/// 262 144 keys.
const ZONE_BYTES: u64 = 16 << 20;

/// Everything that has to be there, until dropped.
pub struct Scene {
    kernel: Kernel,
    programs: Programs,
    empty_skb: EmptyProgram,
    empty_ops: EmptyProgram,
    // Reads the event ring, as the daemon would.
    _runtime: Runtime,
    _stats: Stats,
    _cgroup: OwnCgroup,
}

impl Scene {
    /// Moves this process into a namespace and a cgroup of its own and starts the limiter.
    pub fn set() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
        for (name, value) in [
            ("ipv6/conf/all/disable_ipv6", "1"),
            ("core/somaxconn", "1000000"),
            ("ipv4/tcp_max_syn_backlog", "1000000"),
            ("ipv4/tcp_syncookies", "0"),
        ] {
            let path = Path::new("/proc/sys/net").join(name);
            // No such file: a kernel without IPv6.
            if path.exists() {
                fs::write(&path, value).with_context(|| format!("write {}", path.display()))?;
            }
        }
        let cgroup = OwnCgroup::enter()?;
        let (mut kernel, _) = Kernel::start(&policy(&cgroup.path))?;
        let programs = Programs::find()?;
        let directory = File::open(&cgroup.path).context("open the cgroup")?;
        let empty_skb = EmptyProgram::attach(CGROUP_SKB_INGRESS, &directory)?;
        let empty_ops = EmptyProgram::attach(SOCK_OPS, &directory)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start a runtime")?;
        let mut stream = {
            let _inside = runtime.enter();
            kernel.take_events()?
        };
        runtime.spawn(async move {
            let mut events = Vec::new();
            while stream.read(&mut events).await.is_ok() {
                events.clear();
            }
        });
        Ok(Self {
            kernel,
            programs,
            empty_skb,
            empty_ops,
            _runtime: runtime,
            _stats: Stats::enable()?,
            _cgroup: cgroup,
        })
    }

    /// The way to the clients; to be called once.
    pub fn tun(&self) -> Result<Tun> {
        Tun::open(SERVER, MASK)
    }

    /// The numbers of all programs.
    pub fn read(&self) -> Result<Reading> {
        self.programs.read(&self.empty_skb, &self.empty_ops)
    }

    /// Keys that hold connections.
    pub fn live_keys(&self) -> Result<u64> {
        Ok(self.kernel.read_zone(0)?.keys)
    }

    /// The verdicts so far.
    pub fn counters(&self) -> Result<ZoneCounters> {
        Ok(self.kernel.read_zone(0)?.counters)
    }
}

fn policy(cgroup: &Path) -> Policy {
    let server = |name: &str, ports: &[u16], number| Server {
        name: name.to_owned(),
        listen: ports
            .iter()
            .map(|&port| Listen {
                addr: ListenAddr::Any,
                first_port: port,
                last_port: port,
            })
            .collect(),
        limits: vec![LimitConn { zone: 0, number }],
        dry_run: false,
        log_level: LogLevel::Error,
        action: Action::Drop,
    };
    Policy {
        zones: vec![Zone {
            name: "addr".to_owned(),
            key: Key {
                text: "$binary_remote_addr".to_owned(),
                fields: KeyFields::REMOTE_ADDR,
                empty: false,
            },
            size_bytes: ZONE_BYTES,
        }],
        servers: vec![
            server("wide", &[LIMITED_PORT, BUSY_PORT], u16::MAX),
            server("narrow", &[FULL_PORT], 1),
        ],
        attach: vec![Attach::Cgroup(cgroup.to_owned())],
        error_log: ErrorLog::default(),
        control: None,
    }
}

/// A listening socket, whose connections need no descriptors as long as nobody accepts them.
pub struct Listener {
    socket: File,
}

impl Listener {
    /// Listens on this port.
    pub fn open(port: u16) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)
            .context("make a socket")?;
        setsockopt(&socket, sockopt::ReuseAddr, &true).context("set SO_REUSEADDR")?;
        let addr = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
        bind(socket.as_raw_fd(), &addr).with_context(|| format!("bind to port {port}"))?;
        // As many as somaxconn allows: connections wait here unaccepted.
        socket::listen(&socket, Backlog::MAXALLOWABLE)
            .with_context(|| format!("listen on port {port}"))?;
        Ok(Self {
            socket: socket.into(),
        })
    }

    /// Accepts and closes what waits; returns how many there were.
    pub fn drain(&self) -> usize {
        let mut drained = 0;
        while let Ok(fd) = accept(self.socket.as_raw_fd()) {
            // SAFETY: the descriptor is new and ours.
            drop(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd.into_raw_fd()) });
            drained += 1;
        }
        drained
    }
}

/// A cgroup for this process. Leaves and removes it when dropped.
struct OwnCgroup {
    path: PathBuf,
    before: PathBuf,
}

impl OwnCgroup {
    fn enter() -> Result<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").context("read mountinfo")?;
        // proc_pid_mountinfo(5)
        let root = mountinfo
            .lines()
            .filter(|line| line.contains(" - cgroup2 "))
            .find_map(|line| line.split(' ').nth(4))
            .context("find the cgroup2 hierarchy: it is not mounted")?;
        let own = fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
        let before = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .context("find our cgroup")?;
        let path = Path::new(root).join(format!("limiter-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("make cgroup {}", path.display()))?;
        let cgroup = Self {
            before: Path::new(root).join(before),
            path,
        };
        join(&cgroup.path)?;
        Ok(cgroup)
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        let left = join(&self.before)
            .and_then(|()| fs::remove_dir(&self.path).context("remove the cgroup"));
        if let Err(error) = left {
            eprintln!("{}: {error:#}", self.path.display());
        }
    }
}

fn join(cgroup: &Path) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");
    ensure!(procs.exists(), "{} is gone", cgroup.display());
    fs::write(&procs, "0").with_context(|| format!("write {}", procs.display()))
}
