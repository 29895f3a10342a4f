//! What is read from the kernel while it enforces: counts, keys, open connections, events.

use limiter_common::counters::{EventCounters, PacketCounters, ZoneCounters};

use super::{
    EventStream, HolderReader, Indices, Kernel, KernelError, KeyReader, UntoldReader,
    UpstreamReadings, events,
};

/// Counts of one zone as the kernel has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZoneReading {
    /// Sum over all CPUs.
    pub counters: ZoneCounters,
    /// Keys with at least one connection.
    pub keys: u64,
    /// Memory that the kernel charges for the zone's map, bytes.
    pub memory_bytes: u64,
}

impl Kernel {
    /// Reads the counts of the zone at this position of the policy in force.
    ///
    /// # Errors
    ///
    /// If a map cannot be read.
    pub fn read_zone(&self, position: usize) -> Result<ZoneReading, KernelError> {
        self.zones.read(self.indices.zones[position])
    }

    /// The keys of the zone at this position of the policy in force. Reading them takes longer than
    /// anything else here, and does not need the kernel's side.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn keys(&self, position: usize) -> Result<KeyReader, KernelError> {
        self.zones.keys(self.indices.zones[position])
    }

    /// Refusals of those keys that their entries do not know of yet; likewise.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn untold(&self, position: usize) -> Result<UntoldReader, KernelError> {
        self.zones.untold(self.indices.zones[position])
    }

    /// The open connections that hold slots. Reading them takes long, and does not need the kernel's
    /// side.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn holders(&self) -> Result<HolderReader, KernelError> {
        HolderReader::new(&self.ebpf, &self.compiled, &self.indices)
    }

    /// What is counted of the upstreams of the policy in force.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_upstreams(&self) -> Result<UpstreamReadings, KernelError> {
        self.upstreams.read(&self.indices.upstreams)
    }

    /// Slots of the zones of these indices that were taken, and that were given back, ever.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn slots(&self, indices: &Indices) -> Result<Vec<(u64, u64)>, KernelError> {
        let zones = indices.zones.iter();
        let counters = zones.map(|index| self.zones.read_counters(*index));
        counters
            .map(|counters| counters.map(|it| (it.opened, it.closed)))
            .collect()
    }

    /// Reads the counters of the event path, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_event_counters(&self) -> Result<EventCounters, KernelError> {
        events::read_counters(&self.ebpf)
    }

    /// Reads the counters of packets that were not understood, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// If the map cannot be read.
    pub fn read_packet_counters(&self) -> Result<PacketCounters, KernelError> {
        events::read_packet_counters(&self.ebpf)
    }

    /// The stream of events; can be taken once.
    ///
    /// # Errors
    ///
    /// If it was taken before.
    pub fn take_events(&mut self) -> Result<EventStream, KernelError> {
        EventStream::take(&mut self.ebpf)
    }

    /// Serves the programs' other streams (excess connections, debug output) until dropped.
    /// To be spawned on the runtime once.
    ///
    /// # Errors
    ///
    /// If they were taken before.
    pub fn take_housekeeping(
        &mut self,
    ) -> Result<impl Future<Output = ()> + Send + 'static, KernelError> {
        events::housekeeping(&mut self.ebpf)
    }
}
