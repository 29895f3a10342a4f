//! Clients without sockets.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
};

use anyhow::{Result, ensure};

use super::{
    scene::SERVER,
    segment::{ACK, RST, SYN, Segment},
    tun::Tun,
};

/// Client ports of connections that stay open during a scenario.
pub const HELD_PORTS: Range<u16> = 1_024..30_000;
/// Client ports of connections that are opened, or attempted, to be measured.
const MEASURED_PORTS: Range<u16> = 30_000..65_000;

/// Address and port of a client.
#[derive(Clone, Copy)]
pub struct Peer {
    pub addr: Ipv4Addr,
    pub port: u16,
}

/// A connection, or a half of one, as its client sees it.
#[derive(Clone, Copy)]
pub struct Connection {
    peer: Peer,
    server_port: u16,
    /// Next to send.
    sequence: u32,
    /// Next to receive; 0 if the server has not answered.
    acknowledgement: u32,
}

impl Connection {
    /// Its client's address.
    pub fn addr(&self) -> Ipv4Addr {
        self.peer.addr
    }
}

/// All clients.
pub struct Client {
    tun: Tun,
    segments: u32,
    next_port: u16,
}

impl Client {
    /// Behind this device.
    pub fn new(tun: Tun) -> Self {
        Self {
            tun,
            segments: 0,
            next_port: MEASURED_PORTS.start,
        }
    }

    /// A port of this address that was not used for a while.
    pub fn peer(&mut self, addr: Ipv4Addr) -> Peer {
        let port = self.next_port;
        self.next_port = if port + 1 < MEASURED_PORTS.end {
            port + 1
        } else {
            MEASURED_PORTS.start
        };
        Peer { addr, port }
    }

    /// Begins a handshake, with an initial sequence number of its own.
    pub fn syn(&mut self, peer: Peer, server_port: u16) -> Result<Connection> {
        self.segments = self.segments.wrapping_add(1);
        let initial = self.segments.wrapping_mul(0x9e37_79b1);
        let mut connection = Connection {
            peer,
            server_port,
            sequence: initial,
            acknowledgement: 0,
        };
        self.send(&connection, SYN)?;
        connection.sequence = initial.wrapping_add(1);
        Ok(connection)
    }

    /// Waits for the SYN-ACK.
    pub fn answer(&mut self, connection: &mut Connection) -> Result<()> {
        loop {
            let segment = self.tun.receive()?;
            let is_ours = segment.destination
                == SocketAddrV4::new(connection.peer.addr, connection.peer.port)
                && segment.source.port() == connection.server_port;
            if is_ours && segment.flags == SYN | ACK {
                ensure!(
                    segment.acknowledgement == connection.sequence,
                    "the SYN-ACK acknowledges another SYN"
                );
                connection.acknowledgement = segment.sequence.wrapping_add(1);
                return Ok(());
            }
        }
    }

    /// Acknowledges what has been received: completes a handshake, or is a packet of an established
    /// connection.
    pub fn ack(&mut self, connection: &Connection) -> Result<()> {
        self.send(connection, ACK)
    }

    /// Resets the connection or the half-open handshake.
    pub fn reset(&mut self, connection: &Connection) -> Result<()> {
        self.send(connection, RST | ACK)
    }

    /// A whole handshake.
    pub fn connect(&mut self, peer: Peer, server_port: u16) -> Result<Connection> {
        let mut connection = self.syn(peer, server_port)?;
        self.answer(&mut connection)?;
        self.ack(&connection)?;
        Ok(connection)
    }

    /// Throws away what the server has sent so far.
    pub fn discard_answers(&mut self) -> Result<()> {
        self.tun.discard()
    }

    fn send(&mut self, connection: &Connection, flags: u8) -> Result<()> {
        self.tun.send(Segment {
            source: SocketAddrV4::new(connection.peer.addr, connection.peer.port),
            destination: SocketAddrV4::new(SERVER, connection.server_port),
            sequence: connection.sequence,
            acknowledgement: connection.acknowledgement,
            flags,
        })
    }
}
