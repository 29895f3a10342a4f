//! The answer that refuses a SYN.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};

use super::{Contents, Frame, Mac, Tag, Tcp, Transport, flags, transport::checksum};

/// A RST, as it has to be for one SYN (RFC 9293 §3.10.7.1).
#[derive(Clone, Debug)]
pub struct Reset {
    /// Both hardware addresses, the tags and the ethertype.
    ethernet: Vec<u8>,
    from: IpAddr,
    to: IpAddr,
    from_port: u16,
    to_port: u16,
    acknowledgement: u32,
}

/// Checks every byte of a RST that matters to who gets it: it goes back where the SYN came from,
/// with the same tags, no option, no payload, nothing behind it, and right checksums.
///
/// # Panics
/// With the first difference.
#[track_caller]
pub fn must_be_reset_of(reply: &[u8], syn: &Frame) {
    if let Err(difference) = Reset::of(syn).check(reply) {
        panic!("not the RST to this SYN: {difference}: {reply:02x?}");
    }
}

impl Reset {
    /// What has to answer this SYN.
    ///
    /// # Panics
    /// If it is no TCP segment.
    pub fn of(syn: &Frame) -> Self {
        let (from, to, transport): (IpAddr, IpAddr, _) = match &syn.contents {
            Contents::V4(ip) => (ip.to.into(), ip.from.into(), &ip.transport),
            Contents::V6(ip) => (ip.to.into(), ip.from.into(), &ip.transport),
            other => panic!("not IP: {other:?}"),
        };
        let Transport::Tcp(tcp) = transport else {
            panic!("not TCP: {transport:?}");
        };
        let bytes = syn.bytes();
        let ethernet_length = 2 * size_of::<Mac>() + syn.tags.len() * size_of::<Tag>() + 2;
        let rest = &bytes[2 * size_of::<Mac>()..ethernet_length];
        Self {
            ethernet: [&syn.source, &syn.destination, rest].concat(),
            from,
            to,
            from_port: tcp.to,
            to_port: tcp.from,
            acknowledgement: tcp.sequence.wrapping_add(sequence_length(tcp)),
        }
    }

    /// The first difference.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, reply: &[u8]) -> Result<(), String> {
        let (ethernet, packet) = reply
            .split_at_checked(self.ethernet.len())
            .ok_or_else(|| format!("{} bytes", reply.len()))?;
        equal("Ethernet header", ethernet, &self.ethernet[..])?;
        let sliced = SlicedPacket::from_ip(packet).map_err(|e| e.to_string())?;
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
            return Err("not TCP".to_owned());
        };
        match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                equal("addresses", header.source_addr().into(), self.from)?;
                equal("addresses", header.destination_addr().into(), self.to)?;
                equal("length of the IP header", header.ihl(), 5)?;
                equal(
                    "IP length",
                    usize::from(header.total_len()),
                    20 + RESET_BYTES,
                )?;
                equal("length", packet.len(), 20 + RESET_BYTES)?;
                // With its checksum, the header adds up to nothing.
                equal("IP checksum", checksum(header.slice()), [0, 0])?;
                equal("fragment", header.is_fragmenting_payload(), false)?;
                far_enough(header.ttl())?;
                let sum = tcp.calc_checksum_ipv4(header.source(), header.destination());
                equal("TCP checksum", tcp.checksum(), sum.map_err(debug)?)?;
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                equal("addresses", header.source_addr().into(), self.from)?;
                equal("addresses", header.destination_addr().into(), self.to)?;
                equal("next header", header.next_header().0, Transport::TCP)?;
                equal(
                    "IP length",
                    usize::from(header.payload_length()),
                    RESET_BYTES,
                )?;
                equal("length", packet.len(), 40 + RESET_BYTES)?;
                far_enough(header.hop_limit())?;
                let sum = tcp.calc_checksum_ipv6(header.source(), header.destination());
                equal("TCP checksum", tcp.checksum(), sum.map_err(debug)?)?;
            }
            other => return Err(format!("not IP: {other:?}")),
        }
        self.check_tcp(tcp)
    }

    fn check_tcp(&self, tcp: &TcpSlice<'_>) -> Result<(), String> {
        equal("ports", tcp.source_port(), self.from_port)?;
        equal("ports", tcp.destination_port(), self.to_port)?;
        equal("sequence number", tcp.sequence_number(), 0)?;
        let acknowledged = tcp.acknowledgment_number();
        equal("acknowledgement number", acknowledged, self.acknowledgement)?;
        // The length of the header and all flags, those without a name as well.
        let word = u16::from_be_bytes([tcp.slice()[12], tcp.slice()[13]]);
        equal("flags", word, 5 << 12 | flags::RST | flags::ACK)?;
        equal("urgent pointer", tcp.urgent_pointer(), 0)
    }
}

/// A TCP header without options.
const RESET_BYTES: usize = 20;

/// SEG.LEN of RFC 9293 §3.4: SYN and FIN take a number each, and so does every byte.
fn sequence_length(tcp: &Tcp) -> u32 {
    let bit = |flag| u32::from(tcp.flags & flag != 0);
    let payload = u32::try_from(tcp.payload.len()).expect("a short payload");
    bit(flags::SYN) + bit(flags::FIN) + payload
}

/// An answer must get as far as the SYN has come.
fn far_enough(hops: u8) -> Result<(), String> {
    match hops {
        0..64 => Err(format!("only {hops} hops to live")),
        _ => Ok(()),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:02x?} instead of {expected:02x?}"))
}

fn debug(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
