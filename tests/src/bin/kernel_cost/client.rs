//! Clients without sockets.

use std::{net::Ipv4Addr, ops::Range, time::Duration};

use anyhow::{Context, Result};
use tests::{packet::Flow, tun::Tun};

use super::scene::SERVER;

/// Client ports of connections that stay open during a scenario.
pub const HELD_PORTS: Range<u16> = 1_024..30_000;
/// Client ports of connections that are opened, or attempted, to be measured.
const MEASURED_PORTS: Range<u16> = 30_000..65_000;
/// How long the kernel may take to answer. It answers within the write.
const PATIENCE: Duration = Duration::from_secs(1);

/// Address and port of a client.
#[derive(Clone, Copy)]
pub struct Peer {
    pub addr: Ipv4Addr,
    pub port: u16,
}

/// A connection, or a half of one, as its client sees it: less memory than a [`Flow`], for many are
/// held.
#[derive(Clone, Copy)]
pub struct Connection {
    peer: Peer,
    server_port: u16,
    isn: u32,
    /// 0 if the server's answer was not looked at.
    server_isn: u32,
}

impl Connection {
    /// Its client's address.
    pub fn addr(&self) -> Ipv4Addr {
        self.peer.addr
    }

    fn flow(&self) -> Flow {
        Flow {
            client: (self.peer.addr, self.peer.port).into(),
            server: (SERVER, self.server_port).into(),
            isn: self.isn,
        }
    }
}

/// All clients.
pub struct Client {
    tun: Tun,
    attempts: u32,
    next_port: u16,
}

impl Client {
    /// Behind this device.
    pub fn new(tun: Tun) -> Self {
        Self {
            tun,
            attempts: 0,
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

    /// Begins a handshake.
    pub fn syn(&mut self, peer: Peer, server_port: u16) -> Connection {
        let connection = self.attempt(peer, server_port);
        self.tun.send(&connection.flow().syn());
        connection
    }

    /// A packet of an established connection.
    pub fn ack(&self, connection: &Connection) {
        self.tun.send(&connection.flow().ack(connection.server_isn));
    }

    /// Resets the connection or the half-open handshake.
    pub fn reset(&self, connection: &Connection) {
        self.tun.send(&connection.flow().rst());
    }

    /// A whole handshake.
    pub fn connect(&mut self, peer: Peer, server_port: u16) -> Result<Connection> {
        let mut connection = self.attempt(peer, server_port);
        connection.server_isn = self
            .tun
            .connect(connection.flow(), PATIENCE)
            .context("the kernel did not answer a SYN")?;
        Ok(connection)
    }

    /// Throws away what the server has sent so far.
    pub fn discard_answers(&self) {
        self.tun.drain();
    }

    /// With an initial sequence number of its own.
    fn attempt(&mut self, peer: Peer, server_port: u16) -> Connection {
        self.attempts = self.attempts.wrapping_add(1);
        Connection {
            peer,
            server_port,
            isn: self.attempts.wrapping_mul(0x9e37_79b1),
            server_isn: 0,
        }
    }
}
