//! Refused connections that are accepted in place of the application: nothing of them reaches it,
//! and they are closed after the delay of their server (`limit_conn_action close`).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tracing::{debug, error};

use super::in_force::InForce;
use crate::{kernel::Target, policy::Policy};

/// Pause after a failed accept, which is for want of descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);
/// What a client may send while it waits. What is beyond stays in the kernel.
const DISCARD_BYTES: usize = 64 * 1024;
/// Reads at the end. The receive buffer is smaller.
const LAST_READS: usize = 16;

/// How many connections wait to be closed.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicU64>);

impl Waiting {
    /// At this moment.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn one_more(&self) -> OneMore {
        self.0.fetch_add(1, Ordering::Relaxed);
        OneMore(self.clone())
    }
}

/// One that waits.
struct OneMore(Waiting);

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts and closes until the target is given up.
pub async fn serve(target: Target, policy: watch::Receiver<Arc<InForce>>, count: Waiting) {
    let Target {
        listener,
        places,
        end,
    } = target;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return error!("serve refused connections: {e}"),
    };
    // Dropped with this future: then every connection is closed at once.
    let mut waiting = JoinSet::new();
    let accept = async {
        loop {
            match listener.accept().await {
                // Counted before it could be accepted.
                Ok((stream, _)) if !places.holds(&stream) => reset(&stream),
                Ok((stream, _)) => {
                    let delay = delay(&stream, &policy.borrow());
                    let counted = count.one_more();
                    waiting.spawn(async move {
                        close_after(stream, delay).await;
                        drop(counted);
                    });
                }
                Err(e) => {
                    debug!("accept a refused connection: {e}");
                    sleep(RETRY).await;
                }
            }
            while waiting.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accept => {}
        _ = end => {}
    }
}

/// Has the client reset when the stream is dropped.
fn reset(stream: &TcpStream) {
    if let Err(e) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        debug!("reset a refused connection: {e}");
    }
}

/// Of the server that the connection was for, as the policy has it now.
fn delay(stream: &TcpStream, policy: &Policy) -> Duration {
    let server = stream
        .local_addr()
        .ok()
        .and_then(|local| policy.server_at(local));
    let delay_ms = server.and_then(|server| server.action.delay_ms());
    Duration::from_millis(delay_ms.unwrap_or(0).into())
}

/// Ends earlier if the client does.
async fn close_after(mut stream: TcpStream, delay: Duration) {
    let end = Instant::now() + delay;
    match timeout_at(end, discard(&mut stream)).await {
        // It has said that it is done, or it is gone.
        Ok(Ok(true) | Err(_)) => {}
        Ok(Ok(false)) => sleep_until(end).await,
        Err(_) => {}
    }
    // What arrived and is not read would make a RST of the end (RFC 9293 §3.10.4). Whoever sends
    // faster than this gets one.
    let mut buffer = [0; 4_096];
    for _ in 0..LAST_READS {
        if !stream.try_read(&mut buffer).is_ok_and(|read| read > 0) {
            break;
        }
    }
    if let Err(e) = stream.shutdown().await {
        debug!("close a refused connection: {e}");
    }
}

/// Throws away what the client sends. Whether that was all of it.
async fn discard(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 512];
    let mut total = 0;
    while total < DISCARD_BYTES {
        match stream.read(&mut buffer).await? {
            0 => return Ok(true),
            read => total += read,
        }
    }
    Ok(false)
}
