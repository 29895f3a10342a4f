//! Names of programs and maps. A test finds each of them in the committed object.

/// `sock_ops`: counts a connection from establishment to close.
pub const PROGRAM_COUNT: &str = "limiter_count";
/// `cgroup_skb/ingress`: refuses handshakes at a listener.
pub const PROGRAM_ENFORCE: &str = "limiter_enforce";
/// `iter/tcp`: charges the connections that are open for what the policy asks, be they older than
/// the programs or than the policy.
pub const PROGRAM_ADOPT: &str = "limiter_adopt";
/// `xdp`: refuses handshakes on an interface, before the network stack sees them.
pub const PROGRAM_XDP: &str = "limiter_xdp";
/// `sk_lookup`: brings attempts that are to be refused to the socket of [`PROGRAM_REFUSE`].
/// Called by [`PROGRAM_DIVERT`].
pub const PROGRAM_LOOKUP: &str = "limiter_lookup";
/// `sk_lookup`, one for each network namespace: knows the namespace's socket.
pub const PROGRAM_DIVERT: &str = "limiter_divert";
/// `sk_reuseport`: answers what was brought to its socket with a RST, or accepts it.
pub const PROGRAM_REFUSE: &str = "limiter_refuse";
/// `sock_ops`: counts refused connections that wait to be closed.
pub const PROGRAM_WAIT: &str = "limiter_wait";
/// `cgroup/connect4`: counts and refuses connections to the servers of an upstream.
pub const PROGRAM_CONNECT4: &str = "limiter_connect4";
/// `cgroup/connect6`: the same.
pub const PROGRAM_CONNECT6: &str = "limiter_connect6";
/// `cgroup/sock_release`: gives back the slot of a connect that failed before its SYN.
pub const PROGRAM_RELEASE: &str = "limiter_sock_release";
/// `cgroup_skb/egress`: holds the SYNs of connects that wait for a slot.
pub const PROGRAM_HOLD: &str = "limiter_hold";
/// `iter/bpf_sk_storage_map`: counts again who holds slots.
pub const PROGRAM_AUDIT: &str = "limiter_audit";
/// `xdp`, attached nowhere: corrects a count when the daemon runs it (`BPF_PROG_TEST_RUN`).
pub const PROGRAM_CORRECT: &str = "limiter_correct";
/// Every program of the object.
pub const PROGRAMS: [&str; 14] = [
    PROGRAM_COUNT,
    PROGRAM_ENFORCE,
    PROGRAM_ADOPT,
    PROGRAM_XDP,
    PROGRAM_LOOKUP,
    PROGRAM_DIVERT,
    PROGRAM_REFUSE,
    PROGRAM_WAIT,
    PROGRAM_CONNECT4,
    PROGRAM_CONNECT6,
    PROGRAM_RELEASE,
    PROGRAM_HOLD,
    PROGRAM_AUDIT,
    PROGRAM_CORRECT,
];

