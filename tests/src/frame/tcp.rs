//! TCP headers.

use crate::packet::Flow;

/// A TCP segment (RFC 9293 §3.1). A field that is an Option is right if it is None.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Port of the sender.
    pub from: u16,
    /// Port of the receiver.
    pub to: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Length of the header in 32-bit words.
    pub header_words: Option<u8>,
    /// The twelve bits behind it, see [`flags`].
    pub flags: u16,
    /// Window.
    pub window: u16,
    /// Checksum.
    pub checksum: Option<u16>,
    /// Bytes behind the fixed part, at most 40; filled up to a multiple of four.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

/// Flags of TCP.
pub mod flags {
    #![expect(
        missing_docs,
        reason = "the names are those of RFC 9293 §3.1, AE of RFC 9768"
    )]
    pub const FIN: u16 = 0x001;
    pub const SYN: u16 = 0x002;
    pub const RST: u16 = 0x004;
    pub const PSH: u16 = 0x008;
    pub const ACK: u16 = 0x010;
    pub const URG: u16 = 0x020;
    pub const ECE: u16 = 0x040;
    pub const CWR: u16 = 0x080;
    pub const AE: u16 = 0x100;
}

impl Tcp {
    /// A SYN with the options that Linux sends: segment size, selective acknowledgement,
    /// timestamps, window scale.
    pub fn syn(flow: &Flow) -> Self {
        Self {
            options: vec![
                2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
            ],
            ..Self::bare(flow, flags::SYN)
        }
    }

    /// The first segment of a flow, without options.
    pub fn bare(flow: &Flow, flags: u16) -> Self {
        Self {
            from: flow.client.port(),
            to: flow.server.port(),
            sequence: flow.isn,
            acknowledgement: 0,
            header_words: None,
            flags,
            window: 64_240,
            checksum: None,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Checksum 0, unless it is given.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let words = u16::try_from(5 + options.len() / 4).expect("at most 15");
        let words = self.header_words.map_or(words, u16::from);

        let mut bytes = [self.from, self.to].map(u16::to_be_bytes).concat();
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend((words << 12 | self.flags).to_be_bytes());
        bytes.extend(self.window.to_be_bytes());
        bytes.extend(self.checksum.unwrap_or(0).to_be_bytes());
        bytes.extend([0, 0]); // urgent pointer
        bytes.extend(options);
        bytes.extend(&self.payload);
        bytes
    }
}
