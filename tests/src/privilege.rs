//! What a test needs of the machine.

/// Ends the test with one sentence if it does not run as root.
///
/// # Panics
/// Without root.
pub fn require_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the end-to-end tests need root: they make network namespaces and cgroups and load programs into the kernel; run them with sudo"
    );
}
