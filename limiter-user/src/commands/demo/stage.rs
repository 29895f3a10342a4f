//! The daemon and the peer of a demo.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::{
    DemoError,
    place::Place,
    wire::{Answer, Request, SERVER},
};
use crate::{
    commands::{
        failure::Failure,
        policy_source::{self, Flags},
    },
    control::{
        client::{Client, EventLines},
        port::Ports,
        route::EventFilter,
        socket::ControlSocket,
    },
    daemon::{self, Mission, Signals, clock::SystemClock, notify::Manager},
    kernel::KernelError,
};

/// The limit of the demo, connections per client address.
pub(super) const LIMIT: u32 = 10;

/// Longest wait for anything that takes milliseconds on an idle machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon that limits, and a peer that is limited.
pub(super) struct Stage {
    pub(super) peer: Peer,
    pub(super) daemon: Client,
    pub(super) events: EventLines,
    /// The same as a command.
    pub(super) command: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), KernelError>>,
}

impl Stage {
    /// When this returns, the server listens, the limit is in force, events arrive.
    pub(super) async fn set_up(place: &Place) -> Result<Self, Failure> {
        let peer = Peer::start(place).await?;
        let flags = Flags {
            cgroup: vec![place.cgroup.clone()],
            listen: vec![SERVER.port().to_string()],
            limit: Some(LIMIT.to_string()),
            ..Flags::default()
        };
        let (policy, source) = policy_source::choose(None, flags)?;
        let path = place.directory.join("limiter.sock");
        let socket = ControlSocket::claim(&path)?;

        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let signals = Signals {
            stop: async {
                // Also when the stage is gone.
                let _ = stopped.await;
            },
            reload: None,
        };
        let mission = Mission {
            policy,
            source,
            // It is gone with us.
            instance: None,
            keep: false,
            ports: Ports::default(),
        };
        let clock = Arc::new(SystemClock);
        let ready = || {
            let _ = ready.send(());
        };
        let manager = Manager::none();
        let running = daemon::run(mission, socket, clock, signals, manager, ready);
        let mut running = tokio::spawn(running);
        if is_ready.await.is_err() {
            ended(&mut running).await?;
            return Err(Failure::DaemonStopped);
        }
        let daemon = Client::new(path);
        let events = daemon.events(&EventFilter::default()).await?;
        Ok(Self {
            peer,
            daemon,
            events,
            command: format!(
                "limiter run --cgroup {} --listen {} --limit {LIMIT}",
                place.cgroup.display(),
                SERVER.port()
            ),
            stop,
            running,
        })
    }

    /// Stops the daemon, which detaches, and ends the peer.
    pub(super) async fn take_down(self) -> Result<(), Failure> {
        let Self {
            peer,
            events,
            stop,
            mut running,
            ..
        } = self;
        drop((peer, events));
        // The daemon may have ended by itself; then it says why.
        let _ = stop.send(());
        ended(&mut running).await
    }
}

async fn ended(running: &mut JoinHandle<Result<(), KernelError>>) -> Result<(), Failure> {
    match timeout(STOP_TIMEOUT, running).await {
        Ok(Ok(result)) => Ok(result?),
        // A panic, reported already.
        Ok(Err(_)) => Err(Failure::DaemonStopped),
        Err(_) => Err(DemoError::stage("stop", "the daemon", "it takes too long").into()),
    }
}

/// The process with the server and the clients. Dropping it kills it.
pub(super) struct Peer {
    process: Process,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts it and waits until the server listens.
    async fn start(place: &Place) -> Result<Self, DemoError> {
        let mut peer = Self::spawn(place)
            .map_err(|e| DemoError::stage("start", "the process with the server", e))?;
        match peer.answer().await? {
            Answer::Ready => Ok(peer),
            answer => Err(unexpected(&answer)),
        }
    }

    fn spawn(place: &Place) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("limiter")
            .arg("demo-peer")
            .arg("--cgroup")
            .arg(&place.cgroup)
            .arg("--directory")
            .arg(&place.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo, which then ends its peer.
            .process_group(0);
        let mut process = Process(command.spawn()?);
        let stdin = process.0.stdin.take();
        let stdout = process.0.stdout.take();
        let (stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            process,
            requests: ChildStdin::from_std(stdin)?,
            answers: BufReader::new(ChildStdout::from_std(stdout)?).lines(),
        })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The answer must be fetched before the next request.
    pub(super) async fn ask(&mut self, request: Request) -> Result<(), DemoError> {
        let mut line = serde_json::to_string(&request).map_err(broken)?;
        line.push('\n');
        let written = self.requests.write_all(line.as_bytes()).await;
        written.map_err(broken)
    }

    /// The next answer. May be dropped while it waits.
    pub(super) async fn answer(&mut self) -> Result<Answer, DemoError> {
        let line = timeout(ANSWER_TIMEOUT, self.answers.next_line())
            .await
            .map_err(|_| DemoError::Peer("it does not answer".to_owned()))?
            .map_err(broken)?
            .ok_or_else(|| DemoError::Peer("it has ended".to_owned()))?;
        match serde_json::from_str(&line).map_err(broken)? {
            Answer::Failed(text) => Err(DemoError::Peer(text)),
            answer => Ok(answer),
        }
    }
}

/// An answer to another question.
pub(super) fn unexpected(answer: &Answer) -> DemoError {
    DemoError::Peer(format!("it answers {answer:?}"))
}

fn broken(error: impl ToString) -> DemoError {
    DemoError::Peer(error.to_string())
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended already. Either way nothing is left of it after the wait.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
