//! Has the kernel make frames and do with them as an XDP program says (BPF_PROG_TEST_RUN with
//! `BPF_F_TEST_XDP_LIVE_FRAMES`, Documentation/bpf/bpf_prog_run.rst): a sender that costs next to
//! nothing.

use std::io;

use super::{Context, Program, TestRun};
use crate::bpf::{self, Command};

/// include/uapi/linux/bpf.h
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;

impl Program {
    /// Makes so many frames that claim to come from this interface of the calling thread's
    /// namespace. The program finds in each what it has left in another before.
    ///
    /// # Errors
    /// As the kernel says: `EINVAL` before Linux 5.18.
    pub fn make_frames(&self, frame: &[u8], interface: u32, count: u32) -> io::Result<()> {
        let context = Context {
            data_end: bpf::count(frame.len()),
            interface,
            ..Context::default()
        };
        let mut attributes = TestRun {
            program: bpf::number(self),
            size_in: bpf::count(frame.len()),
            data_in: frame.as_ptr() as u64,
            repeat: count,
            context_size_in: bpf::count(size_of::<Context>()),
            context_in: std::ptr::from_ref(&context) as u64,
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            ..TestRun::default()
        };
        // SAFETY: the buffers live and have the lengths that are passed.
        unsafe { bpf::call(Command::TestRun, &mut attributes) }.map(drop)
    }
}
