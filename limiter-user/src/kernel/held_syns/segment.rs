//! A SYN that was held back, as its socket would send it now.

use std::{net::IpAddr, time::Duration};

use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader};
use limiter_common::upstream::queue::Waiting;

/// The packet, from its IP header on. Its addresses and ports are those of the socket, whatever has
/// translated them before it was held back: that happens again. None: it is no SYN that could be read.
pub(super) fn renewed(syn: &Waiting, held_for: Duration) -> Option<Vec<u8>> {
    let bytes = syn.packet.get(..syn.length as usize)?;
    let ends = (
        IpAddr::from(syn.connection.local),
        IpAddr::from(syn.connection.remote),
    );
    let mut packet = Vec::new();
    match ends {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            let (mut ip, rest) = Ipv4Header::from_slice(bytes).ok()?;
            if ip.protocol != IpNumber::TCP {
                return None;
            }
            (ip.source, ip.destination) = (local.octets(), remote.octets());
            let mut tcp = renewed_header(syn, rest, held_for)?;
            tcp.checksum = tcp
                .calc_checksum_ipv4_raw(ip.source, ip.destination, &[])
                .ok()?;
            ip.set_payload_len(tcp.header_len()).ok()?;
            ip.header_checksum = ip.calc_header_checksum();
            ip.write(&mut packet).ok()?;
            tcp.write(&mut packet).ok()?;
        }
        (IpAddr::V6(local), IpAddr::V6(remote)) => {
            let (mut ip, rest) = Ipv6Header::from_slice(bytes).ok()?;
            if ip.next_header != IpNumber::TCP {
                return None;
            }
            (ip.source, ip.destination) = (local.octets(), remote.octets());
            let mut tcp = renewed_header(syn, rest, held_for)?;
            tcp.checksum = tcp
                .calc_checksum_ipv6_raw(ip.source, ip.destination, &[])
                .ok()?;
            ip.set_payload_length(tcp.header_len()).ok()?;
            ip.write(&mut packet).ok()?;
            tcp.write(&mut packet).ok()?;
        }
        _ => return None,
    }
    Some(packet)
}

/// Kind of the option with timestamps (RFC 7323, section 3.2).
const TIMESTAMPS: u8 = 8;

/// The TCP header. The time in it goes on, in milliseconds, as that of the kernel does (net/ipv4/tcp.c,
/// tcp_time_stamp_ts): else the connection would take the wait for the way to the server.
fn renewed_header(syn: &Waiting, segment: &[u8], held_for: Duration) -> Option<TcpHeader> {
    let (mut tcp, _) = TcpHeader::from_slice(segment).ok()?;
    if !tcp.syn || tcp.ack {
        return None;
    }
    tcp.source_port = syn.connection.local_port;
    tcp.destination_port = syn.connection.remote_port;
    let mut options = tcp.options.as_slice().to_vec();
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        match kind {
            0 => break,
            1 => at += 1,
            _ => {
                let length = usize::from(*options.get(at + 1)?);
                if kind == TIMESTAMPS
                    && let Some(time) = options.get_mut(at + 2..at + 6)
                {
                    let before = u32::from_be_bytes(<[u8; 4]>::try_from(&*time).ok()?);
                    let now = before.wrapping_add(held_for.as_millis() as u32);
                    time.copy_from_slice(&now.to_be_bytes());
                }
                at += length.max(2);
            }
        }
    }
    tcp.set_options_raw(&options).ok()?;
    Some(tcp)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use limiter_common::{key::Connection, upstream::queue::SYN_BYTES};

    use super::*;

    fn held(packet: &[u8], local: &str, remote: &str) -> Waiting {
        let addr = |text: &str| text.parse::<IpAddr>().expect("literal").into();
        let mut bytes = [0; SYN_BYTES];
        bytes[..packet.len()].copy_from_slice(packet);
        Waiting {
            state: 0,
            since_ns: 0,
            held_ns: 1,
            netns_cookie: 1,
            connection: Connection {
                remote: addr(remote),
                local: addr(local),
                remote_port: 80,
                local_port: 4000,
                padding: 0,
            },
            queue: 0,
            mark: 0,
            bound_interface: 0,
            interface: 0,
            length: packet.len() as u32,
            padding: 0,
            packet: bytes,
        }
    }

    /// MSS, SACK permitted, timestamps, window scale, as Linux orders them.
    const OPTIONS: [u8; 20] = [
        2, 4, 5, 180, 4, 2, 8, 10, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 1, 3, 3, 7,
    ];

    #[test]
    fn ends_and_times_are_renewed_and_the_rest_stays() {
        // As a translation of addresses has left it.
        let builder = PacketBuilder::ipv4([198, 51, 100, 9], [198, 51, 100, 1], 61)
            .tcp(999, 998, 0x1234_5678, 64_240)
            .syn()
            .options_raw(&OPTIONS)
            .expect("options");
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).expect("a packet");
        let syn = held(&packet, "10.0.0.1", "10.0.0.2");
        let renewed = renewed(&syn, Duration::from_millis(300)).expect("a SYN");
        let (ip, rest) = Ipv4Header::from_slice(&renewed).expect("IPv4");
        assert_eq!((ip.source, ip.destination), ([10, 0, 0, 1], [10, 0, 0, 2]));
        assert_eq!(
            (ip.time_to_live, ip.header_checksum),
            (61, ip.calc_header_checksum())
        );
        let (tcp, data) = TcpHeader::from_slice(rest).expect("TCP");
        assert_eq!((tcp.source_port, tcp.destination_port), (4000, 80));
        assert_eq!(
            (tcp.sequence_number, tcp.window_size, tcp.syn),
            (0x1234_5678, 64_240, true)
        );
        assert!(data.is_empty());
        let mut options = OPTIONS;
        // 300 ms later, over the end of the range.
        options[8..12].copy_from_slice(&0xffff_fff0_u32.wrapping_add(300).to_be_bytes());
        assert_eq!(tcp.options.as_slice(), options);
        let checksum = tcp.calc_checksum_ipv4_raw(ip.source, ip.destination, &[]);
        assert_eq!(checksum.expect("short"), tcp.checksum);
    }

    #[test]
    fn data_of_a_fast_open_are_left_out() {
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .tcp(1, 2, 3, 4)
            .syn();
        let mut packet = Vec::new();
        builder.write(&mut packet, b"GET /").expect("a packet");
        let syn = held(&packet, "fd00::1", "fd00::2");
        let renewed = renewed(&syn, Duration::ZERO).expect("a SYN");
        let (ip, rest) = Ipv6Header::from_slice(&renewed).expect("IPv6");
        assert_eq!(usize::from(ip.payload_length), rest.len());
        let (_, data) = TcpHeader::from_slice(rest).expect("TCP");
        assert!(data.is_empty());
    }

    #[test]
    fn what_is_no_syn_is_not_sent() {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([1; 4], [2; 4], 64)
            .tcp(1, 2, 3, 4)
            .syn()
            .ack(5);
        builder.write(&mut packet, &[]).expect("a packet");
        assert_eq!(
            renewed(&held(&packet, "10.0.0.1", "10.0.0.2"), Duration::ZERO),
            None
        );
        for length in 0..packet.len() {
            let syn = held(&packet[..length], "10.0.0.1", "10.0.0.2");
            assert_eq!(renewed(&syn, Duration::ZERO), None, "{length}");
        }
        assert_eq!(
            renewed(&held(&packet, "fd00::1", "fd00::2"), Duration::ZERO),
            None
        );
    }
}
