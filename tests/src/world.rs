//! What one test has for itself.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    cgroup::Cgroup, client, interface, limiter, netns::NetNs, peer::Server,
    privilege::require_root, sockdiag, waiting::Waiting,
};

/// A network namespace, a cgroup and a directory that no other test sees.
#[derive(Debug)]
pub struct World {
    /// Where all sockets of the test are.
    pub netns: NetNs,
    /// What the limiter is attached to; servers are started in it.
    pub cgroup: Cgroup,
    dir: TempDir,
}

/// A limiter that was killed leaves its programs, and what they count, in the kernel.
impl Drop for World {
    fn drop(&mut self) {
        for control in self.controls() {
            let output = limiter::cli(&control, &["detach"]);
            if output.code != Some(0) && !std::thread::panicking() {
                panic!("detach: {}", output.stderr);
            }
        }
    }
}

impl World {
    /// A new one.
    ///
    /// # Panics
    /// Without root, or if the machine cannot give it.
    pub fn new() -> Self {
        require_root();
        let netns = NetNs::new();
        // Long accept queues; a test that wants a short one asks for a short backlog.
        netns.sysctl("net/core/somaxconn", "16384");
        Self {
            netns,
            cgroup: Cgroup::new(),
            dir: tempfile::tempdir().expect("make a temporary directory"),
        }
    }

    /// Control sockets that a limiter has had in the test's directory: each leaves a lock beside it.
    fn controls(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter_map(|name| Some(self.path(name.strip_suffix(".lock")?)))
            .collect()
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the test's directory.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        path
    }

    /// Where the limiter's control socket goes.
    pub fn control(&self) -> PathBuf {
        self.path("c.sock")
    }

    /// The directives that attach a configuration to this world's cgroup, and to its interfaces if
    /// [that is wanted](interface).
    pub fn attach(&self) -> String {
        let mut text = format!("attach cgroup {};\n", quoted(self.cgroup.path()));
        for name in interface::wanted(&self.netns) {
            text += &format!("attach interface {name};\n");
        }
        text
    }

    /// A server on these addresses.
    pub fn serve(&self, listen: &[&str]) -> Server {
        Server::start(self, listen, &[])
    }

    /// One connection that must succeed.
    #[track_caller]
    pub fn open(&self, from: &str, to: SocketAddr) -> TcpStream {
        client::open(&self.netns, address(from), to)
    }

    /// Connections that must succeed.
    #[track_caller]
    pub fn open_many(&self, from: &str, to: SocketAddr, count: usize) -> Vec<TcpStream> {
        client::open_many(&self.netns, address(from), to, count)
    }

    /// One connection that must be refused.
    #[track_caller]
    pub fn must_be_refused(&self, from: &str, to: SocketAddr) {
        client::must_be_refused(&self.netns, address(from), to);
    }

    /// One connection that must be refused with a RST.
    #[track_caller]
    pub fn must_be_reset(&self, from: &str, to: SocketAddr) {
        client::must_be_reset(&self.netns, address(from), to);
    }

    /// One connection that is accepted, but not by the server, and that is to be closed.
    #[track_caller]
    pub fn must_wait(&self, from: &str, to: SocketAddr) -> Waiting {
        Waiting::connect(&self.netns, address(from), to)
            .unwrap_or_else(|e| panic!("connect from {from} to {to}, to be closed later: {e}"))
    }

    /// Connections to `port` that the kernel says are open, and that are not the servers': those
    /// that wait to be closed. How many there are, and how many of them the limiter holds.
    pub fn waiting_at(&self, port: u16) -> (usize, usize) {
        let ours = Some(self.cgroup.id());
        let mut waiting = sockdiag::connections(&self.netns, port);
        waiting.retain(|socket| socket.cgroup != ours);
        let held = waiting.iter().filter(|socket| socket.held).count();
        (waiting.len(), held)
    }

    /// Sockets of either side that have not come to their end: half-open handshakes too.
    pub fn unfinished_at(&self, port: u16) -> usize {
        sockdiag::unfinished(&self.netns, port)
    }

    /// Connections to `port` that the kernel says are open.
    pub fn open_at(&self, port: u16) -> u64 {
        sockdiag::count(&self.netns, port)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A path as it is written in a configuration.
pub fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// An address from its text.
///
/// # Panics
/// If it is none.
#[track_caller]
pub fn address(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|e| panic!("{text:?} as an address: {e}"))
}
