//! Hashes for tables of our own, with a secret seed.

/// One term of the sum that is the hash of several words: none waits for another.
#[inline(always)]
pub const fn term(seed: u64, word: u64, position: u32) -> u64 {
    const FACTORS: [u64; 6] = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ];
    (word ^ seed.rotate_left(11 * position)).wrapping_mul(FACTORS[position as usize])
}

/// One multiplication a word, as in FxHash; [`finish`] spreads the result.
#[inline(always)]
pub const fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
#[inline(always)]
pub const fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
