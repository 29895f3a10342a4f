//! Connections, bounds, answers.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::debug;

pub use self::port::serve_ports;
use self::{
    answer::{Answer, json, lines, nothing, or_empty, parse, read_body, refused},
    places::{Place, Places, Room},
};
use super::{
    IO_TIMEOUT, MAX_HEADERS,
    limits::{BoundedWrites, Patience},
    peer::{Access, Guard, Peer},
    refusal::Refusal,
    route::{Change, Route},
    service::Service,
};
use crate::api::{Audit, Detach, Reload, ResetCounters};

mod answer;
mod crowd;
mod places;
mod port;
mod public;

/// Room for a request's headers, and for an answer that the peer does not take, bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// What the kernel keeps of an answer that the peer does not take, bytes; it doubles the number
/// (socket(7)).
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// How long open connections may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Serves `service` on `listener` until `stop` resolves. Every connection is taken at once, so that
/// those for whom there is no place hold up nobody behind them.
pub async fn serve<S: Service>(
    listener: &UnixListener,
    guard: Guard,
    service: Arc<S>,
    stop: impl Future<Output = ()>,
) {
    let guard = Arc::new(guard);
    let places = Places::default();
    let (stop_connections, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = match admit(&stream) {
                    Ok(peer) => peer,
                    Err(error) => {
                        debug!("control socket: a new connection: {error}");
                        continue;
                    }
                };
                // With nowhere even to be refused, the connection is closed.
                let Some(place) = places.take(guard.standing(&peer)) else {
                    continue;
                };
                let handler = Handler {
                    service: Arc::clone(&service),
                    guard: Arc::clone(&guard),
                    peer,
                    place,
                    stopped: stopped.clone(),
                };
                connections.spawn(handler.serve(stream));
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

fn admit(stream: &UnixStream) -> io::Result<Peer> {
    SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_BYTES)?;
    Peer::of(stream)
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    // An error says that the server is gone, which is a stop, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// One connection.
struct Handler<S> {
    service: Arc<S>,
    guard: Arc<Guard>,
    peer: Peer,
    place: Place,
    stopped: watch::Receiver<bool>,
}

impl<S: Service> Handler<S> {
    async fn serve(self, stream: UnixStream) {
        let patience = Patience::default();
        let io = TokioIo::new(BoundedWrites::new(stream, IO_TIMEOUT, patience.clone()));
        let answer = service_fn(|request| {
            let (this, patience) = (&self, &patience);
            async move { Ok::<_, Infallible>(this.answer(patience, request).await) }
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

    async fn answer(&self, patience: &Patience, request: Request<Incoming>) -> Answer {
        match self.carry_out(patience, request).await {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal),
        }
    }

    async fn carry_out(
        &self,
        patience: &Patience,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        // Before anything else: a stranger does not learn what exists.
        self.guard.permit(&self.peer, Access::Read)?;
        let room = self.place.room()?;
        let uri = request.uri();
        let route = Route::parse(request.method(), uri.path(), uri.query().unwrap_or(""))?;
        let body = match route {
            Route::Change(_) | Route::ResetZone { .. } => {
                self.guard.permit(&self.peer, Access::Change)?;
                read_body(request.into_body()).await?
            }
            _ => Bytes::new(),
        };
        let _turn = room.turn(route.reads_much()).await?;
        match route {
            Route::Status => json(room, &self.service.status().await?),
            Route::Zones => json(room, &self.service.zones().await?),
            Route::Zone { name, top } => json(room, &self.service.zone(name, top).await?),
            Route::Connections(wanted) => json(room, &self.service.connections(wanted).await?),
            Route::Events(filter) => {
                let subscription = self.service.subscribe(filter).await?;
                patience.grant();
                let position = subscription.position();
                Ok(lines(
                    position,
                    subscription.into_body(self.stopped.clone()),
                ))
            }
            Route::Public(wanted) => public::answer(&*self.service, room, &wanted).await,
            Route::ResetZone { name } => {
                let zone = Some(name);
                self.service.reset(ResetCounters { zone }).await?;
                Ok(nothing())
            }
            Route::Change(change) => self.change(room, change, &body).await,
        }
    }

    async fn change(&self, room: &Room, change: Change, body: &[u8]) -> Result<Answer, Refusal> {
        match change {
            Change::DryRun => json(room, &self.service.set_dry_run(parse(body)?).await?),
            Change::LogLevel => json(room, &self.service.set_log_level(parse(body)?).await?),
            Change::Action => json(room, &self.service.set_action(parse(body)?).await?),
            Change::Limit => json(room, &self.service.set_limit(parse(body)?).await?),
            Change::Exempt => json(room, &self.service.set_exempt(parse(body)?).await?),
            Change::Reload => {
                parse::<Reload>(or_empty(body))?;
                json(room, &self.service.reload().await?)
            }
            Change::Reset => {
                self.service.reset(parse(or_empty(body))?).await?;
                Ok(nothing())
            }
            Change::Audit => {
                parse::<Audit>(or_empty(body))?;
                json(room, &self.service.audit().await?)
            }
            Change::Detach => {
                parse::<Detach>(or_empty(body))?;
                self.service.detach();
                Ok(nothing())
            }
        }
    }
}

#[cfg(test)]
mod tests;
