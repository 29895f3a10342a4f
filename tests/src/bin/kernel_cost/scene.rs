//! Where it is measured: a network namespace and a cgroup of our own, with the limiter attached.

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use anyhow::{Context, Result};
use limiter::{
    kernel::Kernel,
    policy::{
        Action, Attach, ErrorLog, Grant, Interface, Key, LimitConn, Listen, ListenAddr, LogLevel,
        Metrics, OnFull, Policy, Prefixes, Server, XdpMode, Zone,
    },
};
use limiter_common::{counters::ZoneCounters, key::KeyFields};
use tests::{
    cgroup::{Cgroup, Inside},
    netns::NetNs,
    serve::listen,
    tun::Tun,
};
use tokio::runtime::Runtime;

use super::{
    bpf::{CGROUP_SKB_INGRESS, EmptyProgram, SOCK_OPS},
    runs::{Programs, Reading},
};

/// Address of the server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Clients are the rest of this prefix.
const PREFIX: u8 = 8;
/// A port that is limited, far beyond what is opened here.
pub const LIMITED_PORT: u16 = 8_001;
/// Of the same server; here connections come and go.
pub const BUSY_PORT: u16 = 8_002;
/// A port of another server that counts in the same zone, with a limit of 1: every key that holds a
/// connection elsewhere is refused here.
pub const FULL_PORT: u16 = 8_003;
/// The same, and refusals are answered with a RST.
pub const ANSWERED_PORT: u16 = 8_004;
/// The interface of the policy. Nothing is sent on it: what the program there costs is measured
/// with frames that claim to come from it.
const INTERFACE: &str = "lo";
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
    // Before the cgroup: only who has left can remove it.
    _inside: Inside,
    _cgroup: Cgroup,
    netns: NetNs,
}

impl Scene {
    /// Moves this process into a namespace and a cgroup of its own and starts the limiter.
    pub fn set() -> Result<Self> {
        let netns = NetNs::new();
        for (name, value) in [
            ("net/core/somaxconn", "1000000"),
            ("net/ipv4/tcp_max_syn_backlog", "1000000"),
            ("net/ipv4/tcp_syncookies", "0"),
        ] {
            netns.sysctl(name, value);
        }
        netns.enter();
        let cgroup = Cgroup::new();
        let inside = cgroup.enter();
        let mut kernel = Kernel::start(&policy(cgroup.path()), None)?.kernel;
        let programs = Programs::find()?;
        let directory = File::open(cgroup.path()).context("open the cgroup")?;
        let empty_skb = EmptyProgram::attach(CGROUP_SKB_INGRESS, &directory)?;
        let empty_ops = EmptyProgram::attach(SOCK_OPS, &directory)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start a runtime")?;
        let mut stream = {
            let _entered = runtime.enter();
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
            _inside: inside,
            _cgroup: cgroup,
            netns,
        })
    }

    /// Where the servers are.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The way to the forged clients; to be called once.
    pub fn tun(&self) -> Tun {
        // No packets but ours. A kernel without IPv6 has no such switch.
        if Path::new("/proc/sys/net/ipv6").exists() {
            self.netns.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
        }
        Tun::new(&self.netns, SERVER, PREFIX)
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
    let server = |name: &str, ports: &[u16], number, action| Server {
        name: name.to_owned(),
        listen: ports
            .iter()
            .map(|&port| Listen {
                addr: ListenAddr::Any,
                first_port: port,
                last_port: port,
            })
            .collect(),
        limits: vec![LimitConn {
            zone: 0,
            number,
            overrides: Vec::new(),
        }],
        exempt: Vec::new(),
        dry_run: false,
        log_level: LogLevel::Error,
        action,
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
            prefixes: Prefixes::WHOLE,
            on_full: OnFull::Reject,
        }],
        servers: vec![
            server("wide", &[LIMITED_PORT, BUSY_PORT], u16::MAX, Action::Drop),
            server("narrow", &[FULL_PORT], 1, Action::Drop),
            server("answering", &[ANSWERED_PORT], 1, Action::Reset),
        ],
        upstreams: Vec::new(),
        attach: vec![
            Attach::Cgroup(cgroup.to_owned()),
            Attach::Interface(Interface {
                name: INTERFACE.to_owned(),
                // An answer leaves the interface in this mode, whatever the driver.
                mode: XdpMode::Generic,
            }),
        ],
        error_log: ErrorLog::default(),
        control: None,
        grant: Grant::default(),
        metrics: Metrics::default(),
    }
}

/// A listening socket, whose connections need no descriptors as long as nobody accepts them.
pub struct Listener {
    socket: TcpListener,
}

impl Listener {
    /// Listens on this port.
    pub fn open(port: u16) -> Result<Self> {
        // As many as somaxconn allows: connections wait here unaccepted.
        let socket = listen((Ipv4Addr::UNSPECIFIED, port).into(), i32::MAX, false)
            .with_context(|| format!("listen on port {port}"))?;
        Ok(Self { socket })
    }

    /// Accepts and closes what waits; returns how many there were.
    pub fn drain(&self) -> usize {
        std::iter::from_fn(|| self.socket.accept().ok()).count()
    }
}
