//! Which processes have a socket, from /proc.
//!
//! `/proc/PID/fd` says it in one system call a descriptor, but belongs to the user of the process, and
//! the daemon may have given up CAP_DAC_READ_SEARCH. `/proc/PID/fdinfo` says it, too, and asks for no more
//! than CAP_SYS_PTRACE (fs/proc/fd.c, proc_fdinfo_permission).

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::fd::AsRawFd as _,
    path::Path,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Its number, as we see it.
    pub pid: u32,
    /// Its name (`/proc/PID/comm`).
    pub name: String,
}

/// Who has which socket.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    by_inode: HashMap<u32, Vec<Owner>>,
    /// Processes that we were not allowed to look at: they may have any.
    pub hidden: u64,
}

impl Owners {
    /// Looks for these sockets in every process that can be seen.
    ///
    /// # Errors
    ///
    /// If there is no /proc.
    pub fn find(inodes: &HashSet<u32>) -> io::Result<Self> {
        let mut owners = Self::default();
        if inodes.is_empty() {
            return Ok(owners);
        }
        let sockets = socket_mount();
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let process = entry.path();
            let found = match by_links(&process, inodes) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    by_info(&process, inodes, sockets.as_deref())
                }
                found => found,
            };
            match found {
                Ok(found) if found.is_empty() => {}
                Ok(found) => {
                    let owner = Owner {
                        pid,
                        name: name_of(&process),
                    };
                    for inode in found {
                        let of_this = owners.by_inode.entry(inode).or_default();
                        of_this.push(owner.clone());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    owners.hidden += 1;
                }
                // It has ended.
                Err(_) => {}
            }
        }
        owners.by_inode.values_mut().for_each(|it| it.sort());
        Ok(owners)
    }

    /// Those that have the socket with this inode, by number.
    pub fn of(&self, inode: u32) -> &[Owner] {
        self.by_inode.get(&inode).map_or(&[], Vec::as_slice)
    }
}

/// A link reads `socket:[INODE]`.
fn by_links(process: &Path, inodes: &HashSet<u32>) -> io::Result<HashSet<u32>> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(process.join("fd"))? {
        let target = match fs::read_link(entry?.path()) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            // It was closed meanwhile.
            Err(_) => continue,
        };
        let inode = target
            .to_str()
            .and_then(|target| target.strip_prefix("socket:["))
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|inode| inode.parse().ok());
        found.extend(inode.filter(|inode| inodes.contains(inode)));
    }
    Ok(found)
}

/// The lines `mnt_id:` and `ino:` (since Linux 5.14). Sockets have a mount of their own, and inodes of
/// other mounts may have the same numbers.
fn by_info(
    process: &Path,
    inodes: &HashSet<u32>,
    sockets: Option<&str>,
) -> io::Result<HashSet<u32>> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(process.join("fdinfo"))? {
        let info = match fs::read_to_string(entry?.path()) {
            Ok(info) => info,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => continue,
        };
        if line(&info, "mnt_id:") == sockets {
            let inode = line(&info, "ino:").and_then(|inode| inode.parse().ok());
            found.extend(inode.filter(|inode| inodes.contains(inode)));
        }
    }
    Ok(found)
}

/// The mount that all sockets are on, from one of our own.
fn socket_mount() -> Option<String> {
    let own = socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let own = own.ok()?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", own.as_raw_fd())).ok()?;
    line(&info, "mnt_id:").map(str::to_owned)
}

fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let rest = info.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim())
}

fn name_of(process: &Path) -> String {
    let name = fs::read(process.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, net::TcpListener, os::unix::fs::MetadataExt as _};

    use super::*;

    #[test]
    fn both_ways_find_a_socket_of_our_own() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let link = format!("/proc/self/fd/{}", listener.as_raw_fd());
        let inode = fs::metadata(link).expect("a socket").ino() as u32;
        // A number that a file may have as well.
        let file = File::open("/proc/self/exe").expect("ourselves");
        let other = file.metadata().expect("a file").ino() as u32;
        let wanted = HashSet::from([inode, other]);
        let this = Path::new("/proc/self");
        let sockets = socket_mount();
        let expected = HashSet::from([inode]);
        assert_eq!(by_links(this, &wanted).expect("links"), expected);
        let found = by_info(this, &wanted, sockets.as_deref());
        assert_eq!(found.expect("information"), expected);

        let owners = Owners::find(&wanted).expect("/proc");
        assert_eq!(owners.of(inode)[0].pid, std::process::id());
        assert!(owners.of(other).is_empty());
    }
}
