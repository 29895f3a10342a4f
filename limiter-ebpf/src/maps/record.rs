//! What the next daemon has to know. No program uses it: it is here to live as long as the maps do.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use limiter_common::names::RECORD_BYTES;

#[btf_map]
static RECORD: Array<[u8; RECORD_BYTES], 1> = Array::new();