/// Which half of the policy is in force, and switches for the programs.
pub const MAP_CONTROL: &str = "CONTROL";
/// Port → server, two halves.
pub const MAP_PORTS: &str = "PORTS";
/// Port class and local address → server, two halves.
pub const MAP_LISTENERS: &str = "LISTENERS";
/// Servers with their limits, two halves.
pub const MAP_SERVERS: &str = "SERVERS";
/// Client networks with numbers of their own, and those that are exempt, two halves.
pub const MAP_NETWORKS: &str = "NETWORKS";
/// The zones: an array of LRU hash maps.
pub const MAP_ZONES: &str = "ZONES";
/// Capacity and shared counts of each zone.
pub const MAP_ZONE_STATES: &str = "ZONE_STATES";
/// The definition that zone maps are made from.
pub const MAP_ZONE_TEMPLATE: &str = "ZONE_TEMPLATE";
/// Zone → the zone whose keys it takes over.
pub const MAP_PREDECESSORS: &str = "PREDECESSORS";
/// Per-CPU counters of each zone.
pub const MAP_ZONE_COUNTERS: &str = "ZONE_COUNTERS";
/// Socket → what it is charged for.
pub const MAP_TOKENS: &str = "TOKENS";
/// Socket cookie → connection that is not counted yet, to adopt.
pub const MAP_CANDIDATES: &str = "CANDIDATES";
/// Fingerprints of refused attempts, to recognise retransmissions.
pub const MAP_ATTEMPTS: &str = "ATTEMPTS";
/// Event ring.
pub const MAP_EVENTS: &str = "EVENTS";
/// Ring of excess connections that the daemon has to destroy.
pub const MAP_EXCESS: &str = "EXCESS";
/// Per-CPU counters of the event path.
pub const MAP_EVENT_COUNTERS: &str = "EVENT_COUNTERS";
/// Number of the newest event, and of the stream that it belongs to.
pub const MAP_EVENT_NUMBERS: &str = "EVENT_NUMBERS";
/// Event budget of keys that have no entry, because their zone is full.
pub const MAP_EXHAUSTED_BUDGET: &str = "EXHAUSTED_BUDGET";
/// Per-CPU counters of packets that were not understood.
pub const MAP_PACKET_COUNTERS: &str = "PACKET_COUNTERS";
/// Local addresses and ports at which attempts were refused a moment ago.
pub const MAP_ENDPOINTS: &str = "ENDPOINTS";
/// Refusals that an interface remembers for a moment.
pub const MAP_STANDING: &str = "STANDING";
/// Refusals of keys that their entries do not know of yet.
pub const MAP_TALLIES: &str = "TALLIES";
/// Interface index → whether the XDP program may answer there.
pub const MAP_INTERFACES: &str = "INTERFACES";
/// Ring of ports on which sockets begin to listen.
pub const MAP_NEW_LISTENERS: &str = "NEW_LISTENERS";
/// Where sockets listen, and whether they are of the attached cgroups.
pub const MAP_LISTENING: &str = "LISTENING";
/// Socket → the slot in which it waits to be closed.
pub const MAP_WAITERS: &str = "WAITERS";
/// How many connections wait to be closed.
pub const MAP_WAITING: &str = "WAITING";
/// The socket of one network namespace that refused attempts are brought to.
pub const MAP_TARGET: &str = "TARGET";
/// What [`PROGRAM_DIVERT`] goes on with: [`PROGRAM_LOOKUP`].
pub const MAP_NEXT: &str = "NEXT";
/// Address and port → server of an upstream, two halves.
pub const MAP_UPSTREAMS: &str = "UPSTREAMS";
/// Connections and counters of each server of an upstream.
pub const MAP_UPSTREAM_STATES: &str = "UPSTREAM_STATES";
/// Socket → the server of an upstream whose slot it holds.
pub const MAP_OUTGOING: &str = "OUTGOING";
/// Socket cookie → index of the server of an upstream that it is connected to, to adopt.
pub const MAP_OUTGOING_CANDIDATES: &str = "OUTGOING_CANDIDATES";
/// Index of a server and ticket → connect that waits for a slot of it.
pub const MAP_CONNECT_QUEUE: &str = "CONNECT_QUEUE";
/// Ring of connects that have been given a slot, for the daemon to send their SYN.
pub const MAP_HELD_SYNS: &str = "HELD_SYNS";
/// What daemon and programs tell each other while they audit.
pub const MAP_AUDIT: &str = "AUDIT";
/// What the next daemon has to know to go on where this one ends.
pub const MAP_RECORD: &str = "RECORD";
/// Bytes of the only value of [`MAP_RECORD`]: their number (4, in the machine's order), then JSON.
pub const RECORD_BYTES: usize = 256 * 1024;
/// Every map of the object that the daemon opens by name.
pub const MAPS: [&str; 36] = [
    MAP_CONTROL,
    MAP_PORTS,
    MAP_LISTENERS,
    MAP_SERVERS,
    MAP_NETWORKS,
    MAP_ZONES,
    MAP_ZONE_STATES,
    MAP_ZONE_COUNTERS,
    MAP_PREDECESSORS,
    MAP_TOKENS,
    MAP_AUDIT,
    MAP_CANDIDATES,
    MAP_ATTEMPTS,
    MAP_EVENTS,
    MAP_EXCESS,
    MAP_EVENT_COUNTERS,
    MAP_EVENT_NUMBERS,
    MAP_EXHAUSTED_BUDGET,
    MAP_PACKET_COUNTERS,
    MAP_ENDPOINTS,
    MAP_STANDING,
    MAP_TALLIES,
    MAP_INTERFACES,
    MAP_LISTENING,
    MAP_NEW_LISTENERS,
    MAP_WAITERS,
    MAP_WAITING,
    MAP_TARGET,
    MAP_NEXT,
    MAP_UPSTREAMS,
    MAP_UPSTREAM_STATES,
    MAP_OUTGOING,
    MAP_OUTGOING_CANDIDATES,
    MAP_CONNECT_QUEUE,
    MAP_HELD_SYNS,
    MAP_RECORD,
];
