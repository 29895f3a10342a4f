//! What is compared: how each is started, asked to read its configuration again, and stopped.

mod conntrack;
mod firewall;
mod proxy;

use std::{
    fmt::{self, Display},
    process::Command,
    sync::Arc,
};

use anyhow::Result;
use clap::ValueEnum;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tests::{Limiter, debian, process::Process};

pub use self::{
    conntrack::room_for_a_million_conntracks,
    firewall::{nft, nft_in},
};
use self::{
    firewall::{iptables, nftables_text},
    proxy::{children, haproxy_command, nginx_command},
};
use super::scene::{FIRST_PORT, LAST_PORT, LAST_SERVED, SERVER, Scene};

/// Something that limits connections, or nothing that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// No limiter at all.
    None,
    /// limiter on a cgroup.
    Limiter,
    /// limiter on a cgroup and on the interface.
    LimiterXdp,
    /// A dynamic set with `ct count`.
    Nftables,
    /// `-m connlimit`
    Iptables,
    /// A proxy with `limit_conn`.
    Nginx,
    /// A proxy with a stick table.
    Haproxy,
}

impl System {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Limiter,
        Self::LimiterXdp,
        Self::Nftables,
        Self::Iptables,
        Self::Nginx,
        Self::Haproxy,
    ];

    /// As it stands above its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no limiter",
            Self::Limiter => "limiter",
            Self::LimiterXdp => "limiter, XDP",
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// Whether it accepts connections itself and makes others to the server.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy)
    }

    /// Whether it is ours.
    pub fn is_limiter(self) -> bool {
        matches!(self, Self::Limiter | Self::LimiterXdp)
    }
}

impl Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What is asked of each.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Connections that one client may have.
    pub limit: u32,
    /// Clients that it should have room for, where it can be told.
    pub table: u32,
    /// Processes or threads of a proxy.
    pub workers: u32,
    /// What becomes of an attempt that is refused, where there is a choice.
    pub refusal: Refusal,
}

/// What becomes of a refused attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers.
    Drop,
    /// It is told.
    Reset,
}

impl Rules {
    /// With room for as many clients as is usual.
    pub fn limit(limit: u32) -> Self {
        Self {
            limit,
            table: 65_536,
            workers: 1,
            refusal: Refusal::Drop,
        }
    }

    /// Size of a zone with that room, as nginx counts it and we do after it: 64 bytes an address, and
    /// eight pages at the least.
    fn zone_size(self) -> String {
        format!("{}k", (self.table / 16).max(32))
    }

    /// With room for so many clients.
    pub fn table(self, table: u32) -> Self {
        Self { table, ..self }
    }
}

/// A system that limits. What it leaves behind when dropped goes with its scene.
pub struct Running {
    scene: Arc<Scene>,
    system: System,
    what: What,
}

enum What {
    Nothing,
    Limiter(Limiter),
    Rules,
    Proxy(Process),
}

impl Running {
    /// Starts it and waits until it says that it is ready; of a proxy, until it listens.
    pub fn start(scene: &Arc<Scene>, system: System, rules: Rules) -> Result<Self> {
        let what = match system {
            System::None => What::Nothing,
            System::Limiter | System::LimiterXdp => What::Limiter(Limiter::start_config(
                &scene.world,
                &limiter_text(system, rules),
            )),
            System::Nftables => {
                nft(scene, &nftables_text(rules))?;
                What::Rules
            }
            System::Iptables => {
                iptables(scene, rules)?;
                What::Rules
            }
            System::Nginx => What::Proxy(proxy::start(scene, nginx_command(scene, rules)?)?),
            System::Haproxy => What::Proxy(proxy::start(scene, haproxy_command(scene, rules)?)?),
        };
        Ok(Self {
            scene: Arc::clone(scene),
            system,
            what,
        })
    }

    /// Gives it other rules, without stopping it, in the way that its documentation advises.
    pub fn reload(&self, rules: Rules) -> Result<()> {
        match (&self.what, self.system) {
            (What::Limiter(limiter), system) => {
                limiter.reload(&self.scene.world, &limiter_text(system, rules));
            }
            (What::Rules, System::Nftables) => {
                nft(
                    &self.scene,
                    &format!("delete table ip limited\n{}", nftables_text(rules)),
                )?;
            }
            (What::Rules, _) => iptables(&self.scene, rules)?,
            (What::Proxy(process), System::Nginx) => {
                nginx_command(&self.scene, rules)?;
                process.signal(Signal::SIGHUP);
            }
            (What::Proxy(process), _) => {
                haproxy_command(&self.scene, rules)?;
                process.signal(Signal::SIGUSR2);
            }
            (What::Nothing, _) => {}
        }
        Ok(())
    }

    /// Processes through which data goes.
    pub fn data_processes(&self) -> Vec<u32> {
        if self.system.is_proxy() {
            self.processes()
        } else {
            Vec::new()
        }
    }

    /// Processes that belong to it.
    pub fn processes(&self) -> Vec<u32> {
        match &self.what {
            What::Proxy(process) => {
                let mut all = vec![process.id()];
                all.extend(children(process.id()));
                all
            }
            What::Limiter(limiter) => vec![limiter.id()],
            What::Nothing | What::Rules => Vec::new(),
        }
    }

    /// Which one this is.
    pub fn system(&self) -> System {
        self.system
    }
}

fn limiter_text(system: System, rules: Rules) -> String {
    let interface = match system {
        System::LimiterXdp => format!("attach interface {};\n", tests::veth::SERVERS),
        _ => String::new(),
    };
    let action = match rules.refusal {
        Refusal::Drop => "drop",
        Refusal::Reset => "reset",
    };
    let text = fill(include_str!("setup/limiter.conf"), rules);
    interface
        + &text
            .replace("SIZE", &rules.zone_size())
            .replace("ACTION", action)
}

/// What all of them are told.
fn fill(text: &str, rules: Rules) -> String {
    text.replace("LIMIT", &rules.limit.to_string())
        .replace("TABLE", &rules.table.to_string())
        .replace("FIRST", &FIRST_PORT.to_string())
        .replace("LAST", &LAST_PORT.to_string())
        .replace("SERVED", &LAST_SERVED.to_string())
        .replace("ADDRESS", &SERVER.to_string())
}

/// A program of Debian's, with the libraries and plugins that came with it.
fn debian_command(program: &str, package: &str) -> Command {
    let path = debian::program_of(program, package);
    let mut command = Command::new(&path);
    if let Some(libraries) = debian::libraries(&path) {
        command.env("XTABLES_LIBDIR", libraries.join("xtables"));
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}
