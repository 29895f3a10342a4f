//! The server over a real Unix socket, with a service that has no kernel behind it.

use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{broadcast, oneshot},
};

use super::*;
use crate::{
    api::{
        Event, EventStatus, PacketStatus, ResetCounters, ServerStatus, SetAction, SetDryRun,
        SetExempt, SetLimit, SetLogLevel, Status, ZoneStatus,
    },
    control::{
        client::{Client, ClientError, EventLine},
        route::EventFilter,
        socket::ControlSocket,
        subscription::{Published, Subscription},
    },
    policy::{ActionKind, LogLevel},
};

/// Answers from constants and remembers what it was told.
struct Canned {
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

    fn publish(&self, event: Event) {
        let feed = self.feed.lock().expect("not poisoned");
        let published = Arc::new(Published::new(event).expect("JSON"));
        feed.as_ref()
            .expect("running")
            .send(published)
            .expect("a subscriber");
    }
}

impl Service for Canned {
    async fn status(&self) -> Result<Status, Refusal> {
        Ok(Status {
            version: "0".to_owned(),
            pid: 1,
            uptime_s: 2,
            attached: Vec::new(),
            servers: Vec::new(),
            zones: Vec::new(),
            events: EventStatus::default(),
            packets: PacketStatus::default(),
        })
    }

    async fn zones(&self) -> Result<Vec<ZoneStatus>, Refusal> {
        Ok(vec![ZoneStatus::default()])
    }

    async fn zone(&self, name: String, top: usize) -> Result<ZoneStatus, Refusal> {
        if name != "per addr" {
            return Err(Refusal::unknown_zone(&name));
        }
        Ok(ZoneStatus {
            zone: name,
            keys: top as u64,
            ..ZoneStatus::default()
        })
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

    async fn reset(&self, reset: ResetCounters) -> Result<(), Refusal> {
        self.tell(format!("{reset:?}"));
        Ok(())
    }
}

/// A server on a socket of its own.
struct Bench {
    directory: tempfile::TempDir,
    service: Arc<Canned>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start() -> Self {
        Self::start_with(|guard| guard)
    }

    fn start_with(change: impl FnOnce(Guard) -> Guard) -> Self {
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

    fn client(&self) -> Client {
        Client::new(self.directory.path().join("s"))
    }

    /// Sends `request` as it is and reads until the server closes.
    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("UTF-8")
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.directory.path().join("s"))
            .await
            .expect("a server")
    }

