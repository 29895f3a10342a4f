//! Many connections at once.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::attempt::{self, Greeted};

/// Connects for each of these pairs of addresses, on the calling thread and in its namespace, all
/// begun before any is looked at. Those that the server has greeted when time is up, or nothing is left
/// to wait for, in their places; the others are given up.
pub fn connect(
    pairs: &[(IpAddr, SocketAddr)],
    patience: Duration,
) -> Result<Vec<Option<TcpStream>>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("make an epoll")?;
    let mut streams = Vec::with_capacity(pairs.len());
    for (index, (from, to)) in pairs.iter().enumerate() {
        streams.push(Some(attempt::begin(*from, *to, &epoll, index)?));
    }
    let mut greeted = vec![false; pairs.len()];
    let mut waiting = pairs.len();
    let end = Instant::now() + patience;
    let mut events = [EpollEvent::empty(); 256];
    while waiting > 0 {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let left = EpollTimeout::try_from(left + Duration::from_millis(1)).context("a timeout")?;
        let count = match epoll.wait(&mut events, left) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result.context("wait for clients")?,
        };
        for event in &events[..count] {
            let index = event.data() as usize;
            let Some(stream) = &mut streams[index] else {
                continue;
            };
            if greeted[index] {
                continue;
            }
            match attempt::look(stream)? {
                Greeted::NotYet => continue,
                Greeted::Yes => {
                    greeted[index] = true;
                    epoll
                        .delete(&*stream)
                        .context("stop waiting for a client")?;
                }
                Greeted::Never => streams[index] = None,
            }
            waiting -= 1;
        }
    }
    let places = streams.into_iter().zip(greeted);
    Ok(places
        .map(|(stream, greeted)| stream.filter(|_| greeted))
        .collect())
}

/// Ends connections, so that nothing is left of them.
pub fn leave(streams: impl IntoIterator<Item = Option<TcpStream>>) {
    streams.into_iter().flatten().for_each(attempt::leave);
}

/// How many there are.
pub fn count(streams: &[Option<TcpStream>]) -> usize {
    streams.iter().flatten().count()
}
