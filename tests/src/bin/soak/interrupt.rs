//! Whoever interrupts a soak gets a report, and nothing is left over.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    INTERRUPTED.store(true, Relaxed);
}

/// From now on SIGINT and SIGTERM are only noted.
///
/// # Errors
/// As the kernel says.
pub fn listen() -> nix::Result<()> {
    let handler = SigHandler::Handler(note);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler does nothing but store a word.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Whether there was one.
pub fn is_noted() -> bool {
    INTERRUPTED.load(Relaxed)
}
