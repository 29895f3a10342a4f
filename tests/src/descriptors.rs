//! Room for many sockets in the test's own process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Allows as many descriptors as the hard limit does.
///
/// # Panics
/// If the kernel does not allow that.
pub fn raise_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("read the limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("raise the limit");
}
