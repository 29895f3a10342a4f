//! Debug output, off unless `error_log` asks for it.
//!
//! Whether it is on is a constant for the verifier: when it is off, not even the calls are left in
//! the programs. Each line is written by a global function, see [`crate::charge`], so that its
//! buffers are on no other stack.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::{
    debug,
    macro_support::{Level, level_enabled},
};
use limiter_common::key::Connection;

/// A connection was established.
#[inline(always)]
pub fn established(connection: &Connection, server: u16, connections: u32) {
    if level_enabled(Level::Debug) {
        limiter_debug_established(connection, server.into(), connections);
    }
}

/// A counted connection was closed.
#[inline(always)]
pub fn closed(connection: &Connection) {
    if level_enabled(Level::Debug) {
        limiter_debug_closed(connection);
    }
}

/// A packet was refused.
#[inline(always)]
pub fn refused(connection: &Connection, server: u16, connections: u32) {
    if level_enabled(Level::Debug) {
        limiter_debug_refused(connection, server.into(), connections);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_debug_established(
    connection: *const Connection,
    server: u32,
    connections: u32,
) -> u32 {
    // SAFETY: the verifier has checked that the pointer is to a connection or null.
    let Some(connection) = (unsafe { connection.as_ref() }) else {
        return 0;
    };
    debug!(
        NoContext,
        "server {}: established from {:i} port {}, connections {}",
        server,
        connection.remote.octets(),
        connection.remote_port,
        connections
    );
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_debug_closed(connection: *const Connection) -> u32 {
    // SAFETY: as above.
    let Some(connection) = (unsafe { connection.as_ref() }) else {
        return 0;
    };
    debug!(
        NoContext,
        "closed from {:i} port {}",
        connection.remote.octets(),
        connection.remote_port
    );
    1
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_debug_refused(
    connection: *const Connection,
    server: u32,
    connections: u32,
) -> u32 {
    // SAFETY: as above.
    let Some(connection) = (unsafe { connection.as_ref() }) else {
        return 0;
    };
    debug!(
        NoContext,
        "server {}: refused a packet from {:i} port {}, connections {}",
        server,
        connection.remote.octets(),
        connection.remote_port,
        connections
    );
    1
}

/// The macro takes a context, and does nothing with it.
struct NoContext;

impl EbpfContext for NoContext {
    fn as_ptr(&self) -> *mut core::ffi::c_void {
        core::ptr::null_mut()
    }
}
