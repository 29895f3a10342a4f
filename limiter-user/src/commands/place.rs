//! Which daemon is meant: its instance, and its control socket.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    control::{DEFAULT_SOCKET, socket_of},
    fnv::fnv1a,
    kernel::{Instance, pins},
};

/// Options of every command that has to do with a daemon.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Place {
    /// The daemon's control socket [default: /run/limiter/limiter.sock]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "LIMITER_CONTROL",
        hide_env_values = true
    )]
    pub(super) control: Option<PathBuf>,
    /// Name of the daemon, if there are several; its socket is /run/limiter/NAME.sock
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "LIMITER_INSTANCE",
        hide_env_values = true
    )]
    pub(super) instance: Option<String>,
}

impl Place {
    /// The control socket. `configured`: what the configuration says.
    pub(super) fn socket(&self, configured: Option<PathBuf>) -> PathBuf {
        let named = self.control.clone().or(configured);
        named.unwrap_or_else(|| match &self.instance {
            Some(name) => socket_of(name),
            None => DEFAULT_SOCKET.into(),
        })
    }

    /// The instance: the one that is named, else that of the socket.
    pub(super) fn instance(&self, socket: &Path) -> Result<Instance, Failure> {
        let name = match &self.instance {
            Some(name) => name.clone(),
            None => of_socket(socket),
        };
        Instance::new(&name).ok_or(Failure::Usage {
            text: "--instance: not a name",
            hint: "use letters, digits, - and _, 64 at the most",
        })
    }

    /// What to do about what is left of a daemon that does not answer.
    pub(super) fn left_behind(&self) -> Option<String> {
        let instance = self.instance(&self.socket(None)).ok()?;
        pins::is_pinned(&instance).then(|| {
            format!(
                "instance {instance} goes on counting and refusing without a daemon: `limiter run` \
                 takes over, `limiter detach` ends it"
            )
        })
    }
}

/// A daemon with a socket of its own is an instance of its own.
fn of_socket(socket: &Path) -> String {
    if socket == Path::new(DEFAULT_SOCKET) {
        return Instance::DEFAULT.to_owned();
    }
    let absolute = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    format!("socket-{:016x}", fnv1a(absolute.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(control: Option<&str>, instance: Option<&str>) -> Place {
        Place {
            control: control.map(PathBuf::from),
            instance: instance.map(str::to_owned),
        }
    }

    #[test]
    fn names_and_sockets_belong_together() {
        for (control, instance, socket, name) in [
            (None, None, DEFAULT_SOCKET, "default"),
            (None, Some("web"), "/run/limiter/web.sock", "web"),
            (Some("/x.sock"), Some("web"), "/x.sock", "web"),
        ] {
            let place = place(control, instance);
            let found = place.socket(None);
            assert_eq!(found, Path::new(socket));
            let instance = place.instance(&found).expect("a name");
            assert_eq!(instance.name(), name);
        }
        let name = |socket: &str| {
            let place = place(Some(socket), None);
            let instance = place.instance(&place.socket(None));
            instance.expect("a name").name().to_owned()
        };
        // Every version has to find it again.
        assert_eq!(name("/x.sock"), "socket-74b761adab0d6c64");
        assert_ne!(name("/x.sock"), name("/y.sock"));
        let bad = place(None, Some("a.b"));
        assert!(bad.instance(&bad.socket(None)).is_err());
    }
}
