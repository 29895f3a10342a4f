//! A network namespace of the test's own. It has no name: it is gone with its last user.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    panic::resume_unwind,
    thread,
};

use ipnet::IpNet;
use nix::sched::{CloneFlags, setns, unshare};
use socket2::{Domain, Socket, Type};

use crate::routing;

/// A network namespace with loopback and nothing else. All of 127.0.0.0/8 is local in it.
#[derive(Debug)]
pub struct NetNs {
    file: File,
}

impl NetNs {
    /// A new one, loopback up.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn new() -> Self {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
            up("lo").expect("bring loopback up");
            File::open("/proc/thread-self/ns/net").expect("open the network namespace")
        });
        Self { file }
    }

    /// Runs `f` on a thread inside the namespace. Sockets and TUN devices that it makes belong to
    /// the namespace for good.
    ///
    /// # Panics
    /// As `f` does.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            self.enter();
            f()
        })
    }

    /// Moves this thread, and those it will start, into the namespace for good.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn enter(&self) {
        setns(&self.file, CloneFlags::CLONE_NEWNET).expect("enter the network namespace");
    }

    /// Sets `/proc/sys/NAME` for this namespace.
    ///
    /// # Panics
    /// If there is no such switch.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{name}");
        self.run(|| fs::write(&path, value))
            .unwrap_or_else(|e| panic!("write {value:?} to {path}: {e}"));
    }

    /// Gives loopback another IPv6 address, which can be used at once.
    ///
    /// # Panics
    /// If the kernel refuses it.
    pub fn add_loopback_v6(&self, address: Ipv6Addr) {
        let address = IpNet::new(address.into(), 128).expect("a prefix of 128");
        routing::add_address(self, "lo", address);
    }
}

impl Default for NetNs {
    fn default() -> Self {
        Self::new()
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Brings a device of the current namespace up.
///
/// # Errors
/// As the kernel says.
pub fn up(device: &str) -> io::Result<()> {
    let mut request = request(device);
    request.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("both fit");
    interface_ioctl(Domain::IPV4, libc::SIOCSIFFLAGS, &raw mut request)
}

/// Gives a device of the current namespace its IPv4 address.
///
/// # Errors
/// As the kernel says.
pub fn set_v4(device: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    for (operation, value) in [
        (libc::SIOCSIFADDR, address),
        (libc::SIOCSIFNETMASK, Ipv4Addr::from_bits(mask)),
    ] {
        let mut request = request(device);
        // An IPv4 socket address is a family, a port and four bytes, in network order.
        request.ifr_ifru.ifru_addr.sa_family =
            libc::sa_family_t::try_from(libc::AF_INET).expect("fits");
        for (to, from) in request.ifr_ifru_addr()[2..].iter_mut().zip(value.octets()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        interface_ioctl(Domain::IPV4, operation, &raw mut request)?;
    }
    Ok(())
}

/// The address that stands for every address, of the family of `like`.
pub fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// A request about a device, everything else zero.
pub(crate) fn request(device: &str) -> libc::ifreq {
    // SAFETY: `ifreq` is plain data for which all zeroes is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    assert!(
        device.len() < request.ifr_name.len(),
        "{device:?} is too long"
    );
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request
}

trait AddressBytes {
    fn ifr_ifru_addr(&mut self) -> &mut [libc::c_char; 14];
}

impl AddressBytes for libc::ifreq {
    fn ifr_ifru_addr(&mut self) -> &mut [libc::c_char; 14] {
        // SAFETY: the request was zeroed, and every byte of the union is plain data.
        unsafe { &mut self.ifr_ifru.ifru_addr.sa_data }
    }
}

fn interface_ioctl<T>(family: Domain, operation: libc::Ioctl, request: *mut T) -> io::Result<()> {
    let socket = Socket::new(family, Type::DGRAM, None)?;
    // SAFETY: the caller passes the request that belongs to the operation, and it lives.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), operation, request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn on_a_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(f).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
