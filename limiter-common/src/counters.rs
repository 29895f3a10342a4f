//! What has been done so far. All counters only grow; a reset is the daemon's subtraction, so that
//! no increment is ever lost to a writer in user space.

/// Counters of one zone on one CPU: the value of [`crate::names::MAP_ZONE_COUNTERS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCounters {
    /// Connections established within the limit.
    pub passed: u64,
    /// Attempts with an empty key or from an exempt source: not accounted.
    pub skipped: u64,
    /// Attempts refused because the key is at its limit.
    pub rejected: u64,
    /// Connections that would have been refused because the key was at its limit.
    pub rejected_dry_run: u64,
    /// Attempts refused because the zone has no room for another key.
    pub exhausted: u64,
    /// Connections that would have been refused because the zone had no room.
    pub exhausted_dry_run: u64,
    /// Repeated packets of attempts that had been refused already.
    pub syn_retransmits: u64,
    /// Slots whose entry was gone, or in another life, at release, or, in a zone that evicts, to the audit.
    pub evicted: u64,
    /// Slots taken. `opened` − `closed` summed over all CPUs is the number of connections.
    pub opened: u64,
    /// Slots given back.
    pub closed: u64,
    /// Connections that were established although a limit says no (a lost race), and were handed
    /// to the daemon for destruction.
    pub excess: u64,
    /// Connections that could not be tracked: no memory for the socket's token.
    pub untracked: u64,
    /// Slots by which the audit has corrected counts, and slots that it has made again in a zone that does not evict.
    pub drift: u64,
}

impl ZoneCounters {
    /// The counters of two CPUs together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            skipped: self.skipped + other.skipped,
            rejected: self.rejected + other.rejected,
            rejected_dry_run: self.rejected_dry_run + other.rejected_dry_run,
            exhausted: self.exhausted + other.exhausted,
            exhausted_dry_run: self.exhausted_dry_run + other.exhausted_dry_run,
            syn_retransmits: self.syn_retransmits + other.syn_retransmits,
            evicted: self.evicted + other.evicted,
            opened: self.opened + other.opened,
            closed: self.closed + other.closed,
            excess: self.excess + other.excess,
            untracked: self.untracked + other.untracked,
            drift: self.drift + other.drift,
        }
    }

    /// All of them, in the order of the fields.
    pub const fn to_array(&self) -> [u64; 13] {
        [
            self.passed,
            self.skipped,
            self.rejected,
            self.rejected_dry_run,
            self.exhausted,
            self.exhausted_dry_run,
            self.syn_retransmits,
            self.evicted,
            self.opened,
            self.closed,
            self.excess,
            self.untracked,
            self.drift,
        ]
    }

    /// From [`Self::to_array`].
    pub const fn from_array(counters: [u64; 13]) -> Self {
        let [
            passed,
            skipped,
            rejected,
            rejected_dry_run,
            exhausted,
            exhausted_dry_run,
            syn_retransmits,
            evicted,
            opened,
            closed,
            excess,
            untracked,
            drift,
        ] = counters;
        Self {
            passed,
            skipped,
            rejected,
            rejected_dry_run,
            exhausted,
            exhausted_dry_run,
            syn_retransmits,
            evicted,
            opened,
            closed,
            excess,
            untracked,
            drift,
        }
    }

    /// What has been counted since `other` was read. Never below zero: the CPUs' counters are not
    /// read at one moment.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            passed: self.passed.saturating_sub(other.passed),
            skipped: self.skipped.saturating_sub(other.skipped),
            rejected: self.rejected.saturating_sub(other.rejected),
            rejected_dry_run: self.rejected_dry_run.saturating_sub(other.rejected_dry_run),
            exhausted: self.exhausted.saturating_sub(other.exhausted),
            exhausted_dry_run: self
                .exhausted_dry_run
                .saturating_sub(other.exhausted_dry_run),
            syn_retransmits: self.syn_retransmits.saturating_sub(other.syn_retransmits),
            evicted: self.evicted.saturating_sub(other.evicted),
            opened: self.opened.saturating_sub(other.opened),
            closed: self.closed.saturating_sub(other.closed),
            excess: self.excess.saturating_sub(other.excess),
            untracked: self.untracked.saturating_sub(other.untracked),
            drift: self.drift.saturating_sub(other.drift),
        }
    }
}

/// Counters of the event path on one CPU: the value of [`crate::names::MAP_EVENT_COUNTERS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounters {
    /// Events put into the ring.
    pub sent: u64,
    /// Events that found the ring full.
    pub lost: u64,
    /// Events held back by the budgets.
    pub suppressed: u64,
    /// Start of the current budget window for refusals, ticks.
    pub window_start: u64,
    /// Refusals sent in the current window.
    pub window_sent: u64,
    /// The same for connections that pass and close.
    pub passed_window_start: u64,
    /// The same for connections that pass and close.
    pub passed_window_sent: u64,
}

impl EventCounters {
    /// The counters of two CPUs together; the budget windows have no sum.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            suppressed: self.suppressed + other.suppressed,
            window_start: 0,
            window_sent: 0,
            passed_window_start: 0,
            passed_window_sent: 0,
        }
    }
}

/// Events about refusals per second and CPU at the most, and as many about connections that pass and
/// close. Of refusals, one key has one a second.
pub const EVENTS_PER_SECOND_PER_CPU: u64 = 4_096;

/// Shortest time between two events for one key, ns: one second, which the programs take in ticks.
pub const KEY_EVENT_INTERVAL_NS: u64 = 1_000_000_000;

/// Packets that were let pass on one CPU because they were not understood: the value of
/// [`crate::names::MAP_PACKET_COUNTERS`]. What is in them, the socket's own hooks see.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounters {
    /// [`crate::packet::Unparsed::NotIp`]
    pub not_ip: u64,
    /// [`crate::packet::Unparsed::NotTcp`]
    pub not_tcp: u64,
    /// [`crate::packet::Unparsed::Fragment`]
    pub fragment: u64,
    /// [`crate::packet::Unparsed::Truncated`]
    pub truncated: u64,
    /// [`crate::packet::Unparsed::TooManyTags`]
    pub too_many_tags: u64,
    /// [`crate::packet::Unparsed::TooManyExtensions`]
    pub too_many_extensions: u64,
}

impl PacketCounters {
    /// The counters of two CPUs together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            not_ip: self.not_ip + other.not_ip,
            not_tcp: self.not_tcp + other.not_tcp,
            fragment: self.fragment + other.fragment,
            truncated: self.truncated + other.truncated,
            too_many_tags: self.too_many_tags + other.too_many_tags,
            too_many_extensions: self.too_many_extensions + other.too_many_extensions,
        }
    }
}

const _: () = assert!(size_of::<ZoneCounters>() == 104);
const _: () = assert!(size_of::<EventCounters>() == 56);
const _: () = assert!(size_of::<PacketCounters>() == 48);
