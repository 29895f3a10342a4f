//! How large the map of a zone is. The daemon makes it of this size, and `check` tells it
//! beforehand.

use limiter_common::{
    entry::{ZoneEntry, ZoneState},
    key::ZoneKeyWords,
};

/// How many elements the map of a zone has, and what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSize {
    capacity: u64,
    room: u64,
    idle: u64,
    max_entries: u32,
}

impl MapSize {
    /// An LRU map evicts as soon as it cannot fill a CPU's list of free elements, although other
    /// CPUs' lists may still have some (kernel/bpf/bpf_lru_list.c, LOCAL_FREE_TARGET). With this
    /// many more elements than keys it never has to.
    const FREE_PER_CPU: u64 = 128;
    /// New keys for which there is room while keys are taken over.
    const MORE_KEYS: u64 = 1_024;

    /// Of a zone with room for so many live keys, on a machine that may have so many CPUs.
    pub fn of(capacity: u64, cpus: u64) -> Self {
        let idle = (capacity / 32).max(64);
        let free = Self::FREE_PER_CPU * (cpus + 1);
        Self {
            capacity,
            room: capacity,
            idle,
            max_entries: u32::try_from(capacity + idle + free).unwrap_or(u32::MAX),
        }
    }

    /// Of a zone that takes over so many live keys, however small it is itself, and those that
    /// come while it does.
    #[must_use]
    pub fn with_room_for(self, keys: u64) -> Self {
        let room = self.room.max(keys + keys / 8 + Self::MORE_KEYS);
        let more = u32::try_from(room - self.room).unwrap_or(u32::MAX);
        Self {
            room,
            max_entries: self.max_entries.saturating_add(more),
            ..self
        }
    }

    /// Elements.
    pub fn max_entries(self) -> u32 {
        self.max_entries
    }

    /// What the programs have to know of it.
    pub fn state(self) -> ZoneState {
        ZoneState {
            capacity: self.capacity,
            room: self.room,
            idle: self.idle,
            ..ZoneState::default()
        }
    }

    /// Bytes that the kernel charges for the map (kernel/bpf/hashtab.c, htab_map_mem_usage; there
    /// since Linux 6.4, and what it really took before), less a few hundred for its head.
    pub fn memory_bytes(self) -> u64 {
        let element = ELEMENT_HEAD_BYTES
            + round_up(size_of::<ZoneKeyWords>())
            + round_up(size_of::<ZoneEntry>());
        let entries = u64::from(self.max_entries);
        entries.next_power_of_two() * BUCKET_BYTES + entries * element
    }
}

/// `struct bucket`: the head of a list and a lock.
const BUCKET_BYTES: u64 = 16;
/// `struct htab_elem` without key and value: links, the node of the LRU list, the hash.
const ELEMENT_HEAD_BYTES: u64 = 48;

/// Keys and values begin at multiples of eight bytes.
fn round_up(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_a_kernel_charged() {
        // Linux 6.18 with two CPUs: memlock of the maps of zones of 32k, 1m, 10m and 33m.
        for (capacity, charged) in [
            (512, 132_480_u64),
            (16_384, 2_598_784),
            (163_840, 24_516_480),
            (540_672, 83_732_352),
        ] {
            let computed = MapSize::of(capacity, 2).memory_bytes();
            assert!(
                charged.abs_diff(computed) * 100 < charged,
                "{computed} for {charged}"
            );
        }
    }

    #[test]
    fn a_key_takes_160_bytes_at_the_most() {
        // Buckets come in powers of two: just above one there are two for each key.
        for power in 14..26 {
            for capacity in [1 << power, (1 << power) * 31 / 32, (1 << power) * 3 / 2] {
                let bytes = MapSize::of(capacity, 2).memory_bytes();
                assert!(bytes <= 160 * capacity, "{bytes} for {capacity}");
            }
        }
    }
}
