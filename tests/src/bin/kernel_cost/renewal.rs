//! A few instructions in front of a program, so that each of many runs on one frame is an attempt
//! of its own.
//!
//! PROG_TEST_RUN runs a program on the same bytes over and over, and what one run has changed the
//! next one finds (net/bpf/test_run.c, bpf_test_run_xdp). So the instructions make the frame a new
//! attempt, and go on in the measured program by a tail call. The same in front of an empty program
//! shows what they cost themselves.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use tests::{
    bpf, syn_flood,
    test_run::Program,
    xdp::{self, Verdict},
};

use super::frames::BARE_SYN_BYTES;

/// As offsets in instructions.
const SEQUENCE: u64 = syn_flood::SEQUENCE as u64;
const ACKNOWLEDGEMENT: u64 = syn_flood::ACKNOWLEDGEMENT as u64;

/// What makes the frame a new attempt. The frame is in r2, and r1 and r3 stay as they are.
pub struct Renewal(Vec<u64>);

impl Renewal {
    /// Gives the SYN in the frame another sequence number. Tags and IP options it has none.
    pub fn of_sequence() -> Self {
        Self(vec![
            0x2561 | SEQUENCE << 16, // r5 = *(u32 *)(r2 + SEQUENCE)
            0x0507 | 1 << 32,        // r5 += 1, in whatever order of bytes
            0x5263 | SEQUENCE << 16, // *(u32 *)(r2 + SEQUENCE) = r5
        ])
    }

    /// Puts this SYN back in place of the answer that the frame has become, with the sequence
    /// number that the answer acknowledges: it is the next one (RFC 9293 §3.10.7.1).
    ///
    /// # Errors
    /// If it has options: it would be longer than the answer.
    pub fn of_all(syn: &[u8]) -> Result<Self> {
        ensure!(syn.len() == BARE_SYN_BYTES, "a SYN of {} bytes", syn.len());
        let mut change = vec![0x2561 | ACKNOWLEDGEMENT << 16]; // r5 = *(u32 *)(r2 + ACKNOWLEDGEMENT)
        // All but the ethertype, in words that no field straddles: reading across two fresh words
        // would wait until both are written.
        for offset in (0..12).step_by(4).chain((14..BARE_SYN_BYTES).step_by(4)) {
            let word: [u8; 4] = syn[offset..offset + 4].try_into().context("four bytes")?;
            let (offset, word) = (offset as u64, u64::from(u32::from_ne_bytes(word)));
            change.push(0x0262 | offset << 16 | word << 32); // *(u32 *)(r2 + offset) = word
        }
        change.push(0x5263 | SEQUENCE << 16); // *(u32 *)(r2 + SEQUENCE) = r5
        Ok(Self(change))
    }

    /// The program that does this and goes on in `next`, as long as the descriptor is open.
    pub fn before(&self, next: &Program) -> Result<(Program, OwnedFd)> {
        let array = bpf::program_array(next).context("make an array of programs")?;
        let after = [
            0x1218 | u64::from(bpf::number(&array)) << 32, // r2 = array
            0,
            0x03b7,          // r3 = 0, the index
            0x85 | 12 << 32, // bpf_tail_call(r1, r2, r3)
        ];
        let rest = (self.0.len() + after.len()) as u64;
        let first = [
            0x1261,                                 // r2 = *(u32 *)(r1 + 0): data
            0x0004_1361,                            // r3 = *(u32 *)(r1 + 4): data_end
            0x24bf,                                 // r4 = r2
            0x0407 | (BARE_SYN_BYTES as u64) << 32, // r4 += BARE_SYN_BYTES
            0x342d | rest << 16,                    // if r4 > r3: pass
        ];
        let pass = xdp::always(Verdict::Pass);
        let program = xdp::load(
            "bench_renew",
            &[&first, &self.0[..], &after, &pass].concat(),
        );
        Ok((program, array))
    }
}
