//! What the daemon has asked for: which server a connection belongs to, and its limits.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    policy::{
        Control, Halves, ListenerKey, MAX_LISTENERS, MAX_SERVER_INDICES, PORTS as PORT_COUNT,
        PortEntry, ServerPolicy,
    },
};

#[btf_map]
static CONTROL: Array<Control, 1> = Array::new();

#[btf_map]
static PORTS: Array<PortEntry, { 2 * PORT_COUNT as usize }> = Array::new();

#[btf_map]
static LISTENERS: HashMap<
    ListenerKey,
    u32,
    { 2 * MAX_LISTENERS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

#[btf_map]
static SERVERS: Array<ServerPolicy, { 2 * MAX_SERVER_INDICES as usize }> = Array::new();

/// The policy in force when the program began.
#[derive(Clone, Copy)]
pub struct Policy {
    pub(super) half: u32,
    halves: Halves,
    /// Secret of this run.
    pub seed: u64,
    /// Whether passed connections are reported.
    pub report_passed: bool,
    /// [`Control::ticks_per_second`]
    pub ticks_per_second: u64,
    /// [`Control::max_waiting`]
    pub max_waiting: u64,
    /// [`Control::pass`]
    pub pass: u32,
}

/// Reads which policy is in force. Everything else of this run goes by it.
#[inline(always)]
pub fn in_force() -> Option<Policy> {
    let control = CONTROL.get(0)?;
    // One load, see `Halves`.
    // SAFETY: an aligned word of a map value.
    let halves = unsafe { (&raw const control.halves).read_volatile() };
    Some(Policy {
        half: halves.active(),
        halves,
        seed: control.seed,
        report_passed: control.report_passed != 0,
        ticks_per_second: control.ticks_per_second.into(),
        max_waiting: control.max_waiting.into(),
        pass: control.pass,
    })
}

impl Policy {
    /// What is in force, and the number of the change that has brought it.
    #[inline(always)]
    pub fn halves(self) -> Halves {
        self.halves
    }

    /// The policy that will be in force soon, if one is about to be.
    #[inline(always)]
    pub fn next(self) -> Option<Self> {
        let half = self.halves.next()?;
        Some(Self { half, ..self })
    }

    /// Index of the server that listens on this address and port: the one with this very address,
    /// else the one for every address of its family, else the one for every address.
    #[inline(always)]
    pub fn server_at(self, local: &Addr, port: u16) -> Option<u16> {
        let entry = *PORTS.get(self.half * PORT_COUNT + u32::from(port))?;
        let server = if entry.class == 0 {
            entry.server
        } else {
            self.server_with_address(entry, local)
        };
        server.checked_sub(1)
    }

    /// The server that limits connections to this address and port.
    #[inline(always)]
    pub fn limits_at(self, local: &Addr, port: u16) -> Option<&'static ServerPolicy> {
        let index = self.server_at(local, port)?;
        let server = self.server(index)?;
        (server.limit_count != 0).then_some(server)
    }

    /// Whether some server listens on this port, at whatever address.
    #[inline(always)]
    pub fn knows_port(self, port: u16) -> bool {
        PORTS
            .get(self.half * PORT_COUNT + u32::from(port))
            .is_some_and(|entry| entry.server != 0 || entry.class != 0)
    }

    #[inline(always)]
    fn server(self, index: u16) -> Option<&'static ServerPolicy> {
        SERVERS.get(self.half * MAX_SERVER_INDICES + u32::from(index))
    }

    #[inline(always)]
    fn server_with_address(self, entry: PortEntry, local: &Addr) -> u16 {
        let family = local.unspecified();
        for addr in [*local, family] {
            let key = ListenerKey {
                addr,
                half: self.half,
                class: entry.class.into(),
            };
            // SAFETY: the daemon writes only the half that is not in force.
            if let Some(server) = unsafe { LISTENERS.get(key) } {
                return *server as u16;
            }
        }
        entry.server
    }
}
