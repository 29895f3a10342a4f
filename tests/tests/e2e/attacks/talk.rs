//! A client's end of a connection, segment by segment: nothing is sent that the test does not send.

use tests::{
    frame::flags::{ACK, PSH},
    packet::{Flow, Segment},
    serve::GREETING,
    settle::PATIENCE,
    tun::Tun,
};

/// An established connection with the server's application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    pub flow: Flow,
    /// Sequence number of what the client sends next.
    pub next: u32,
    /// What the server sends next; everything before is acknowledged.
    pub expected: u32,
}

impl Talk {
    /// Connects, and is accepted and greeted.
    #[track_caller]
    pub fn open(tun: &Tun, flow: Flow) -> Self {
        tun.drain();
        let isn = tun.connect(flow, PATIENCE);
        Self::of(flow, isn.expect("an answer to the SYN")).greeted(tun)
    }

    /// After the handshake; `isn` is the server's.
    pub fn of(flow: Flow, isn: u32) -> Self {
        Self {
            flow,
            next: flow.isn.wrapping_add(1),
            expected: isn.wrapping_add(1),
        }
    }

    /// Waits for the greeting.
    #[track_caller]
    pub fn greeted(mut self, tun: &Tun) -> Self {
        self.must_read(tun, GREETING);
        self
    }

    /// The server's application answers.
    #[track_caller]
    pub fn must_echo(&mut self, tun: &Tun) {
        tun.drain();
        self.say(tun, b'x');
        self.must_read(tun, b'x');
    }

    /// Sends one byte.
    pub fn say(&mut self, tun: &Tun, byte: u8) {
        let (next, expected) = (self.next, self.expected);
        tun.send(&self.flow.forged(PSH | ACK, next, expected, &[byte]));
        self.next = next.wrapping_add(1);
    }

    /// A segment without payload, so many bytes ahead of what the server waits for.
    pub fn segment(&self, flags: u16, ahead: u32) -> Vec<u8> {
        let sequence = self.next.wrapping_add(ahead);
        self.flow.forged(flags, sequence, self.expected, &[])
    }

    /// The next segment of the server on this connection that `wanted` takes.
    #[track_caller]
    pub fn receive(&self, tun: &Tun, wanted: impl Fn(&Segment) -> bool) -> Segment {
        loop {
            let segment = tun.receive(PATIENCE).expect("an answer of the server");
            let ends = (segment.from, segment.to);
            if ends == (self.flow.server, self.flow.client) && wanted(&segment) {
                return segment;
            }
        }
    }

    /// Waits for the next byte, and acknowledges it. What the device had no room for is sent again.
    #[track_caller]
    fn must_read(&mut self, tun: &Tun, byte: u8) {
        let expected = self.expected;
        let segment = self.receive(tun, |it| !it.payload.is_empty() && it.sequence == expected);
        assert_eq!(segment.payload, [byte]);
        self.expected = expected.wrapping_add(1);
        tun.send(&self.segment(ACK, 0));
    }
}
