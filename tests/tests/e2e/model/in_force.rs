//! Servers with all that they inherit, and which of them an endpoint belongs to.

use std::net::{IpAddr, SocketAddr};

use tests::netns::unspecified;

use super::{
    net::Net,
    policy::{Action, Level, Listen, Policy},
};

/// All servers. Without any, the main context is one.
pub fn servers(policy: &Policy) -> Vec<Server> {
    if policy.servers.is_empty() {
        let nothing = Level::default();
        return vec![Server::new("default", &[], &nothing, &policy.main)];
    }
    let servers = policy.servers.iter();
    servers
        .map(|it| Server::new(&it.name, &it.listens, &it.level, &policy.main))
        .collect()
}

/// Position of the server with this very address, else of the one for every address of its family,
/// else of the one for every address, else of the one without `listen`.
pub fn server_at(servers: &[Server], to: SocketAddr) -> Option<usize> {
    let listens = |addr: Option<IpAddr>| {
        servers.iter().position(|server| {
            server.listens.iter().any(|listen| {
                listen.addr == addr && (listen.first..=listen.last).contains(&to.port())
            })
        })
    };
    listens(Some(to.ip()))
        .or_else(|| listens(Some(unspecified(to.ip()))))
        .or_else(|| listens(None))
        .or_else(|| servers.iter().position(|it| it.listens.is_empty()))
}

/// A server with all that it inherits.
pub struct Server {
    pub name: String,
    pub listens: Vec<Listen>,
    pub limits: Vec<Limit>,
    pub exempt: Vec<Net>,
    pub dry_run: bool,
    pub action: Action,
}

pub struct Limit {
    pub zone: usize,
    pub number: u16,
    pub overrides: Vec<(Net, u16)>,
}

impl Server {
    pub fn new(name: &str, listens: &[Listen], own: &Level, main: &Level) -> Self {
        let of = |is_written: bool| if is_written { own } else { main };
        let overrides = &of(own.overrides.is_some()).overrides;
        let limits = &of(!own.limits.is_empty()).limits;
        let limits = limits.iter().map(|(zone, number)| Limit {
            zone: *zone,
            number: *number,
            overrides: overrides
                .iter()
                .flatten()
                .filter(|(of, ..)| of == zone)
                .map(|(_, net, number)| (*net, *number))
                .collect(),
        });
        Self {
            name: name.to_owned(),
            listens: listens.to_vec(),
            limits: limits.collect(),
            exempt: of(own.exempt.is_some()).exempt.clone().unwrap_or_default(),
            dry_run: own.dry_run.or(main.dry_run).unwrap_or(false),
            action: own.action.or(main.action).unwrap_or(Action::Drop),
        }
    }
}

impl Limit {
    /// Of several networks with the client, the smallest one wins.
    pub fn number_for(&self, client: IpAddr) -> u16 {
        let nets = self.overrides_for(client);
        nets.max_by_key(|(net, _)| net.bits())
            .map_or(self.number, |(_, number)| *number)
    }

    pub fn number_of_the_largest(&self, client: IpAddr) -> u16 {
        let nets = self.overrides_for(client);
        nets.min_by_key(|(net, _)| net.bits())
            .map_or(self.number, |(_, number)| *number)
    }

    fn overrides_for(&self, client: IpAddr) -> impl Iterator<Item = &(Net, u16)> {
        let overrides = self.overrides.iter();
        overrides.filter(move |(net, _)| net.contains(client))
    }
}
