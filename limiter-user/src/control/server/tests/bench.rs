//! A server with a client to it.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{broadcast, oneshot},
};

use crate::{
    api::{
        AuditReport, ConnectionList, Event, EventStatus, PacketStatus, Reloaded, ResetCounters,
        ServerStatus, SetAction, SetDryRun, SetExempt, SetLimit, SetLogLevel, Status, ZoneStatus,
    },
    control::{
        client::Client,
        peer::Guard,
        refusal::Refusal,
        route::{EventFilter, Holders, Top},
        server::serve,
        service::Service,
        socket::ControlSocket,
        subscription::{Published, Subscription},
    },
    metrics::Snapshot,
    policy::{ActionKind, LogLevel},
};

/// Answers from constants and remembers what it was told.
pub(super) struct Canned {
    told: Mutex<Vec<String>>,
    feed: Mutex<Option<broadcast::Sender<Arc<Published>>>>,
}

impl Canned {
    fn tell(&self, what: String) -> Vec<ServerStatus> {
        self.told.lock().expect("not poisoned").push(what);
        vec![ServerStatus {
            server: "default".to_owned(),
            listen: vec!["443".to_owned()],
            limits: Vec::new(),
            exempt: Vec::new(),
            dry_run: true,
            log_level: LogLevel::Error,
            action: ActionKind::Drop,
            delay_ms: None,
            changed: Vec::new(),
        }]
    }

    pub(super) fn publish(&self, event: Event) {
        let feed = self.feed.lock().expect("not poisoned");
        let published = Arc::new(Published::new(event).expect("JSON"));
        feed.as_ref()
            .expect("running")
            .send(published)
            .expect("a subscriber");
    }
}

impl Service for Canned {
    fn detach(&self) {}

    async fn status(&self) -> Result<Status, Refusal> {
        Ok(Status {
            version: "0".to_owned(),
            pid: 1,
            uptime_s: 2,
            attached: Vec::new(),
            pinned: None,
            servers: Vec::new(),
            zones: Vec::new(),
            upstreams: Vec::new(),
            events: EventStatus::default(),
            packets: PacketStatus::default(),
        })
    }

    async fn metrics(&self) -> Result<Snapshot, Refusal> {
        Ok(Snapshot {
            status: self.status().await?,
            ready_time_seconds: 1.0,
            waiting: 0,
            audits: crate::metrics::Audits::default(),
            subscribers: 0,
            programs: None,
            sockets: None,
            usage: None,
        })
    }

    async fn zones(&self) -> Result<Vec<ZoneStatus>, Refusal> {
        Ok(vec![ZoneStatus::default()])
    }

    async fn zone(&self, name: String, top: Top) -> Result<ZoneStatus, Refusal> {
        if name != "per addr" {
            return Err(Refusal::unknown_zone(&name));
        }
        Ok(ZoneStatus {
            zone: name,
            keys: top.keys as u64,
            ..ZoneStatus::default()
        })
    }

    async fn connections(&self, _: Holders) -> Result<ConnectionList, Refusal> {
        Ok(ConnectionList::default())
    }

    async fn subscribe(&self, filter: EventFilter) -> Result<Subscription, Refusal> {
        let feed = self.feed.lock().expect("not poisoned");
        let events = feed.as_ref().expect("running").subscribe();
        Ok(Subscription::new(events, filter, None))
    }

    async fn set_dry_run(&self, change: SetDryRun) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.tell(format!("{change:?}")))
    }

    async fn set_log_level(&self, change: SetLogLevel) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.tell(format!("{change:?}")))
    }

    async fn set_action(&self, change: SetAction) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.tell(format!("{change:?}")))
    }

    async fn set_limit(&self, change: SetLimit) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.tell(format!("{change:?}")))
    }

    async fn set_exempt(&self, change: SetExempt) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.tell(format!("{change:?}")))
    }

    async fn reload(&self) -> Result<Reloaded, Refusal> {
        self.tell("reload".to_owned());
        Ok(Reloaded::default())
    }

    async fn audit(&self) -> Result<AuditReport, Refusal> {
        self.tell("audit".to_owned());
        Ok(AuditReport::default())
    }

    async fn reset(&self, reset: ResetCounters) -> Result<(), Refusal> {
        self.tell(format!("{reset:?}"));
        Ok(())
    }
}

/// A server on a socket of its own.
pub(super) struct Bench {
    directory: tempfile::TempDir,
    pub(super) service: Arc<Canned>,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) server: tokio::task::JoinHandle<()>,
}

impl Bench {
    pub(super) fn start() -> Self {
        Self::start_with(|guard| guard)
    }

    pub(super) fn start_with(change: impl FnOnce(Guard) -> Guard) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = ControlSocket::claim(&directory.path().join("s")).expect("a socket");
        let service = Arc::new(Canned {
            told: Mutex::default(),
            feed: Mutex::new(Some(broadcast::channel(16).0)),
        });
        let (stop, stopped) = oneshot::channel();
        let guard = change(socket.guard());
        let server = tokio::spawn({
            let service = Arc::clone(&service);
            async move {
                let stopped = async { drop(stopped.await) };
                serve(socket.listener(), guard, service, stopped).await;
            }
        });
        Self {
            directory,
            service,
            stop,
            server,
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.directory.path().join("s"))
    }

    /// Sends `request` as it is and reads until the server closes.
    pub(super) async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("UTF-8")
    }

    pub(super) async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.directory.path().join("s"))
            .await
            .expect("a server")
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.service.told.lock().expect("not poisoned").clone()
    }
}

/// A request as it goes over the wire.
pub(super) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
