//! The command line's end of the control socket.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use form_urlencoded::Serializer;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

use super::{
    filter::{EventFilter, POSITION_HEADER},
    route::Holders,
};
use crate::api::{
    Audit, AuditReport, ConnectionList, Detach, ErrorBody, Reload, Reloaded, ResetCounters,
    ServerStatus, SetAction, SetDryRun, SetExempt, SetLimit, SetLogLevel, Status, ZoneStatus,
};

pub use self::{
    error::ClientError,
    follow::{EventFollower, Followed},
    lines::{EventLine, EventLines},
};

mod error;
mod follow;
mod lines;

/// Longest wait for an answer. Its own turn may be behind others that read much.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause before the next try to connect.
const AGAIN: Duration = Duration::from_millis(20);

/// Largest answer, bytes: a safeguard, far above all keys of the largest zone anyone looks at.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Talks to the daemon at one socket; every request is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// Does nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The daemon's state.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/status").await
    }

    /// All zones, without keys.
    pub async fn zones(&self) -> Result<Vec<ZoneStatus>, ClientError> {
        self.get("/zones").await
    }

    /// One zone with the `top` keys that have most connections.
    pub async fn zone(&self, name: &str, top: usize) -> Result<ZoneStatus, ClientError> {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        self.get(&format!("/zones/{name}?top={top}")).await
    }

    /// The same, with the `top` keys that have most refusals in addition.
    pub async fn zone_by_rejected(
        &self,
        name: &str,
        top: usize,
    ) -> Result<ZoneStatus, ClientError> {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        self.get(&format!("/zones/{name}?top={top}&by=rejected"))
            .await
    }

    /// The open connections that hold slots.
    pub async fn connections(&self, wanted: &Holders) -> Result<ConnectionList, ClientError> {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("zone", &wanted.zone), ("key", &wanted.key)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("n", &wanted.count.to_string());
        self.get(&format!("/connections?{}", query.finish())).await
    }

    /// The event stream. When this returns, the daemon has subscribed us.
    pub async fn events(&self, filter: &EventFilter) -> Result<EventLines, ClientError> {
        let path = format!("/events?{}", filter.to_query());
        let response = self.send(Method::GET, &path, Bytes::new()).await?;
        let response = self.accepted(response).await?;
        let position = response.headers().get(POSITION_HEADER);
        let position = position.and_then(|it| it.to_str().ok()?.parse().ok());
        let body = response.into_body();
        Ok(EventLines::new(self.clone(), position, body))
    }

    /// Switches dry run; the servers concerned as they are now.
    pub async fn set_dry_run(&self, change: &SetDryRun) -> Result<Vec<ServerStatus>, ClientError> {
        self.post("/dry-run", change).await
    }

    /// Sets the level of log lines about refusals; the servers concerned as they are now.
    pub async fn set_log_level(
        &self,
        change: &SetLogLevel,
    ) -> Result<Vec<ServerStatus>, ClientError> {
        self.post("/log-level", change).await
    }

    /// Sets how attempts are refused; the servers concerned as they are now.
    pub async fn set_action(&self, change: &SetAction) -> Result<Vec<ServerStatus>, ClientError> {
        self.post("/action", change).await
    }

    /// Sets a limit; the servers concerned as they are now.
    pub async fn set_limit(&self, change: &SetLimit) -> Result<Vec<ServerStatus>, ClientError> {
        self.post("/limit", change).await
    }

    /// Changes which clients are exempt; the servers concerned as they are now.
    pub async fn set_exempt(&self, change: &SetExempt) -> Result<Vec<ServerStatus>, ClientError> {
        self.post("/exempt", change).await
    }

    /// Has the policy read again; what is in force now.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.post("/reload", &Reload {}).await
    }

    /// Sets counters back to zero.
    pub async fn reset(&self, reset: &ResetCounters) -> Result<(), ClientError> {
        let body = self.to_json(reset)?;
        let response = self.send(Method::POST, "/reset", body).await?;
        self.accepted(response).await.map(drop)
    }

    /// Has the counts audited.
    pub async fn audit(&self) -> Result<AuditReport, ClientError> {
        self.post("/audit", &Audit {}).await
    }

    /// Has the daemon stop, and keep nothing. It has begun to when this returns.
    pub async fn detach(&self) -> Result<(), ClientError> {
        let body = self.to_json(&Detach {})?;
        let response = self.send(Method::POST, "/detach", body).await?;
        self.accepted(response).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        self.read_json(self.accepted(response).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        change: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = self.to_json(change)?;
        let response = self.send(Method::POST, path, body).await?;
        self.read_json(self.accepted(response).await?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = match timeout(ANSWER_TIMEOUT, self.connect()).await {
            Ok(connected) => connected.map_err(|error| self.not_connected(error))?,
            Err(_) => return Err(self.silent()),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "limiter")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Ends when the answer's body has been read or dropped.
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        match timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(response) => response.map_err(|error| self.broken(error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// With a full backlog the kernel does not let a socket wait that does not block (unix(7)).
    async fn connect(&self) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(AGAIN).await,
                connected => return connected,
            }
        }
    }

    /// Turns an error object into an error.
    async fn accepted(
        &self,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read_body(response).await?;
        Err(match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => ClientError::Refused(body.error),
            Err(_) => self.broken(format!("answered {status}")),
        })
    }

    async fn read_json<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T, ClientError> {
        let body = self.read_body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    async fn read_body(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        match timeout(ANSWER_TIMEOUT, body.collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.silent()),
        }
    }

    fn to_json(&self, value: &impl Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|error| self.broken(error))
    }

    fn not_connected(&self, cause: io::Error) -> ClientError {
        let path = self.path.clone();
        match cause.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotADirectory => ClientError::NoDaemon { path },
            io::ErrorKind::PermissionDenied => ClientError::denied(path),
            _ => ClientError::Open { path, cause },
        }
    }

    fn broken(&self, cause: impl ToString) -> ClientError {
        ClientError::Broken {
            path: self.path.clone(),
            cause: cause.to_string(),
        }
    }

    fn silent(&self) -> ClientError {
        self.broken(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
    }
}
