//! A server that nobody here wrote: nginx from Debian's packages.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    client, debian,
    process::{self, Process},
    settle::{PATIENCE, poll},
    world::World,
};

/// A running nginx in the cgroup and namespace of a [`World`].
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    /// Starts one with a configuration of its own.
    ///
    /// # Panics
    /// If it cannot be had, or does not serve.
    pub fn start(world: &World, address: SocketAddr) -> Self {
        Self::start_as(world, address, &Shape::default())
    }

    /// One that asks these servers in turn, and says which of them has answered in the header
    /// `upstream`.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn proxy(world: &World, address: SocketAddr, servers: &[SocketAddr]) -> Self {
        let servers = servers.iter();
        let servers: String = servers
            .map(|server| format!("server {server} max_fails=0; "))
            .collect();
        let location = "proxy_pass http://backend; proxy_next_upstream error timeout; \
                        proxy_connect_timeout 60s; add_header upstream $upstream_addr always;";
        let shape = Shape {
            http: format!("upstream backend {{ {servers} }}"),
            location: location.to_owned(),
            ..Shape::default()
        };
        Self::start_as(world, address, &shape)
    }

    /// Starts one with a configuration that differs.
    ///
    /// # Panics
    /// If it cannot be had, or does not serve.
    pub fn start_as(world: &World, address: SocketAddr, shape: &Shape) -> Self {
        let prefix = world.path("nginx");
        fs::create_dir(&prefix).expect("make a directory for nginx");
        let configuration = prefix.join("nginx.conf");
        fs::write(&configuration, shape.text(&prefix, address)).expect("write nginx.conf");
        let mut command = Command::new(program());
        command.arg("-p").arg(&prefix).arg("-c").arg(&configuration);
        let mut process = Process::start(command, Some(&world.netns), Some(&world.cgroup));
        let serves = poll(PATIENCE, || {
            assert!(
                process.ended().is_none(),
                "nginx ends at once: {}",
                process.stderr().text()
            );
            let ip = address.ip();
            world
                .netns
                .run(|| client::connect_here(ip, address, Duration::from_secs(1)))
                .is_ok()
        });
        assert!(serves, "nginx does not serve: {}", process.stderr().text());
        Self { process, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr().text()
    }

    /// Sends its master process a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// A request over a new connection, which is kept alive.
    ///
    /// # Errors
    /// If the connection or the answer does not come in time.
    pub fn get(
        &self,
        world: &World,
        from: IpAddr,
        patience: Duration,
    ) -> std::io::Result<TcpStream> {
        let mut stream = world
            .netns
            .run(|| client::connect_here(from, self.address, patience))?;
        get_again(&mut stream)?;
        Ok(stream)
    }
}

/// Asks nginx whether it would run with a configuration.
///
/// # Panics
/// If it would not.
#[track_caller]
pub fn must_take(world: &World, configuration: &Path) {
    let mut command = Command::new(program());
    let pid = format!("pid {};", world.path("nginx.pid").display());
    command.args(["-t", "-g", &pid, "-e", "stderr", "-c"]);
    command.arg(configuration).arg("-p").arg(world.path(""));
    let output = process::run(command, Some(&world.netns));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

/// One more request over a connection that is kept alive.
///
/// # Errors
/// If the answer is not nginx's.
pub fn get_again(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(BODY.as_bytes()) {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&bytes[..length]);
    }
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(std::io::Error::other(
            String::from_utf8_lossy(&answer).into_owned(),
        ));
    }
    Ok(())
}

const BODY: &str = "served by nginx";

/// What differs between configurations.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `worker_processes`
    pub workers: u32,
    /// `worker_connections`
    pub worker_connections: u32,
    /// What the server does with requests.
    pub location: String,
    /// More of the server.
    pub server: String,
    /// What stands before it.
    pub http: String,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            workers: 2,
            worker_connections: 1024,
            location: format!("return 200 \"{BODY}\";"),
            server: String::new(),
            http: String::new(),
        }
    }
}

impl Shape {
    fn text(&self, prefix: &Path, address: SocketAddr) -> String {
        let prefix = prefix.display();
        let Self {
            workers,
            worker_connections,
            location,
            server,
            http,
        } = self;
        format!(
            "daemon off; worker_processes {workers}; user root; pid {prefix}/pid;
error_log stderr notice;
events {{ worker_connections {worker_connections}; }}
http {{
    access_log off; keepalive_timeout 600s;
    client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
    {http}
    server {{ listen {address} reuseport; {server} location / {{ {location} }} }}
}}
"
        )
    }
}

fn program() -> PathBuf {
    debian::program("nginx")
}
