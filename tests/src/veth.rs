//! A cable between the namespace of the servers and one of clients: packets take the way that they
//! take between two hosts.

use std::{net::IpAddr, thread::sleep, time::Duration};

use ipnet::IpNet;

use crate::{
    bpf,
    link::{self, XdpMode},
    netns::NetNs,
    routing,
    xdp::{self, Verdict},
};

/// Name of the servers' end.
pub const SERVERS: &str = "veth0";
/// Name of the clients' end.
pub const CLIENTS: &str = "veth1";
/// Addresses of the servers' end.
pub const SERVER_ADDRESSES: [&str; 2] = ["10.0.0.1/24", "fd00::1/64"];
/// Addresses that clients may connect from, every one of them.
pub const CLIENT_PREFIXES: [&str; 2] = ["10.1.0.0/16", "fd00:1::/64"];

/// Addresses of the clients' end, by which their prefixes are reached.
const CLIENT_ADDRESSES: [&str; 2] = ["10.0.0.2/24", "fd00::2/64"];

/// A veth pair. Both ends are removed when it is dropped.
#[derive(Debug)]
pub struct Veth {
    clients: NetNs,
}

impl Veth {
    /// From `servers` to a new namespace.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn new(servers: &NetNs) -> Self {
        let clients = NetNs::new();
        // An IPv6 socket binds only to addresses of devices unless told otherwise
        // (net/ipv6/af_inet6.c, __inet6_bind).
        clients.sysctl("net/ipv6/ip_nonlocal_bind", "1");
        for many in CLIENT_PREFIXES {
            routing::add_local_prefix(&clients, prefix(many));
        }
        let veth = Self { clients };
        veth.plug(servers);
        veth
    }

    fn plug(&self, servers: &NetNs) {
        link::add_veth(servers, SERVERS, CLIENTS);
        link::move_to(servers, CLIENTS, &self.clients);
        link::bring_up(&self.clients, CLIENTS);
        // An interface that goes down keeps its IPv6 addresses, as it does those of IPv4.
        for (netns, name) in [(servers, SERVERS), (&self.clients, CLIENTS)] {
            netns.sysctl(&format!("net/ipv6/conf/{name}/keep_addr_on_down"), "1");
        }
        for address in SERVER_ADDRESSES {
            routing::add_address(servers, SERVERS, prefix(address));
        }
        for address in CLIENT_ADDRESSES {
            routing::add_address(&self.clients, CLIENTS, prefix(address));
        }
        add_routes(servers);
    }

    /// Removes the cable, and lays another one after a while. Connections stay open, and go on.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn replace(&self, servers: &NetNs, after: Duration) {
        link::delete(&self.clients, CLIENTS);
        sleep(after);
        self.plug(servers);
    }

    /// Takes one end down, and up again after a while.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn flap(&self, servers: &NetNs, end: &str, after: Duration) {
        let netns = if end == SERVERS {
            servers
        } else {
            &self.clients
        };
        link::bring_down(netns, end);
        sleep(after);
        link::bring_up(netns, end);
        // Those by a gateway are gone then (net/ipv4/fib_frontend.c, fib_disable_ip).
        if end == SERVERS {
            add_routes(servers);
        }
    }

    /// Where the clients are.
    pub fn clients(&self) -> &NetNs {
        &self.clients
    }

    /// Sets the longest packet, bytes, at both ends.
    pub fn set_mtu(&self, servers: &NetNs, bytes: u32) {
        link::set_mtu(servers, SERVERS, bytes);
        link::set_mtu(&self.clients, CLIENTS, bytes);
    }

    /// Has the clients' end take what an XDP program in the driver of the servers' end sends back,
    /// until the link is dropped: for that it needs a program itself. GRO has it poll as well, but
    /// then nobody wakes it (drivers/net/veth.c, veth_xdp_flush).
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn take_replies(&self) -> bpf::Link {
        let program = xdp::load("take_replies", &xdp::always(Verdict::Pass));
        xdp::attach(&program, &self.clients, CLIENTS, XdpMode::Native)
            .unwrap_or_else(|e| panic!("attach an XDP program to {CLIENTS}: {e}"))
    }
}

/// To the clients.
fn add_routes(servers: &NetNs) {
    for (address, many) in CLIENT_ADDRESSES.into_iter().zip(CLIENT_PREFIXES) {
        routing::add_route(servers, SERVERS, prefix(many), prefix(address).addr());
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        // One end goes with the other; a test may have removed them already.
        if self
            .clients
            .run(|| nix::net::if_::if_nametoindex(CLIENTS))
            .is_ok()
        {
            link::delete(&self.clients, CLIENTS);
        }
    }
}

/// One of the clients' addresses: number 5 is 10.1.0.5, or fd00:1::5.
///
/// # Panics
/// Never: every number is in both prefixes.
pub fn client(like: IpAddr, number: u16) -> IpAddr {
    let [v4, v6] = CLIENT_PREFIXES.map(prefix);
    match (like, v4.network(), v6.network()) {
        (IpAddr::V4(_), IpAddr::V4(first), _) => {
            IpAddr::V4((first.to_bits() | u32::from(number)).into())
        }
        (IpAddr::V6(_), _, IpAddr::V6(first)) => {
            IpAddr::V6((first.to_bits() | u128::from(number)).into())
        }
        families => unreachable!("{families:?}"),
    }
}

fn prefix(text: &str) -> IpNet {
    text.parse().expect("literal")
}
