//! FNV-1a, 64 bits (Fowler, Noll, Vo): the same number for the same bytes in every build, which
//! the hashes of the standard library do not promise. For names and fingerprints; nobody is kept from
//! finding two texts with the same number.

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The hash of these bytes.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test vectors of the authors (draft-eastlake-fnv, appendix).
    #[test]
    fn the_numbers_are_those_of_the_authors() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
