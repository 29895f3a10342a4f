//! nginx in the cgroup, as the proxy that it usually is there.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use tests::{Limiter, World, client, nginx::Nginx, settle, settle::PATIENCE, world::address};

use super::{active, all_given_back, at, server};
use crate::CLIENT;

const PROXY: &str = "127.0.0.1:8088";
const FIRST: &str = "127.0.0.1:8091";
const SECOND: &str = "127.0.0.1:8092";

/// A web server that answers when it is told to. What has come in waits.
struct Backend {
    requests: mpsc::Receiver<TcpStream>,
}

impl Backend {
    fn start(world: &World, addr: &str) -> Self {
        let listener = world.netns.run(|| TcpListener::bind(addr)).expect("listen");
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let mut lines = BufReader::new(&stream).lines();
                // To the end of the head.
                let head = lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
                drop(lines);
                // A connection without a request is that of a test which has ended.
                if head.is_none() || sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { requests }
    }

    fn take(&self) -> Option<TcpStream> {
        self.requests.recv_timeout(Duration::from_millis(10)).ok()
    }

    fn next(&self) -> TcpStream {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }
}

fn answer(mut request: TcpStream) {
    let text = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok";
    request.write_all(text.as_bytes()).expect("answer");
}

fn ask(world: &World) -> TcpStream {
    let connect = || client::connect_here(address(CLIENT), at(PROXY), PATIENCE);
    let mut stream = world.netns.run(connect).expect("connect to nginx");
    let text = "GET / HTTP/1.0\r\nhost: test\r\n\r\n";
    stream.write_all(text.as_bytes()).expect("ask");
    stream
}

/// Status, and who has answered.
fn answered(mut stream: TcpStream) -> (u16, String) {
    stream.set_read_timeout(Some(2 * PATIENCE)).expect("set");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
    let upstream = text
        .lines()
        .find_map(|line| line.strip_prefix("upstream: "));
    (
        status.expect(&text),
        upstream.unwrap_or_default().to_owned(),
    )
}

fn both(max_conns: u32, queue: &str) -> String {
    format!(
        "upstream backend {{ server {FIRST} max_conns={max_conns}; \
         server {SECOND} max_conns={max_conns}; {queue} }}"
    )
}

#[test]
fn the_next_upstream_is_asked_when_one_is_full() {
    let world = World::new();
    let servers: [SocketAddr; 2] = [FIRST, SECOND].map(at);
    let backends = [FIRST, SECOND].map(|addr| Backend::start(&world, addr));
    let limiter = Limiter::start_config(&world, &both(2, ""));
    let _nginx = Nginx::proxy(&world, at(PROXY), &servers);
    let asked: Vec<_> = (0..4).map(|_| ask(&world)).collect();
    let waiting = backends.each_ref().map(|it| [it.next(), it.next()]);
    assert_eq!(servers.map(|to| active(&limiter, to)), [2, 2]);
    // With both full, nginx has nobody left to ask.
    assert_eq!(answered(ask(&world)).0, 502);

    let [first, second] = waiting;
    first.into_iter().for_each(answer);
    let refused = server(&limiter, servers[1]).rejected;
    // Whichever it asks first: the second one is full.
    let more = [ask(&world), ask(&world)];
    let served = [backends[0].next(), backends[0].next()];
    assert!(server(&limiter, servers[1]).rejected > refused);
    served.into_iter().for_each(answer);
    second.into_iter().for_each(answer);
    for stream in asked.into_iter().chain(more) {
        assert_eq!(answered(stream).0, 200);
    }
    servers.iter().for_each(|to| all_given_back(&limiter, *to));
}

#[test]
fn with_a_queue_nginx_only_sees_a_slow_server() {
    let world = World::new();
    let servers: [SocketAddr; 2] = [FIRST, SECOND].map(at);
    let backends = [FIRST, SECOND].map(|addr| Backend::start(&world, addr));
    let limiter = Limiter::start_config(&world, &both(1, "queue 10 timeout=60s;"));
    let _nginx = Nginx::proxy(&world, at(PROXY), &servers);
    let asked: Vec<_> = (0..8).map(|_| ask(&world)).collect();
    let queued = || limiter.status().upstreams[0].queue.map(|it| it.queued);
    settle("connects that wait", Some(6), queued);
    // How many are for which server is up to the worker processes.
    let mut served = 0;
    while served < 8 {
        for (backend, to) in backends.iter().zip(servers) {
            if let Some(request) = backend.take() {
                assert_eq!(active(&limiter, to), 1);
                answer(request);
                served += 1;
            }
        }
    }
    for stream in asked {
        assert_eq!(answered(stream).0, 200);
    }
    servers.iter().for_each(|to| all_given_back(&limiter, *to));
    assert_eq!(
        limiter.status().upstreams[0].queue.map(|it| it.waited),
        Some(6)
    );
}
