//! The TCP sockets of `metrics`: bound once, while that may take privileges; others take their place
//! when the policy says so.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, sync::watch};

/// Connections that the kernel keeps until they are accepted, which is at once.
const BACKLOG: i32 = 128;

/// Why counters cannot be served at an address.
#[derive(Debug, thiserror::Error)]
#[error("metrics {address}: {cause}")]
pub struct PortError {
    /// The address.
    pub address: SocketAddr,
    /// What stands in the way.
    pub cause: io::Error,
}

impl PortError {
    /// In one line.
    pub fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => Some("another program listens there: name another port"),
            io::ErrorKind::AddrNotAvailable => {
                Some("name an address of this host, or 0.0.0.0 or [::] for all of them")
            }
            io::ErrorKind::PermissionDenied => Some(
                "a port below 1024 can be had at the start only, by root or with \
                 CAP_NET_BIND_SERVICE",
            ),
            _ => None,
        }
    }
}

/// One socket that listens.
#[derive(Debug)]
pub struct Port {
    /// As it was asked for.
    pub address: SocketAddr,
    socket: std::net::TcpListener,
}

impl Port {
    fn bind(address: SocketAddr) -> Result<Self, PortError> {
        let socket = bind(address).map_err(|cause| PortError { address, cause })?;
        Ok(Self { address, socket })
    }

    /// Where peers arrive. Needs a tokio runtime.
    pub(super) fn listener(&self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.socket.try_clone()?)
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // So that it does not depend on a sysctl whether [::] is every IPv4 address as well.
        socket.set_only_v6(true)?;
    }
    // Connections that have just ended do not keep the next daemon waiting.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Every port that is open.
#[derive(Debug, Default)]
pub struct Ports(watch::Sender<Vec<Arc<Port>>>);

impl Ports {
    /// Opens these. The kernel lets peers wait until somebody serves them.
    ///
    /// # Errors
    ///
    /// The first one that cannot be had; then none is open.
    pub fn open(addresses: &[SocketAddr]) -> Result<Self, PortError> {
        let none = Self(watch::Sender::default());
        let ports = none.prepare(addresses)?;
        none.switch(ports);
        Ok(none)
    }

    /// Opens those of these that are not open yet, and leaves the others as they are.
    ///
    /// # Errors
    ///
    /// The first one that cannot be had; then nothing has changed.
    pub fn prepare(&self, addresses: &[SocketAddr]) -> Result<Vec<Arc<Port>>, PortError> {
        let open = self.0.borrow().clone();
        let addresses = addresses.iter();
        let ports = addresses.map(|address| {
            let kept = open.iter().find(|port| port.address == *address);
            match kept {
                Some(port) => Ok(Arc::clone(port)),
                None => Port::bind(*address).map(Arc::new),
            }
        });
        ports.collect()
    }

    /// These are open from here on, and no others.
    pub fn switch(&self, ports: Vec<Arc<Port>>) {
        self.0.send_replace(ports);
    }

    /// Those that are open, and their changes.
    pub fn follow(&self) -> watch::Receiver<Vec<Arc<Port>>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> SocketAddr {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        socket.local_addr().expect("an address")
    }

    #[test]
    fn a_port_that_cannot_be_had_changes_nothing() {
        let (first, second) = (free(), free());
        let ports = Ports::open(&[first]).expect("free");
        let error = Ports::open(&[second, first]).expect_err("taken");
        assert_eq!(error.address, first);
        assert!(error.hint().expect("a hint").contains("another port"));
        assert!(error.to_string().starts_with(&format!("metrics {first}: ")));
        let foreign = "192.0.2.1:9145".parse().expect("an address");
        assert!(ports.prepare(&[second, foreign]).is_err());
        assert_eq!(ports.follow().borrow().len(), 1);
        // What was opened on the way is free again.
        drop(bind(second).expect("free"));
    }

    #[test]
    fn what_stays_is_the_same_socket_and_what_goes_is_closed() {
        let (first, second) = (free(), free());
        let ports = Ports::open(&[first]).expect("free");
        let before = ports.follow().borrow()[0].clone();
        let both = ports.prepare(&[second, first]).expect("free");
        ports.switch(both);
        assert!(Arc::ptr_eq(&before, &ports.follow().borrow()[1]));
        drop(before);
        let one = ports.prepare(&[second]).expect("it is open");
        ports.switch(one);
        drop(bind(first).expect("free"));
    }
}
