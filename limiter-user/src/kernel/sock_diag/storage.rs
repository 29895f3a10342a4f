//! Open connections with what a map remembers of their sockets (net/core/bpf_sk_storage.c,
//! bpf_sk_storage_diag_put). Asking for it takes CAP_BPF.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, Nla as _};
use netlink_packet_sock_diag::{
    constants::{AF_INET, AF_INET6},
    inet::{ExtensionFlags, SocketId, nlas::Nla as InetAttribute},
};

use super::{cookie_from_bytes, each_answer, open_connections, request, send_bytes};
use crate::kernel::raw::{Boundary, read_record};

/// include/uapi/linux/inet_diag.h
const INET_DIAG_REQ_SK_BPF_STORAGES: u16 = 2;
const INET_DIAG_SK_BPF_STORAGES: u16 = 20;
/// include/uapi/linux/sock_diag.h
const SK_DIAG_BPF_STORAGE_REQ_MAP_FD: u16 = 1;
const SK_DIAG_BPF_STORAGE: u16 = 1;
const SK_DIAG_BPF_STORAGE_MAP_VALUE: u16 = 3;
/// include/uapi/linux/netlink.h
const NLA_F_NESTED: u16 = 1 << 15;

/// The socket of an open connection, and what the map has of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct Stored<T> {
    /// Unique while the machine is up.
    pub(in crate::kernel) cookie: u64,
    /// include/net/tcp_states.h
    pub(in crate::kernel) state: u8,
    /// Of its file; 0: nobody has accepted it yet, or nobody holds it any more.
    pub(in crate::kernel) inode: u32,
    pub(in crate::kernel) value: T,
}

/// Calls `each` with every open connection of this network namespace that a socket storage map has
/// something of. The programs may be changing it.
pub(in crate::kernel) fn each_stored<T: Boundary>(
    map: BorrowedFd<'_>,
    mut each: impl FnMut(Stored<T>),
) -> io::Result<()> {
    for (family, any) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let socket = send_bytes(&with_storage_of(map, family, any))?;
        each_answer(&socket, |response| {
            if let Some(value) = response.nlas.iter().find_map(value_of) {
                let header = &response.header;
                each(Stored {
                    cookie: cookie_from_bytes(header.socket_id.cookie),
                    state: header.state,
                    inode: header.inode,
                    value,
                });
            }
        })?;
    }
    Ok(())
}

/// A request with an attribute behind it, for which the crate has no type.
fn with_storage_of(map: BorrowedFd<'_>, family: u8, any: SocketId) -> Vec<u8> {
    let descriptor = map.as_raw_fd().to_ne_bytes();
    let map = attribute(SK_DIAG_BPF_STORAGE_REQ_MAP_FD, &descriptor);
    let storages = attribute(INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED, &map);
    let mut message = request(family, open_connections(), any, ExtensionFlags::empty());
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes.extend(storages);
    let length = (bytes.len() as u32).to_ne_bytes();
    bytes[..length.len()].copy_from_slice(&length);
    bytes
}

/// struct nlattr and what is in it; as long as a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
}

fn value_of<T: Boundary>(attribute: &InetAttribute) -> Option<T> {
    if attribute.kind() & !NLA_F_NESTED != INET_DIAG_SK_BPF_STORAGES {
        return None;
    }
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    let storage = find(&bytes, SK_DIAG_BPF_STORAGE)?;
    read_record(find(storage, SK_DIAG_BPF_STORAGE_MAP_VALUE)?)
}

/// What is in the attribute of this kind.
fn find(mut bytes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let (length, rest) = bytes.split_first_chunk()?;
        let found = u16::from_ne_bytes(*rest.first_chunk()?) & !NLA_F_NESTED;
        let length = usize::from(u16::from_ne_bytes(*length));
        if found == kind {
            return bytes.get(4..length);
        }
        // One that has no length would never end.
        bytes = bytes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_by_their_kind() {
        let bytes = [attribute(7, &[1; 4]), attribute(9 | NLA_F_NESTED, &[2; 8])].concat();
        assert_eq!(find(&bytes, 7), Some(&[1; 4][..]));
        assert_eq!(find(&bytes, 9), Some(&[2; 8][..]));
        assert_eq!(find(&bytes, 8), None);
        for end in 0..bytes.len() {
            assert_eq!(find(&bytes[..end], 9), None, "cut at {end}");
        }
        assert_eq!(find(&[0; 64], 9), None);
    }
}
