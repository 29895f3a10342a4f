//! The ports of `metrics`: to be read only, by anybody who gets there. One request a connection, and
//! whatever peers do here, the control socket has its own places and its own turn.

use std::{collections::HashMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Method, Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, error};

use super::{
    super::{
        IO_TIMEOUT, MAX_HEADERS, MAX_WAITING_BYTES_AT_PORTS, PORT_REQUEST_TIMEOUT, PORT_TIMEOUT,
        limits::{BoundedWrites, Patience},
        port::Port,
        refusal::Refusal,
        route::Route,
        service::Service,
    },
    BUFFER_BYTES, SEND_BUFFER_BYTES,
    answer::{Answer, refused},
    crowd::{Crowd, Seat},
    places::Room,
    public,
};

/// Pause after a failed accept, which is for want of descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);

/// Serves the ports that are open, and follows their changes, until dropped.
pub async fn serve_ports<S: Service>(mut open: watch::Receiver<Vec<Arc<Port>>>, service: Arc<S>) {
    let house = Arc::new(House {
        service,
        room: Room::new(MAX_WAITING_BYTES_AT_PORTS),
        crowd: Crowd::default(),
    });
    // Dropped with this future, or replaced: then the port is closed, with all its connections.
    let mut served: HashMap<SocketAddr, JoinSet<()>> = HashMap::new();
    loop {
        let ports = open.borrow_and_update().clone();
        served.retain(|address, _| ports.iter().any(|port| port.address == *address));
        for port in ports {
            let tasks = served.entry(port.address).or_default();
            if tasks.is_empty() {
                match port.listener() {
                    Ok(listener) => drop(tasks.spawn(accept(listener, Arc::clone(&house)))),
                    Err(e) => error!("metrics {}: {e}", port.address),
                }
            }
        }
        if open.changed().await.is_err() {
            // Nobody changes them any more.
            std::future::pending::<()>().await;
        }
    }
}

/// What the connections at all ports share.
struct House<S> {
    service: Arc<S>,
    room: Arc<Room>,
    crowd: Crowd,
}

async fn accept<S: Service>(listener: TcpListener, house: Arc<House<S>>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            // With no place at all, the connection is closed.
            Ok((stream, peer)) => {
                if let Some(seat) = house.crowd.admit(peer.ip().to_canonical()) {
                    connections.spawn(stay(stream, seat, Arc::clone(&house)));
                }
            }
            Err(e) => {
                debug!("metrics: accept: {e}");
                sleep(RETRY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn stay<S: Service>(stream: TcpStream, seat: Seat, house: Arc<House<S>>) {
    if let Err(e) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES) {
        return debug!("metrics: a new connection: {e}");
    }
    let stream = BoundedWrites::new(stream, IO_TIMEOUT, Patience::default());
    let answer = service_fn(|request| {
        let (house, seat) = (&house, &seat);
        async move {
            seat.has_asked();
            Ok::<_, Infallible>(house.answer(&request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PORT_REQUEST_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        served = timeout(PORT_TIMEOUT, connection) => match served {
            Ok(Ok(())) => {}
            Ok(Err(e)) => debug!("metrics: {e}"),
            Err(_) => debug!("metrics: a connection took too long"),
        },
        () = seat.lost() => {}
    }
}

impl<S: Service> House<S> {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        match self.carry_out(request).await {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal),
        }
    }

    async fn carry_out(&self, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        let (method, uri) = (request.method(), request.uri());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::method_disabled(method.as_str()));
        }
        match Route::parse(method, uri.path(), uri.query().unwrap_or("")) {
            Ok(Route::Public(wanted)) => {
                let _turn = self.room.turn(wanted.reads_much()).await?;
                public::answer(&*self.service, &self.room, &wanted).await
            }
            // What the control socket has besides is not for everybody.
            Ok(_) => Err(Refusal::unknown_path(uri.path())),
            Err(refusal) if refusal.allow.is_some() => Err(Refusal::unknown_path(uri.path())),
            Err(refusal) => Err(refusal),
        }
    }
}
