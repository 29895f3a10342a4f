//! A refused client whose connection is accepted all the same, to be closed later
//! (`limit_conn_action close`).

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{client, netns::NetNs, settle::PATIENCE};

/// A connection that nobody greets.
#[derive(Debug)]
pub struct Waiting {
    stream: TcpStream,
    since: Instant,
}

/// How such a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a FIN.
    Closed,
    /// With a RST.
    Reset,
    /// Not yet, when time was up.
    Open,
}

impl Waiting {
    /// Connects in `netns`.
    ///
    /// # Errors
    /// As the connection says.
    pub fn connect(netns: &NetNs, from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        Self::connect_within(netns, from, to, PATIENCE)
    }

    /// Connects in `netns`, if it is answered in time.
    ///
    /// # Errors
    /// As the connection says; `TimedOut` if nobody answers.
    pub fn connect_within(
        netns: &NetNs,
        from: IpAddr,
        to: SocketAddr,
        patience: Duration,
    ) -> io::Result<Self> {
        let since = Instant::now();
        let stream = netns.run(|| client::connect_here(from, to, patience))?;
        Ok(Self { stream, since })
    }

    /// The connection.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends something that a server would echo.
    ///
    /// # Errors
    /// As the connection says.
    pub fn say(&mut self, text: &[u8]) -> io::Result<()> {
        self.stream.write_all(text)
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If there is something to read before, for instance a greeting.
    #[track_caller]
    pub fn end(&mut self, patience: Duration) -> End {
        self.stream
            .set_read_timeout(Some(patience))
            .expect("set a timeout");
        let mut first = [0];
        match self.stream.read(&mut first) {
            Ok(0) => End::Closed,
            Ok(_) => panic!("a refused client is sent {:?}", char::from(first[0])),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(e) if e.kind() == ErrorKind::WouldBlock => End::Open,
            Err(e) => panic!("read from a refused connection: {e}"),
        }
    }

    /// It must be closed with a FIN. How long after the first SYN.
    ///
    /// # Panics
    /// If it ends otherwise.
    #[track_caller]
    pub fn must_be_closed(&mut self) -> Duration {
        assert_eq!(self.end(PATIENCE), End::Closed);
        self.since.elapsed()
    }

    /// The client goes first, with a RST.
    ///
    /// # Errors
    /// As the connection says.
    pub fn reset(self) -> io::Result<()> {
        client::reset(self.stream)
    }
}
