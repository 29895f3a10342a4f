//! `limiter demo-peer`: the demo's server and its clients, in a process of their own.
//!
//! A process of its own because cgroup membership is the process's: a socket belongs to the cgroup
//! of the process that creates it. The network namespace has no name and goes with the process.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream, unix::pipe},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    DemoError,
    place::Place,
    wire::{Answer, Outcome, Request, SERVER},
};
use crate::commands::{failure::Failure, output};

/// From one attempt to the next: slow enough for eyes, and the server has accepted one before the
/// next arrives.
const PACE: Duration = Duration::from_millis(60);

/// Longest wait for a connection. Shorter than TCP's first retransmission timeout of one second
/// (RFC 6298, section 2.1): every attempt is one SYN.
const PATIENCE: Duration = Duration::from_millis(900);

/// Server and clients of `limiter demo`
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Args {
    /// The demo's cgroup
    #[arg(long, value_name = "PATH")]
    cgroup: PathBuf,
    /// The demo's directory
    #[arg(long, value_name = "PATH")]
    directory: PathBuf,
}

/// Serves requests on standard input until it ends. The demo kills its peer; so if the input ends
/// instead, the demo was killed, and the peer cleans up after it.
pub(in crate::commands) fn run(args: Args) -> Result<(), Failure> {
    let place = Place {
        cgroup: args.cgroup,
        directory: args.directory,
    };
    let served = enter(&place.cgroup).and_then(|()| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(serve()))
            .map_err(|e| DemoError::stage("serve", SERVER, e))
    });
    if let Err(error) = served {
        // Unless nobody listens any more.
        let _ = output::json(&Answer::Failed(error.to_string()));
    }
    leave(&place.cgroup)?;
    place.remove()?;
    Ok(())
}

/// Moves this process into the cgroup and into a network namespace with nothing but a loopback.
/// The network namespace is the thread's, so this comes before there are others.
fn enter(cgroup: &Path) -> Result<(), DemoError> {
    join(cgroup)?;
    let namespace = |e| DemoError::stage("create", "a network namespace", e);
    unshare(CloneFlags::CLONE_NEWNET).map_err(namespace)?;
    loopback_up().map_err(|e| DemoError::stage("bring up", "the loopback interface", e))
}

/// A cgroup with a process in it cannot be removed.
fn leave(cgroup: &Path) -> Result<(), DemoError> {
    cgroup.parent().map_or(Ok(()), join)
}

fn join(cgroup: &Path) -> Result<(), DemoError> {
    // 0 is the process that writes.
    fs::write(cgroup.join("cgroup.procs"), "0")
        .map_err(|e| DemoError::stage("enter cgroup", cgroup.display(), e))
}

fn loopback_up() -> nix::Result<()> {
    let any = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            // netdevice(7) has the flags in a short.
            ifru_flags: libc::IFF_UP as libc::c_short,
        },
    };
    // SAFETY: the descriptor is an open socket, and SIOCSIFFLAGS reads name and flags of a complete
    // ifreq (net/core/dev_ioctl.c, dev_ifsioc).
    unsafe { set_interface_flags(any.as_raw_fd(), &raw const request) }.map(drop)
}

nix::ioctl_write_ptr_bad!(set_interface_flags, libc::SIOCSIFFLAGS, libc::ifreq);

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(SERVER).await?;
    tokio::spawn(echo_everyone(listener));
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let (sender, requests) = mpsc::channel(1);
    say(&Answer::Ready)?;
    // Read all the time, so that the end of the input also ends an answer in the middle.
    tokio::select! {
        read = read_requests(input, sender) => read,
        answered = Clients::default().answer(requests) => answered,
    }
}

async fn echo_everyone(listener: TcpListener) {
    // A connection that cannot be accepted shows at the client, as one without an echo.
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await
        });
    }
}

async fn read_requests(input: pipe::Receiver, requests: mpsc::Sender<Request>) -> io::Result<()> {
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        if requests.send(serde_json::from_str(&line)?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Open connections of each client, the oldest first.
#[derive(Default)]
struct Clients(HashMap<Ipv4Addr, VecDeque<TcpStream>>);

impl Clients {
    async fn answer(mut self, mut requests: mpsc::Receiver<Request>) -> io::Result<()> {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Open { from, count } => self.open(from, count).await?,
                Request::Ping { from } => say(&Answer::Alive(self.ping(from).await))?,
                Request::Close { from, count } => say(&Answer::Closed(self.close(from, count)))?,
            }
        }
        Ok(())
    }

    async fn open(&mut self, from: Ipv4Addr, count: u32) -> io::Result<()> {
        let attempts: Vec<_> = (0..count)
            .map(|position| {
                tokio::spawn(async move {
                    sleep(PACE * position).await;
                    connect(from).await
                })
            })
            .collect();
        for attempt in attempts {
            let outcome = match attempt.await.map_err(io::Error::other)? {
                Ok(Some(stream)) => {
                    self.0.entry(from).or_default().push_back(stream);
                    Outcome::Established
                }
                Ok(None) => Outcome::NoAnswer,
                Err(e) if is_refusal(&e) => Outcome::Reset,
                Err(e) => return Err(e),
            };
            say(&Answer::Attempt(outcome))?;
        }
        Ok(())
    }

    async fn ping(&mut self, from: Ipv4Addr) -> u32 {
        let mut alive = 0;
        for stream in self.0.entry(from).or_default() {
            if let Ok(Ok(())) = timeout(PATIENCE, echo(stream)).await {
                alive += 1;
            }
        }
        alive
    }

    fn close(&mut self, from: Ipv4Addr, count: u32) -> u32 {
        let open = self.0.entry(from).or_default();
        let mut closed = 0;
        while closed < count && open.pop_front().is_some() {
            closed += 1;
        }
        closed
    }
}

/// `None`: no answer.
async fn connect(from: Ipv4Addr) -> io::Result<Option<TcpStream>> {
    let attempt = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let mut stream = socket.connect(SERVER.into()).await?;
        // The client's end of a connection says little: the server's must have it, too.
        echo(&mut stream).await?;
        Ok(stream)
    };
    timeout(PATIENCE, attempt).await.ok().transpose()
}

async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    const BYTE: u8 = b'?';
    stream.write_all(&[BYTE]).await?;
    match stream.read_u8().await? {
        BYTE => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
    )
}

fn say(answer: &Answer) -> io::Result<()> {
    output::json(answer).map_err(|failure| io::Error::other(failure.to_string()))
}
