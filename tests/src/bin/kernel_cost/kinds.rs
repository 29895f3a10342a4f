//! The kinds of work, their names and their goals.

use super::figure::Figure;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A packet of an established connection, `cgroup_skb`.
    Packet,
    /// A SYN that is refused, `cgroup_skb`.
    SynRefused,
    /// A SYN that passes, of a key with connections, `cgroup_skb`.
    SynPassed,
    /// A SYN that passes, of a key without, `cgroup_skb`.
    SynPassedNewKey,
    /// The ACK that completes a handshake and passes, `cgroup_skb`.
    AckPassed,
    /// A RST that ends a half-open handshake, `cgroup_skb`.
    ResetAtListener,
    /// The establishment of a connection, of a key with connections, `sock_ops`.
    Establishment,
    /// The establishment of the first connection of a key, `sock_ops`.
    EstablishmentNewKey,
    /// The close of a connection, `sock_ops`.
    Close,
    /// The close of the last connection of a key, `sock_ops`.
    CloseLastOfKey,
    /// An operation that does nothing for the limiter, `sock_ops`.
    OtherOperation,
    /// Data of a connection, IPv4, `xdp`.
    XdpDataV4,
    /// Data of a connection, IPv6, `xdp`.
    XdpDataV6,
    /// Data of a connection, IPv4 behind a VLAN tag, `xdp`.
    XdpDataVlan,
    /// A UDP datagram, IPv4, `xdp`.
    XdpUdp,
    /// A SYN that passes, of a key with connections, `xdp`.
    XdpSynPassed,
    /// A SYN that passes, of a key without, `xdp`.
    XdpSynPassedNewKey,
    /// A SYN that passes, of a key without, at a port where others are refused, `xdp`.
    XdpSynPassedBesideRefusals,
    /// A SYN that is refused once more, `xdp`.
    XdpSynRefusedAgain,
    /// A SYN of a new attempt that is refused, `xdp`.
    XdpSynRefused,
    /// A SYN of a new attempt that is refused and becomes a RST, `xdp`.
    XdpSynAnswered,
}

impl Work {
    /// Every kind: its name in the JSON, its words in the table, the goal in nanoseconds.
    pub const ALL: [(Self, &str, &str, Option<f64>); 21] = [
        (
            Self::Packet,
            "packet",
            "packet of an established connection",
            Some(20.0),
        ),
        (Self::SynRefused, "syn_refused", "SYN, refused", Some(150.0)),
        (Self::SynPassed, "syn_passed", "SYN, passed", Some(150.0)),
        (
            Self::SynPassedNewKey,
            "syn_passed_new_key",
            "SYN, passed, new key",
            Some(150.0),
        ),
        (
            Self::AckPassed,
            "ack_passed",
            "ACK of a handshake, passed",
            Some(150.0),
        ),
        (
            Self::ResetAtListener,
            "reset_at_listener",
            "RST of a half-open handshake",
            None,
        ),
        (
            Self::Establishment,
            "establishment",
            "establishment",
            Some(500.0),
        ),
        (
            Self::EstablishmentNewKey,
            "establishment_new_key",
            "establishment, new key",
            Some(500.0),
        ),
        (Self::Close, "close", "close", None),
        (
            Self::CloseLastOfKey,
            "close_last_of_key",
            "close, last of its key",
            None,
        ),
        (
            Self::OtherOperation,
            "other_operation",
            "any other socket operation",
            None,
        ),
        (
            Self::XdpDataV4,
            "xdp_data_v4",
            "XDP: data packet",
            Some(5.0),
        ),
        (
            Self::XdpDataV6,
            "xdp_data_v6",
            "XDP: data packet, IPv6",
            Some(5.0),
        ),
        (
            Self::XdpDataVlan,
            "xdp_data_vlan",
            "XDP: data packet, VLAN",
            Some(5.0),
        ),
        (Self::XdpUdp, "xdp_udp", "XDP: UDP packet", None),
        (
            Self::XdpSynPassed,
            "xdp_syn_passed",
            "XDP: SYN, passed",
            None,
        ),
        (
            Self::XdpSynPassedNewKey,
            "xdp_syn_passed_new_key",
            "XDP: SYN, passed, new key",
            None,
        ),
        (
            Self::XdpSynPassedBesideRefusals,
            "xdp_syn_passed_beside_refusals",
            "XDP: SYN, passed, new key, others are refused",
            None,
        ),
        (
            Self::XdpSynRefusedAgain,
            "xdp_syn_refused_again",
            "XDP: SYN, refused again",
            Some(60.0),
        ),
        (
            Self::XdpSynRefused,
            "xdp_syn_refused",
            "XDP: SYN, refused",
            Some(60.0),
        ),
        (
            Self::XdpSynAnswered,
            "xdp_syn_answered",
            "XDP: SYN, answered with a RST",
            None,
        ),
    ];
}

/// What each kind of work costs.
pub type Figures = Vec<(Work, Figure)>;
