//! What end-to-end tests share: a small world of the test's own, and the means to look into it.
//!
//! ```text
//! World ─ NetNs    a network namespace without a way out
//!       ─ Cgroup   a directory below the cgroup2 root
//!       ─ dir      control socket, configuration, logs
//! Server    a process in that cgroup and namespace that listens     (src/bin/peer.rs serve)
//! Limiter   the real binary, attached to that cgroup
//! Machine   another Debian, with its own systemd, to install the package in
//! Prometheus a real one, that scrapes the limiter
//! Waiting   a refused connection that is accepted and closed later
//! Outgoing  a process in that cgroup and namespace that connects, in every way
//! client    connections from the test's own process, in that namespace
//! Tmux      a terminal, and what stands on its screen
//! Tun       segments that no well-behaved client sends
//! Tap       whole Ethernet frames, built by frame
//! Veth      clients on another host
//! syn_flood SYNs from a raw socket, as fast as it can
//! Hardware  what figures depend on
//! Cpu       one, to have threads run on
//! test_run  the limiter's program on bytes
//! User      somebody else than root
//! multipath further paths of MPTCP connections
//! sockdiag  what the kernel says is open
//! link      network devices, and the XDP programs on them
//! ```
//!
//! `src/bin/soak` has them all at once, for an hour.
//!
//! Everything is removed when its guard goes out of scope, also on panic. No test needs a figure
//! of the clock to pass: waits have an end ([`settle()`]), and it is far away.
//!
//! `cargo build --workspace && sudo --preserve-env cargo test -p tests` runs them. The binary that
//! is tested is the one that cargo built with the same profile; `LIMITER_BIN` names another.

pub mod bpf;
pub mod cgroup;
pub mod churn;
pub mod client;
pub mod cpu;
pub mod debian;
pub mod descriptors;
pub mod event_load;
pub mod figures;
pub mod foreign_xdp;
pub mod frame;
pub mod hardware;
pub mod http;
pub mod interface;
pub mod limiter;
pub mod link;
pub mod machine;
pub mod mib;
pub mod mounts;
pub mod multipath;
pub mod netns;
pub mod nginx;
pub mod outgoing;
pub mod package;
pub mod packet;
pub mod peer;
pub mod pinned;
pub mod port;
pub mod privilege;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod random;
pub mod routing;
pub mod serve;
pub mod settle;
pub mod sockdiag;
pub mod syn_flood;
pub mod tap;
pub mod test_run;
pub mod tmux;
pub mod tun;
mod tuntap;
pub mod usage;
pub mod user;
pub mod veth;
pub mod waiting;
pub mod world;
pub mod xdp;
pub mod zone_map;

pub use limiter::Limiter;
pub use machine::Machine;
pub use peer::Server;
pub use settle::settle;
pub use user::User;
pub use world::World;
