//! The limited servers.

use tests::{Server, World, random::Random};

use super::scene::{MAIL, at};

/// Endpoints of each process, and its flags.
const SERVERS: [(&[&str], &[&str]); 4] = [
    (&["[::]:8080"], &[]),
    (&["[::]:8081"], &[]),
    (&["[::]:8082"], &[]),
    // It keeps what clients have closed.
    (&MAIL, &["--hold"]),
];

/// All of them.
pub struct Servers<'a> {
    world: &'a World,
    servers: Vec<Server>,
}

impl<'a> Servers<'a> {
    /// Starts them in the cgroup of the world.
    pub fn start(world: &'a World) -> Self {
        let servers = SERVERS.map(|(listen, flags)| Server::start(world, listen, flags));
        Self {
            world,
            servers: servers.into(),
        }
    }

    /// Has a server close everything, reset everything, or be killed; what it did.
    pub fn disturb(&mut self, random: &mut Random) -> &'static str {
        let which = random.below(self.servers.len());
        match random.below(3) {
            0 => {
                self.servers[which].command("close");
                "a server closes all of its connections"
            }
            1 => {
                self.servers[which].command("reset");
                "a server resets all of its connections"
            }
            _ => {
                self.servers.swap_remove(which).kill();
                let ports: Vec<_> = self.servers.iter().map(Server::port).collect();
                let port = |listen: &[&str]| at(listen[0]).port();
                let gone = SERVERS
                    .iter()
                    .find(|(listen, _)| !ports.contains(&port(listen)));
                let (listen, flags) = gone.expect("one was killed");
                self.servers.push(Server::start(self.world, listen, flags));
                "a server is killed, and another one started"
            }
        }
    }

    /// Ends all of them, and with them what they hold.
    pub fn end(&mut self) {
        self.servers.clear();
    }
}