    fn told(&self) -> Vec<String> {
        self.service.told.lock().expect("not poisoned").clone()
    }
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn event(zone: &str) -> Event {
    Event {
        zone: zone.to_owned(),
        ..Event::example()
    }
}

#[tokio::test]
async fn client_and_server_understand_each_other() {
    let bench = Bench::start();
    let client = bench.client();
    assert_eq!(client.status().await.expect("status").uptime_s, 2);
    assert_eq!(client.zones().await.expect("zones").len(), 1);
    assert_eq!(client.zone("per addr", 7).await.expect("zone").keys, 7);
    let servers = client
        .set_dry_run(&SetDryRun {
            on: true,
            server: Some("a".to_owned()),
        })
        .await
        .expect("dry run");
    assert_eq!(servers[0].server, "default");
    client
        .set_action(&SetAction {
            action: ActionKind::Close,
            delay_ms: Some(2_000),
            server: None,
        })
        .await
        .expect("action");
    client
        .set_exempt(&SetExempt {
            remove: Some("10.0.0.0/8".to_owned()),
            ..SetExempt::default()
        })
        .await
        .expect("exempt");
    client
        .reset(&ResetCounters::default())
        .await
        .expect("reset");
    assert_eq!(
        bench.told(),
        [
            "SetDryRun { on: true, server: Some(\"a\") }",
            "SetAction { action: Close, delay_ms: Some(2000), server: None }",
            "SetExempt { add: None, remove: Some(\"10.0.0.0/8\"), server: None }",
            "ResetCounters { zone: None }"
        ]
    );
}

#[tokio::test]
async fn an_unknown_zone_is_nginx_error_object() {
    let bench = Bench::start();
    let error = bench
        .client()
        .zone("nothing", 1)
        .await
        .expect_err("unknown");
    let ClientError::Refused(detail) = error else {
        panic!("{error}");
    };
    assert_eq!(detail.status, 404);
    assert_eq!(detail.code, "LimitConnNotFound");
    assert_eq!(detail.text, "unknown zone \"nothing\"");
}

#[tokio::test]
async fn bad_requests_get_one_sentence_and_change_nothing() {
    let bench = Bench::start();
    let large = "x".repeat(MAX_BODY_BYTES + 1);
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            post("/limit", "{"),
            "400",
            "EOF while parsing an object at line 1 column 1",
        ),
        (
            post("/limit", ""),
            "400",
            "EOF while parsing a value at line 1 column 0",
        ),
        (
            post("/limit", "{\"zone\":\"addr\",\"number\":70000}"),
            "400",
            "expected u16 at line 1 column",
        ),
        (post("/dry-run", "{\"on\":1}"), "400", "expected a boolean"),
        (
            post("/dry-run", "{\"on\":true,\"sever\":\"a\"}"),
            "400",
            "unknown field `sever`",
        ),
        (
            post("/action", "{\"action\":\"ban\"}"),
            "400",
            "unknown variant `ban`, expected one of `drop`, `reset`, `close`",
        ),
        (
            post("/action", "{\"action\":\"close\",\"delay\":\"2s\"}"),
            "400",
            "unknown field `delay`",
        ),
        (
            post("/action", "{\"action\":\"close\",\"delay_ms\":-1}"),
            "400",
            "expected u32 at line 1 column",
        ),
        (
            post("/exempt", "{\"add\":8}"),
            "400",
            "invalid type: integer `8`, expected a string",
        ),
        (post("/reset", &large), "413", "larger than 65536 bytes"),
        (post("/status", ""), "405", "allow: GET"),
        (post("/nothing", ""), "404", "PathNotFound"),
        (b"GARBAGE\r\n\r\n".to_vec(), "400", "HTTP/1.1"),
    ];
    for (request, status, part) in cases {
        let answer = bench.exchange(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(part), "{part}: {answer}");
    }
    assert!(bench.told().is_empty(), "{:?}", bench.told());
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let bench = Bench::start();
    let mut request = b"POST /reset HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..20 {
        request.extend_from_slice(b"1000\r\n");
        request.extend_from_slice(&[b' '; 0x1000]);
        request.extend_from_slice(b"\r\n");
    }
    let answer = bench.exchange(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let bench = Bench::start();
    let mut request = b"GET /status HTTP/1.1\r\n".to_vec();
    for i in 0..=MAX_HEADERS {
        request.extend_from_slice(format!("x-{i}: y\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    let answer = bench.exchange(&request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn silent_peers_are_let_go() {
    let bench = Bench::start();
    assert_eq!(bench.exchange(b"GET /status HT").await, "");
    assert_eq!(bench.exchange(b"").await, "");
    let slow = b"POST /reset HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    let answer = bench.exchange(slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn strangers_get_403() {
    let stranger = |guard: Guard| Guard {
        uid: guard.uid + 1,
        gid: u32::MAX,
    };
    // Root may do everything, whoever runs the daemon.
    if nix::unistd::geteuid().is_root() {
        let bench = Bench::start_with(stranger);
        return drop(bench.client().status().await.expect("root"));
    }
    let bench = Bench::start_with(stranger);
    let answer = bench.exchange(&post("/reset", "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(bench.told().is_empty());
}

#[tokio::test]
async fn events_flow_from_the_moment_of_subscription() {
    let bench = Bench::start();
    let filter = EventFilter {
        zone: Some("addr".to_owned()),
        ..EventFilter::default()
    };
    let mut lines = bench.client().events(&filter).await.expect("a stream");
    bench.service.publish(event("other"));
    bench.service.publish(event("addr"));
    let line = lines.next().await.expect("a line");
    assert_eq!(line, Some(EventLine::Event(event("addr"))));
}

#[tokio::test]
async fn a_stop_ends_streams_cleanly_and_in_time() {
    let bench = Bench::start();
    let client = bench.client();
    let mut lines = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    let _idle = bench.connect().await;
    bench.stop.send(()).expect("running");
    assert_eq!(lines.next().await.expect("a clean end"), None);
    timeout(GRACE * 2, bench.server)
        .await
        .expect("in time")
        .expect("no panic");
    let error = client.status().await.expect_err("stopped");
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
}

#[tokio::test]
async fn a_subscriber_that_stops_reading_holds_up_nobody() {
    let bench = Bench::start();
    let client = bench.client();
    let mut stalled = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    let mut reader = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    for _ in 0..10_000 {
        bench.service.publish(event("addr"));
        assert!(reader.next().await.expect("a line").is_some());
    }
    let mut missed = 0;
    let mut seen = 0;
    while missed == 0 {
        match stalled.next().await.expect("a line") {
            Some(EventLine::Missed(line)) => missed = line.missed,
            Some(EventLine::Event(_)) => seen += 1,
            None => panic!("the stream ended"),
        }
    }
    assert!(seen + missed <= 10_000, "{seen} seen, {missed} missed");
}
