//! SYNs in every wrapping, and what is no SYN.

use tests::{
    frame::{Contents, Extension, Frame, Transport, ethertype::*, flags::*, options},
    packet::Flow,
    random::Random,
};

/// A frame, and what the program on an interface has to make of it.
pub struct Shaped {
    pub what: String,
    pub bytes: Vec<u8>,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is a SYN: the policy decides.
    Judged,
    /// It begins no connection.
    NoAttempt,
    /// It passes, and is counted under this name.
    NotUnderstood(&'static str),
}

impl Shaped {
    /// Just the SYN.
    pub fn plain(flow: &Flow) -> Self {
        shape(vec!["plain"], Frame::syn(flow).bytes(), Fate::Judged)
    }

    /// The same bytes.
    pub fn again(&self) -> Self {
        shape(vec![&self.what], self.bytes.clone(), self.fate)
    }
}

/// The SYN of a flow, or something like it. Three of four are judged.
pub fn shaped(random: &mut Random, flow: &Flow) -> Shaped {
    let mut what = Vec::new();
    let mut frame = Frame::syn(flow);
    if !random.once_in(3) {
        frame = wrapped(random, frame, &mut what);
    }
    if !random.once_in(4) {
        if random.once_in(8) {
            what.push("padded");
            frame = frame.padded();
        }
        return shape(what, frame.bytes(), Fate::Judged);
    }
    let (name, bytes, fate) = spoiled(random, frame);
    what.push(name);
    shape(what, bytes, fate)
}

fn shape(what: Vec<&str>, bytes: Vec<u8>, fate: Fate) -> Shaped {
    Shaped {
        what: what.join(", "),
        bytes,
        fate,
    }
}

/// With headers, options and data that change nothing.
fn wrapped(random: &mut Random, mut frame: Frame, what: &mut Vec<&str>) -> Frame {
    for _ in 0..random.below(3) {
        what.push("tag");
        frame = frame.tag(random.one_of(&[VLAN, SERVICE_VLAN]), 0x6007);
    }
    if random.once_in(3) {
        what.push("flags");
        let more = random.one_of(&[ECE | CWR, PSH, URG, FIN, AE | ECE | CWR, 0xe00]);
        frame = frame.segment(|tcp| tcp.flags |= more);
    }
    if random.once_in(3) {
        what.push("other options");
        let length = 4 * random.below(11);
        frame = frame.segment(|tcp| tcp.options = vec![1; length]);
    }
    if random.once_in(3) {
        what.push("data");
        let length = random.below(600);
        frame = frame.segment(|tcp| tcp.payload = vec![0x16; length]);
    }
    if random.once_in(2) {
        frame = headers(random, frame, what);
    }
    frame
}

/// With options of IPv4, or extension headers of IPv6.
fn headers(random: &mut Random, frame: Frame, what: &mut Vec<&str>) -> Frame {
    if let Contents::V4(_) = frame.contents {
        what.push("options of IP");
        let options = match random.once_in(2) {
            true => options::nops(1 + random.below(40)),
            false => options::timestamps(9),
        };
        return frame.v4(|ip| ip.options = options);
    }
    what.push("extension headers");
    let count = 1 + random.below(7);
    (0..count).fold(frame, |frame, _| {
        frame.extension(match random.below(4) {
            0 => Extension::hop_by_hop(0),
            1 => Extension::destination(u8::try_from(random.below(4)).expect("small")),
            2 => Extension::routing(),
            _ => Extension::authentication(3),
        })
    })
}

/// Changed so that it is nothing to judge.
fn spoiled(random: &mut Random, frame: Frame) -> (&'static str, Vec<u8>, Fate) {
    use Fate::{Judged, NoAttempt, NotUnderstood};
    let is_v4 = matches!(frame.contents, Contents::V4(_));
    match random.below(10) {
        0 => {
            let flags = random.one_of(&[SYN | ACK, SYN | RST, ACK, ACK | FIN, RST, FIN, 0, 0xfff]);
            let frame = frame.segment(|tcp| tcp.flags = flags);
            ("no SYN", frame.bytes(), NoAttempt)
        }
        1 => {
            let mut frame = frame;
            frame.destination = random.one_of(&[[0xff; 6], [1, 0, 0x5e, 0, 0, 1]]);
            ("for a group", frame.bytes(), NoAttempt)
        }
        2 => {
            // The kernel takes nothing shorter than an Ethernet header.
            let end = *frame.boundaries().last().expect("never empty");
            let bytes = frame.cut(14 + random.below(end - 14));
            ("cut", bytes, NotUnderstood("truncated"))
        }
        3 => {
            let end = *frame.boundaries().last().expect("never empty");
            let length = frame.bytes().len();
            let bytes = frame.cut(end + random.below(length - end + 1));
            ("cut behind the headers", bytes, Judged)
        }
        4 => {
            let words = u8::try_from(random.below(5)).expect("small");
            let frame = frame.segment(|tcp| tcp.header_words = Some(words));
            (
                "a short TCP header",
                frame.bytes(),
                NotUnderstood("truncated"),
            )
        }
        5 => {
            let mut frame = frame;
            while frame.tags.len() < 3 {
                frame = frame.tag(VLAN, 1);
            }
            ("three tags", frame.bytes(), NotUnderstood("too_many_tags"))
        }
        6 => {
            let frame = frame
                .segment(|tcp| tcp.payload = vec![0; 64])
                .fragment(8, 64);
            ("later fragment", frame.bytes(), NotUnderstood("fragment"))
        }
        7 => {
            // The header and all of its options are in it.
            let frame = frame.segment(|tcp| {
                tcp.options.clear();
                tcp.payload = vec![0; 64];
            });
            ("first fragment", frame.fragment(0, 24).bytes(), Judged)
        }
        8 if is_v4 => {
            let frame = frame.v4(|ip| ip.version = 5);
            ("another version", frame.bytes(), NotUnderstood("not_tcp"))
        }
        8 => {
            let frame = (0..9).fold(frame, |it, _| it.extension(Extension::destination(0)));
            let fate = NotUnderstood("too_many_extensions");
            ("nine headers", frame.bytes(), fate)
        }
        _ => other(random, frame),
    }
}

/// Something else than TCP.
fn other(random: &mut Random, mut frame: Frame) -> (&'static str, Vec<u8>, Fate) {
    if random.once_in(2) {
        let arp = Frame::other(ARP, &[0; 28]).bytes();
        return ("ARP", arp, Fate::NotUnderstood("not_ip"));
    }
    let datagram = Transport::udp(4_000, 7_001, b"hello");
    match &mut frame.contents {
        Contents::V4(ip) => ip.transport = datagram,
        Contents::V6(ip) => ip.transport = datagram,
        Contents::Other { .. } => {}
    }
    ("UDP", frame.bytes(), Fate::NotUnderstood("not_tcp"))
}
