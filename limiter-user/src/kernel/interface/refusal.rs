//! Why the program is not attached to a device, and what to do about it.

use std::{fmt, io, path::Path};

use aya::programs::loaded_programs;
use limiter_common::names::PROGRAM_XDP;
use nix::unistd::{SysconfVar, sysconf};

use super::device::{self, Device, Mode, XdpProgram};
use crate::{kernel::error::KernelError, policy::Interface};

pub(super) const OPERATION: &str = "attach to interface";

/// Why the program is not attached.
pub(super) enum Refusal {
    /// The device has gone.
    Gone,
    /// What is in the way; and the device as it was then, unless nothing is to be seen on it.
    Refused(KernelError, Option<Box<Device>>),
}

impl Refusal {
    /// What the kernel's error means.
    pub(super) fn new(wanted: &Interface, device: &Device, mode: Mode, error: &io::Error) -> Self {
        // It may have changed since we looked.
        let now = match device::find(&wanted.name) {
            Ok(Some(now)) if now.index == device.index => now,
            Ok(_) => return Self::Gone,
            Err(error) => return Self::Refused(failed(wanted, error), None),
        };
        match (error.raw_os_error(), now.programs.first()) {
            (Some(libc::EBUSY | libc::EEXIST), Some(other)) => Self::taken(wanted, &now, *other),
            (Some(libc::EBUSY), None) => Self::Refused(failed(wanted, error), None),
            // net/core/dev.c, dev_xdp_attach
            (Some(libc::EEXIST), None) => {
                let cause = "a device above it, such as a bond, has an XDP program";
                let error = failed(wanted, cause).hint("attach to that device instead");
                Self::Refused(error, None)
            }
            _ if mode == Mode::Native => {
                let cause = format!("native mode: {}", why_not_native(error, &now));
                let seen = (!is_of_other_end(error, &now)).then(|| Box::new(now.clone()));
                Self::Refused(failed(wanted, cause).hint(way_out(error, &now)), seen)
            }
            _ => Self::Refused(failed(wanted, error), Some(Box::new(now))),
        }
    }

    /// The program would take the IP header for an Ethernet header.
    pub(super) fn not_ethernet(wanted: &Interface, device: &Device) -> Self {
        let error = failed(wanted, "its frames have no Ethernet header").hint(
            "leave it out: the cgroup programs limit what comes through it, or attach to the \
             interface that carries the tunnel",
        );
        Self::Refused(error, Some(Box::new(device.clone())))
    }

    /// The bpf filesystem does not take the link.
    pub(super) fn not_pinned(wanted: &Interface, pin: &Path, error: &io::Error) -> Self {
        let cause = format!("pin to {}: {error}", pin.display());
        Self::Refused(failed(wanted, cause), None)
    }

    /// Another's program is on the device.
    pub(super) fn taken(wanted: &Interface, device: &Device, other: XdpProgram) -> Self {
        let XdpProgram { id, mode } = other;
        let name = name_of(id).unwrap_or_else(|| "without a name".to_owned());
        let cause =
            format!("the XDP program {name} (id {id}, {mode} mode) is attached to it already");
        let error = failed(wanted, cause).hint(if name == PROGRAM_XDP {
            "that is another limiter: stop it, or remove what it has left (`limiter detach --instance \
             NAME`; without a name it tells the instances), or leave the interface out"
        } else {
            "limiter does not replace the programs of others: stop who attached it \
             (`bpftool net` and `bpftool link` show more), or leave the interface out"
        });
        Self::Refused(error, Some(Box::new(device.clone())))
    }
}

/// What is known about a driver's refusal: a link gets the error number, not the driver's words.
/// Completes `native mode: `.
pub(super) fn why_not_native(error: &io::Error, device: &Device) -> String {
    let mtu = device.mtu;
    let limit = native_mtu();
    let other_end = is_of_other_end(error, device);
    match error.raw_os_error() {
        _ if device.is_loopback => "loopback has none".to_owned(),
        Some(libc::ERANGE) if other_end => format!(
            "the MTU of the other end of this veth is too large, {limit} is the most (on this end \
             it is {mtu})"
        ),
        Some(libc::ENOSPC) if other_end => {
            "this end of the veth has fewer receive queues than the \
                                       other end has transmit queues"
                .to_owned()
        }
        Some(libc::EOPNOTSUPP) if may_be_mtu(error, device) => format!(
            "the driver has none, or not with an MTU of {mtu} (most drivers need one of about \
             {limit} or less)"
        ),
        Some(libc::EOPNOTSUPP) => "the driver has none".to_owned(),
        _ if may_be_mtu(error, device) => format!(
            "the driver refuses it: {error}; the likely reason is the MTU of {mtu} (most drivers \
             need one of about {limit} or less)"
        ),
        _ => format!("the driver refuses it: {error} (the MTU is {mtu})"),
    }
}

/// Whether a veth refuses because of what the device at its other end is like (drivers/net/veth.c,
/// veth_xdp_set).
fn is_of_other_end(error: &io::Error, device: &Device) -> bool {
    device.kind.as_deref() == Some("veth")
        && matches!(error.raw_os_error(), Some(libc::ERANGE | libc::ENOSPC))
}

fn way_out(error: &io::Error, device: &Device) -> &'static str {
    if may_be_mtu(error, device) {
        "lower the MTU, or use mode=auto, which falls back to generic mode"
    } else {
        "use mode=auto, which falls back to generic mode"
    }
}

/// Whether a smaller MTU may help.
fn may_be_mtu(error: &io::Error, device: &Device) -> bool {
    let is_range = error.raw_os_error() == Some(libc::ERANGE);
    !device.is_loopback && (is_range || device.mtu > native_mtu())
}

/// The largest MTU with which a packet, its headroom (XDP_PACKET_HEADROOM), the Ethernet header and
/// what the kernel keeps behind it (struct skb_shared_info) fit into one page. The last depends on
/// the kernel's configuration, and drivers have limits of their own.
fn native_mtu() -> u32 {
    const HEADROOM: u32 = 256;
    const ETHERNET: u32 = 14;
    const SHARED_INFO: u32 = 320;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| u32::try_from(page).ok());
    page.unwrap_or(4096) - HEADROOM - ETHERNET - SHARED_INFO
}

fn failed(wanted: &Interface, cause: impl fmt::Display) -> KernelError {
    KernelError::new(OPERATION, &wanted.name, cause)
}

/// A program's name, 15 bytes at the most, if it has one.
fn name_of(id: u32) -> Option<String> {
    loaded_programs()
        .flatten()
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_known() {
        let card = |mtu| Device {
            mtu,
            ..Device::default()
        };
        let veth = Device {
            kind: Some("veth".to_owned()),
            ..card(9000)
        };
        let loopback = Device {
            is_loopback: true,
            ..card(65536)
        };
        let limit = native_mtu().to_string();
        for (device, errno, words) in [
            (&veth, libc::ERANGE, &["other end", "9000", &limit][..]),
            (&veth, libc::ENOSPC, &["receive queues"]),
            (&card(1500), libc::EOPNOTSUPP, &["the driver has none"]),
            (&card(9000), libc::EOPNOTSUPP, &["MTU of 9000", &limit]),
            (&card(9000), libc::EINVAL, &["MTU of 9000", &limit]),
            (&card(1500), libc::ENOMEM, &["Cannot allocate", "1500"]),
            (&loopback, libc::EOPNOTSUPP, &["loopback has none"]),
        ] {
            let text = why_not_native(&io::Error::from_raw_os_error(errno), device);
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
    }
}
