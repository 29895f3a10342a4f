//! Connections, bounds, answers.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{
    IO_TIMEOUT, MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_HEADERS,
    limits::{BoundedWrites, Patience},
    peer::{Access, Guard, Peer},
    refusal::Refusal,
    route::{Change, Route},
    service::Service,
    subscription::Lines,
};
use crate::api::Reload;

/// Room for a request's headers, and for an answer that the peer does not take, bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long open connections may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(1);

type Answer = Response<Either<Full<Bytes>, Lines>>;

/// Serves `service` on `listener` until `stop` resolves. Peers beyond [`MAX_CONNECTIONS`] wait in
/// the backlog.
pub async fn serve<S: Service>(
    listener: &UnixListener,
    guard: Guard,
    service: Arc<S>,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop_connections, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(listener, &slots) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, slot)) => {
                let handler = Handler {
                    service: Arc::clone(&service),
                    guard,
                    stopped: stopped.clone(),
                };
                connections.spawn(async move {
                    handler.serve(stream).await;
                    drop(slot);
                });
            }
            Err(error) => {
                debug!("control socket: accept: {error}");
                // Out of descriptors or memory: trying again at once would only burn a CPU.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let _ = stop_connections.send(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Dropping the set aborts what is left.
    let _ = timeout(GRACE, finished).await;
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    // An error says that the server is gone, which is a stop, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn accept(
    listener: &UnixListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// One connection.
struct Handler<S> {
    service: Arc<S>,
    guard: Guard,
    stopped: watch::Receiver<bool>,
}

impl<S: Service> Handler<S> {
    async fn serve(self, stream: UnixStream) {
        let peer = match Peer::of(&stream) {
            Ok(peer) => peer,
            Err(error) => return debug!("control socket: peer credentials: {error}"),
        };
        let patience = Patience::default();
        let io = TokioIo::new(BoundedWrites::new(stream, IO_TIMEOUT, patience.clone()));
        let answer = service_fn(|request| {
            let (peer, patience) = (&peer, &patience);
            let this = &self;
            async move { Ok::<_, Infallible>(this.answer(peer, patience, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IO_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(io, answer);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            () = wait_for_stop(self.stopped.clone()) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            debug!("control socket: {error}");
        }
    }

    async fn answer(&self, peer: &Peer, patience: &Patience, request: Request<Incoming>) -> Answer {
        match self.carry_out(peer, patience, request).await {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal),
        }
    }

    async fn carry_out(
        &self,
        peer: &Peer,
        patience: &Patience,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        // Before anything else: a stranger does not learn what exists.
        self.guard.permit(peer, Access::Read)?;
        let uri = request.uri();
        match Route::parse(request.method(), uri.path(), uri.query().unwrap_or(""))? {
            Route::Status => json(&self.service.status().await?),
            Route::Zones => json(&self.service.zones().await?),
            Route::Zone { name, top } => json(&self.service.zone(name, top).await?),
            Route::Events(filter) => {
                let subscription = self.service.subscribe(filter).await?;
                patience.grant();
                let lines = subscription.into_body(self.stopped.clone());
                Ok(answer(
                    StatusCode::OK,
                    "application/x-ndjson",
                    Either::Right(lines),
                ))
            }
            Route::Change(change) => {
                self.guard.permit(peer, Access::Change)?;
                let body = read_body(request.into_body()).await?;
                self.change(change, &body).await
            }
        }
    }

    async fn change(&self, change: Change, body: &[u8]) -> Result<Answer, Refusal> {
        match change {
            Change::DryRun => json(&self.service.set_dry_run(parse(body)?).await?),
            Change::LogLevel => json(&self.service.set_log_level(parse(body)?).await?),
            Change::Action => json(&self.service.set_action(parse(body)?).await?),
            Change::Limit => json(&self.service.set_limit(parse(body)?).await?),
            Change::Exempt => json(&self.service.set_exempt(parse(body)?).await?),
            Change::Reload => {
                parse::<Reload>(or_empty(body))?;
                json(&self.service.reload().await?)
            }
            Change::Reset => {
                self.service.reset(parse(or_empty(body))?).await?;
                let empty = Either::Left(Full::default());
                let mut answer = Response::new(empty);
                *answer.status_mut() = StatusCode::NO_CONTENT;
                Ok(answer)
            }
        }
    }
}

async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Refusal::too_large());
    }
    match timeout(IO_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Err(_) => Err(Refusal::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
        Ok(Err(error)) => Err(Refusal::bad_request(format!("body: {error}"))),
    }
}

/// So that `curl -X POST` without a body does what there is to say nothing about.
fn or_empty(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}

/// serde_json says what is wrong, and in which line and column.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("JSON in the body: {error}")))
}

fn json(value: &impl Serialize) -> Result<Answer, Refusal> {
    let bytes = to_line(value).map_err(|error| Refusal::internal(format!("JSON: {error}")))?;
    let body = Either::Left(Full::new(bytes));
    Ok(answer(StatusCode::OK, "application/json", body))
}

fn refused(refusal: &Refusal) -> Answer {
    // Two strings and a number always become JSON.
    let bytes = to_line(&refusal.body()).unwrap_or_default();
    let body = Either::Left(Full::new(bytes));
    let mut answer = answer(refusal.status, "application/json", body);
    if let Some(method) = refusal.allow {
        let method = hyper::header::HeaderValue::from_static(method);
        answer.headers_mut().insert(ALLOW, method);
    }
    answer
}

fn answer(status: StatusCode, kind: &'static str, body: Either<Full<Bytes>, Lines>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// With a newline, for the eyes behind `curl`.
fn to_line(value: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
