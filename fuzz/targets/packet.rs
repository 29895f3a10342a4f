//! Frames and packets: what is found in them lies within them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use limiter_common::packet::{
    Headers, Packet, Plain, Segment, find_in_frame, parse_ipv6_addresses, read_segment,
    reset::{reset_v4, reset_v6},
};

struct Bytes<'a>(&'a [u8]);

impl Packet for Bytes<'_> {
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: as many bytes as `T` has, for which every bit pattern is a value.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes(data);
    let mut segment = Segment::default();
    if read_segment(&bytes, &mut segment).is_ok() {
        assert!(data.len() >= 40, "{segment:?}");
    }
    // What is in no frame has no place to put an answer.
    if let Ok(headers) = find_in_frame(&bytes) {
        in_frame(&headers, &bytes);
    }
    let _ = parse_ipv6_addresses(&bytes);
});

fn in_frame(headers: &Headers, bytes: &Bytes<'_>) {
    assert!(headers.network < headers.transport);
    let handshake = headers.handshake(bytes);
    let Some(segment) = headers.segment(bytes) else {
        return;
    };
    assert!(headers.transport + 20 <= bytes.0.len());
    assert_eq!(Some(segment.handshake), handshake);
    if let Some(length) = headers.sequence_length(bytes) {
        reset_v4(&segment, length);
        reset_v6(&segment, length);
    }
}
