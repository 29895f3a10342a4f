//! Senders of SYNs, as fast as they can.

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use tests::{
    bpf,
    syn_flood::{ACKNOWLEDGEMENT, Attempts, RawSocket, SEQUENCE},
    test_run::Program,
    xdp::{self, Verdict},
};

use super::frames::BARE_SYN_BYTES;

/// Sends from a device of the calling thread's namespace. The other end of the cable has dealt with
/// the frames when they are sent: veth receives on the CPU that sends, at once.
pub trait Sender: Send {
    /// Sends for a millisecond or two, so that most bursts end before somebody else wants the CPU.
    /// Returns how many SYNs it has sent.
    fn burst(&mut self) -> Result<u32>;
}

impl Sender for RawSocket {
    fn burst(&mut self) -> Result<u32> {
        self.burst().context("send frames")
    }
}

/// The kernel itself: it makes frames of its own pages and gives them to the device as XDP programs
/// do, without socket buffers and system calls.
pub struct KernelFrames {
    program: Program,
    interface: u32,
    syn: Vec<u8>,
}

impl KernelFrames {
    /// How many make a burst: making the first one takes a while.
    const BURST: u32 = 2_048;

    /// SYNs like this [renewable one](tests::syn_flood::renewable_syn).
    pub fn new(device: &str, syn: &[u8], attempts: Attempts) -> Result<Self> {
        let interface = if_nametoindex(device).with_context(|| format!("find {device}"))?;
        let program = match attempts {
            Attempts::Repeated => xdp::load("bench_send", &xdp::always(Verdict::Tx)),
            Attempts::New => Self::renewing()?,
        };
        Ok(Self {
            program,
            interface,
            syn: syn.to_vec(),
        })
    }

    /// What makes the frames; it has to stay attached somewhere, see [`super::cables`].
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// As [`tests::syn_flood::renew`], but for the port.
    fn renewing() -> Result<Program> {
        // The program keeps the map.
        let word = bpf::word().context("make a map")?;
        let first = [
            0x1261,                                       // r2 = *(u32 *)(r1 + 0): data
            0x0004_1361,                                  // r3 = *(u32 *)(r1 + 4): data_end
            0x24bf,                                       // r4 = r2
            0x0407 | (BARE_SYN_BYTES as u64) << 32,       // r4 += BARE_SYN_BYTES
            0x0008_342d,                                  // if r4 > r3: send it as it is
            0x2618 | u64::from(bpf::number(&word)) << 32, // r6 = &word
            0,
            0x6561,                                  // r5 = *(u32 *)(r6 + 0)
            0x0507 | 1 << 32,                        // r5 += 1
            0x5663,                                  // *(u32 *)(r6 + 0) = r5
            0x5263 | (SEQUENCE as u64) << 16,        // *(u32 *)(r2 + SEQUENCE) = r5
            0x05a7 | 0xffff_ffff << 32,              // r5 ^= -1
            0x5263 | (ACKNOWLEDGEMENT as u64) << 16, // *(u32 *)(r2 + ACKNOWLEDGEMENT) = r5
        ];
        let tx = xdp::always(Verdict::Tx);
        Ok(xdp::load("bench_send", &[&first[..], &tx].concat()))
    }
}

impl Sender for KernelFrames {
    fn burst(&mut self) -> Result<u32> {
        self.program
            .make_frames(&self.syn, self.interface, Self::BURST)
            .context("make frames in the kernel")?;
        Ok(Self::BURST)
    }
}
